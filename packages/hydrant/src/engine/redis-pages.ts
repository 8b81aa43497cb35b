// Pages of the log as Redis has them: the events of some slots after a cursor, or all events in a range of the order.
// Each page is read in one transaction with the place where the log is, and says what is missing from it that should be
// there: removed by somebody, for retention would have raised the floor.

import { HydrantError } from '../hub/errors.ts'
import type { RedisArgs } from './redis-client.ts'
import {
  entriesOf,
  numberOf,
  listOf,
  orderOf,
  textOf,
  type OrderEntry,
  type RedisNames,
  type SlotEntry,
} from './redis-layout.ts'

/** Sends commands between which nothing else runs. */
export type Transaction = (commands: readonly RedisArgs[]) => Promise<readonly unknown[]>

/** Entries in the order of the log, and how far they are complete. */
export interface Page {
  readonly entries: readonly SlotEntry[]
  readonly to: number
  readonly floor: number
  /** The last offset that is missing though nobody trimmed it; 0 for none. */
  readonly missingTo: number
  /** Answers to the commands that were asked for beside it. */
  readonly answers: readonly unknown[]
}

/** The log is not what the node takes it for: another epoch has begun. */
export class EpochChanged extends Error {
  override readonly name = 'EpochChanged'
}

/** Where to read. */
export interface PageRequest {
  /** The epoch that the reader is in; if the log is in another, nothing is read. */
  readonly epoch: string
  readonly after: number
  /** Not beyond this offset. */
  readonly to: number
}

/** See the head of the file. */
export class RedisPages {
  readonly #names: RedisNames
  readonly #transaction: Transaction

  constructor(names: RedisNames, transaction: Transaction) {
    this.#names = names
    this.#transaction = transaction
  }

  /** At most so many entries of each slot; beyond the last of one that has more, the page is not complete. */
  async ofSlots(
    slots: readonly number[],
    { epoch, after, to }: PageRequest,
    entriesMax: number,
    beside: readonly RedisArgs[] = [],
  ): Promise<Page> {
    const ranges = slots.map((slot): RedisArgs => {
      const bounds = [`(${after}-0`, `${to}-0`]
      return ['XRANGE', this.#names.stream(slot), ...bounds, 'COUNT', String(entriesMax)]
    })
    const heads = slots.map((slot) => `h${slot}`)
    const [place, ...answers] = await this.#ask(epoch, heads, [...ranges, ...beside])
    const [floor, ...lasts] = listOf(place).map(numberOf)
    let [end, missingTo] = [to, 0]
    const entries: SlotEntry[] = []
    for (const [at] of slots.entries()) {
      const found = entriesOf(answers[at])
      const last = found.at(-1)
      const isPart = last !== undefined && found.length === entriesMax && last.offset < to
      if (isPart) end = Math.min(end, last.offset)
      // Where the log has gone on since, what lies between the last entry and its slot's head is not asked for.
      const head = isPart || (lasts[at] ?? 0) > to ? 0 : (lasts[at] ?? 0)
      missingTo = Math.max(missingTo, missingIn(found, head, Math.max(after, floor ?? 0)))
      for (const entry of found) entries.push(entry)
    }
    return {
      entries: entries.filter(({ offset }) => offset <= end).toSorted((one, other) => one.offset - other.offset),
      to: end,
      floor: floor ?? 0,
      missingTo: Math.min(missingTo, to),
      answers: answers.slice(slots.length),
    }
  }

  /** Everything, of about so many events or bytes. */
  async ofOrder(
    request: PageRequest,
    eventsMax: number,
    bytesMax: number,
    beside: readonly RedisArgs[] = [],
  ): Promise<Page> {
    const { epoch, after, to } = request
    const calls = await this.order(request, eventsMax)
    const start = calls[0]?.from ?? to
    const { expected, end } = plan(calls, request, eventsMax, bytesMax)
    const ranges = [...rangesOf(expected)]
    const commands = ranges.map(([slot, { first, last }]): RedisArgs => {
      return ['XRANGE', this.#names.stream(slot), `${first}-0`, `${last}-0`]
    })
    const [place, ...answers] = await this.#ask(epoch, [], [...commands, ...beside])
    const floor = numberOf(listOf(place)[0])
    const entries = answers
      .slice(0, ranges.length)
      .flatMap(entriesOf)
      .toSorted((one, other) => one.offset - other.offset)
    const present = new Set(entries.map(({ offset }) => offset))
    let missingTo = start > Math.max(after, floor) ? Math.min(start, to) : 0
    for (const offset of expected.keys())
      if (!present.has(offset) && offset > floor) missingTo = Math.max(missingTo, offset)
    return { entries, to: end, floor, missingTo, answers: answers.slice(ranges.length) }
  }

  /** Calls of the script that stored events in (after, to]. */
  async order({ epoch, after, to }: PageRequest, callsMax: number): Promise<readonly OrderEntry[]> {
    const [, calls] = await this.#ask(
      epoch,
      [],
      [['XRANGE', this.#names.order, `(${after}-0`, '+', 'COUNT', String(callsMax)]],
    )
    return orderOf(calls).filter(({ from }) => from < to)
  }

  /** Calls of the script up to an offset, the newest first. */
  async orderBefore(epoch: string, to: number, callsMax: number): Promise<readonly OrderEntry[]> {
    // The call that stored `to` may have gone on beyond.
    const [, upTo, beyond] = await this.#ask(
      epoch,
      [],
      [
        ['XREVRANGE', this.#names.order, `${to}-0`, '-', 'COUNT', String(callsMax)],
        ['XRANGE', this.#names.order, `(${to}-0`, '+', 'COUNT', '1'],
      ],
    )
    return [...orderOf(beyond).filter(({ from }) => from < to), ...orderOf(upTo)]
  }

  /** Entries of a slot up to an offset, the newest first. */
  async before(slot: number, epoch: string, to: number, entriesMax: number): Promise<readonly SlotEntry[]> {
    const [, entries] = await this.#ask(
      epoch,
      [],
      [['XREVRANGE', this.#names.stream(slot), `${to}-0`, '-', 'COUNT', String(entriesMax)]],
    )
    return entriesOf(entries)
  }

  /** Asks, and answers the floor and some fields of the log, then the answers. Rejects with EpochChanged. */
  async #ask(epoch: string, fields: readonly string[], commands: readonly RedisArgs[]): Promise<readonly unknown[]> {
    const [place, ...answers] = await this.#transaction([
      ['HMGET', this.#names.log, 'epoch', 'floor', ...fields],
      ...commands,
    ])
    const [now, ...rest] = listOf(place)
    if (textOf(now) !== epoch) throw new EpochChanged(`the log is in the epoch ${textOf(now)}, not ${epoch}`)
    const failed = answers.find((answer) => answer instanceof Error)
    if (failed instanceof Error) throw new HydrantError('unavailable', `Redis cannot be read: ${failed.message}.`)
    return [rest, ...answers]
  }
}

/** Every entry tells of the one before it. */
function missingIn(entries: readonly SlotEntry[], head: number, known: number): number {
  let [missingTo, last] = [0, known]
  for (const { offset, before } of entries) {
    if (before > last) missingTo = before
    last = offset
  }
  return head > last ? head : missingTo
}

/** Which offsets a page has, and whose they are. */
function plan(
  calls: readonly OrderEntry[],
  { after, to }: PageRequest,
  eventsMax: number,
  bytesMax: number,
): { readonly expected: ReadonlyMap<number, number>; readonly end: number } {
  const expected = new Map<number, number>()
  let bytes = 0
  for (const call of calls) {
    const each = call.bytes / call.slots.length
    for (const [at, slot] of call.slots.entries()) {
      const offset = call.from + 1 + at
      if (offset <= after) continue
      if (offset > to) return { expected, end: to }
      bytes += each
      if (expected.size > 0 && (expected.size === eventsMax || bytes > bytesMax)) return { expected, end: offset - 1 }
      expected.set(offset, slot)
    }
  }
  const last = calls.at(-1)?.to
  // With fewer calls than asked for, and none beyond, the log ends here.
  return { expected, end: last === undefined ? to : Math.min(to, last) }
}

function rangesOf(expected: ReadonlyMap<number, number>): ReadonlyMap<number, { first: number; last: number }> {
  const ranges = new Map<number, { first: number; last: number }>()
  for (const [offset, slot] of expected) {
    const range = ranges.get(slot)
    if (range === undefined) ranges.set(slot, { first: offset, last: offset })
    else range.last = offset
  }
  return ranges
}
