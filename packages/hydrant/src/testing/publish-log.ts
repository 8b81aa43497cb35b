// What publishers did: each event that was tried, and how it ended. The truth that every client's log is held against.

import { formatId, parseId, type EventId } from 'hydrant-client/wire'
import type { EventInput } from '../hub/event.ts'
import { fingerprintOf } from '../hub/fingerprint.ts'
import { EpochOrder } from './epoch-order.ts'
import type { Faults } from './report.ts'

/** An event as it stands in the log: what it says, and where. */
export interface Entry extends EventId {
  readonly topic: string
  readonly type: string
  readonly key: string | undefined
  readonly data: string | Uint8Array
  /** False for one of unknown outcome that a client received. */
  readonly acknowledged: boolean
}

/** An event that a client received, as far as it must be known to find its attempt. */
interface Sighting {
  readonly topic?: string | undefined
  readonly type?: string | undefined
  readonly key?: string | undefined
  readonly data: string | Uint8Array
}

/** An attempt that has no id: all that is held of it. */
interface Loose {
  readonly topic: string
  readonly type: string
  readonly key: string | undefined
  readonly failed: boolean
  /** It can only have got an id after this one. */
  readonly after: EventId | undefined
}

/**
 * One event that is being published. Tell it how it ended: one of its three methods, once. A retry under the same
 * idempotency key is the same attempt.
 */
export class Attempt {
  /** @internal */
  readonly event: Omit<Entry, 'epoch' | 'offset' | 'acknowledged'>
  /** @internal The newest id that was acknowledged when it began. */
  readonly after: EventId | undefined
  readonly #end: (attempt: Attempt, how: string) => void

  /** @internal */
  constructor(event: Attempt['event'], after: EventId | undefined, end: (attempt: Attempt, how: string) => void) {
    this.event = event
    this.after = after
    this.#end = end
  }

  /** It was stored, under this id. Throws a TypeError when that is not an id. */
  acknowledged(id: string): void {
    this.#end(this, id)
  }

  /** The publisher was told that it is not stored, and will not be: it must never be delivered. */
  failed(): void {
    this.#end(this, 'failed')
  }

  /** Nobody told: a lost connection, a time-out, a 503. It may be delivered or not. */
  unknown(): void {
    this.#end(this, 'unknown')
  }
}

/**
 * The publish log. Holds each acknowledged event until every client is past it and the checker has settled it, and a
 * fingerprint of each event that failed or whose outcome is unknown for ever.
 */
export class PublishLog {
  /** @internal */
  readonly epochs: EpochOrder = new EpochOrder()
  readonly #faults: Faults
  readonly #entries = new Map<string, Entry[]>()
  readonly #outstanding = new Set<Attempt>()
  readonly #loose = new Map<string, Loose[]>()
  #head: EventId | undefined
  #forgotten: EventId | undefined
  #acknowledged = 0

  /** @internal */
  constructor(faults: Faults) {
    this.#faults = faults
  }

  /** How many events were acknowledged. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** How many events with an id are held. */
  get held(): number {
    return [...this.#entries.values()].reduce((sum, entries) => sum + entries.length, 0)
  }

  /** Everything up to here is held no longer. */
  get forgotten(): EventId | undefined {
    return this.#forgotten
  }

  /**
   * An epoch of the log has begun. Epochs are known by themselves, in the order in which their first ids are heard of;
   * say it where that may be another one: when the log is restarted again and again with hardly an event in between.
   */
  began(epoch: string): void {
    this.epochs.note(epoch)
  }

  /** Notes that an event is about to be published: call it before the event is sent. */
  attempt(event: EventInput): Attempt {
    const { topic, type = 'message', key, data } = event
    const attempt = new Attempt({ topic, type, key, data: dataOf(data) }, this.#head, (one, how) => this.#end(one, how))
    this.#outstanding.add(attempt)
    return attempt
  }

  /** @internal What can still get an id comes after this place; undefined when that may be anywhere. */
  get settled(): EventId | undefined {
    const [oldest] = this.#outstanding
    return oldest === undefined ? this.#head : oldest.after
  }

  /** @internal Nothing more will be told: what is under way has an unknown outcome. */
  close(): void {
    for (const attempt of this.#outstanding) attempt.unknown()
  }

  /** @internal The event with this id. */
  find({ epoch, offset }: EventId): Entry | undefined {
    const entries = this.#entries.get(epoch) ?? []
    const entry = entries[countUpTo(entries, offset) - 1]
    return entry?.offset === offset ? entry : undefined
  }

  /** @internal The events in (after, to], newest first. */
  *newestFirst(after: EventId, to: EventId): Generator<Entry> {
    const names = [...this.#entries.keys()].toSorted((one, other) => this.epochs.rank(other) - this.epochs.rank(one))
    for (const name of names) {
      const entries = this.#entries.get(name) ?? []
      for (let at = countUpTo(entries, Number.POSITIVE_INFINITY) - 1; at >= 0; at -= 1) {
        const entry = entries[at]
        if (entry === undefined || this.epochs.compare(entry, after) <= 0) break
        if (this.epochs.compare(entry, to) <= 0) yield entry
      }
    }
  }

  /** @internal Finds the attempt behind an event whose id was never acknowledged, and gives it the id if it may be. */
  identify(id: EventId, sighting: Sighting): Entry | 'failed' | undefined {
    const fingerprint = fingerprintOfData(sighting.data)
    const loose = this.#loose.get(fingerprint) ?? []
    const fits = loose.filter((one) => isSeen(one, sighting))
    const unknown = fits.find(({ failed, after }) => !failed && !this.#isAtOrBefore(id, after))
    if (unknown === undefined) return fits.some(({ failed }) => failed) ? 'failed' : undefined
    const others = loose.filter((one) => one !== unknown)
    if (others.length > 0) this.#loose.set(fingerprint, others)
    else this.#loose.delete(fingerprint)
    const { topic, type, key } = unknown
    const entry = { ...id, topic, type, key, data: sighting.data, acknowledged: false }
    this.#insert(entry)
    return entry
  }

  /** @internal How many events of unknown outcome that fit may stand at or before `to`. */
  possible(to: EventId, fits: (event: Omit<Loose, 'failed' | 'after'>) => boolean): number {
    let count = 0
    for (const loose of [...this.#loose.values()].flat()) {
      if (!loose.failed && !this.#isAtOrBefore(to, loose.after) && fits(loose)) count += 1
    }
    return count
  }

  /** @internal Lets go of everything up to a place. */
  forget(to: EventId): void {
    this.#forgotten = this.epochs.later(to, this.#forgotten)
    for (const [epoch, entries] of this.#entries) {
      const kept = entries.filter((entry) => !this.#isAtOrBefore(entry, this.#forgotten))
      if (kept.length > 0) this.#entries.set(epoch, kept)
      else this.#entries.delete(epoch)
    }
  }

  #end(attempt: Attempt, how: string): void {
    if (!this.#outstanding.has(attempt)) throw new TypeError('An attempt ends once, and this one has ended before.')
    const id = parseId(how)
    if (id !== undefined) this.#acknowledge(attempt, id)
    else if (how === 'failed' || how === 'unknown') this.#letLoose(attempt, how === 'failed')
    else throw new TypeError(`${JSON.stringify(how)} is not an id.`)
    this.#outstanding.delete(attempt)
  }

  #acknowledge({ event }: Attempt, id: EventId): void {
    this.epochs.note(id.epoch)
    this.#acknowledged += 1
    this.#head = this.epochs.later(id, this.#head)
    if (this.#isAtOrBefore(id, this.#forgotten)) return
    const known = this.find(id)
    if (known !== undefined && !isSame(known, event)) {
      const text = formatId(id.epoch, id.offset)
      this.#faults.add('changed', 'publisher', text, 'two events were acknowledged with this id')
    } else this.#insert({ ...id, ...event, acknowledged: true })
  }

  #letLoose({ event: { topic, type, key, data }, after }: Attempt, failed: boolean): void {
    const fingerprint = fingerprintOfData(data)
    const others = this.#loose.get(fingerprint) ?? []
    this.#loose.set(fingerprint, [...others, { topic, type, key, failed, after }])
  }

  #insert(entry: Entry): void {
    const entries = this.#entries.get(entry.epoch) ?? []
    this.#entries.set(entry.epoch, entries)
    const at = countUpTo(entries, entry.offset)
    const isReplaced = entries[at - 1]?.offset === entry.offset
    entries.splice(isReplaced ? at - 1 : at, isReplaced ? 1 : 0, entry)
  }

  #isAtOrBefore(one: EventId, other: EventId | undefined): boolean {
    return other !== undefined && this.epochs.compare(one, other) <= 0
  }
}

/** Whether two say the same. What one of them does not know is no difference. */
export function isSame(entry: Omit<Entry, 'epoch' | 'offset' | 'acknowledged'>, seen: Sighting): boolean {
  return isSeen(entry, seen) && isSameData(entry.data, seen.data)
}

function isSeen(one: Omit<Entry, 'epoch' | 'offset' | 'acknowledged' | 'data'>, seen: Sighting): boolean {
  const { topic = one.topic, type = one.type, key = one.key } = seen
  return topic === one.topic && type === one.type && key === one.key
}

function isSameData(one: string | Uint8Array, other: string | Uint8Array): boolean {
  if (typeof one === 'string' || typeof other === 'string') return one === other
  return one.length === other.length && one.every((byte, at) => byte === other[at])
}

/** As hydrant sends it: text and bytes as they are, everything else as JSON. */
function dataOf(data: unknown): string | Uint8Array {
  if (data === undefined) return ''
  return typeof data === 'string' || data instanceof Uint8Array ? data : JSON.stringify(data)
}

function fingerprintOfData(data: string | Uint8Array): string {
  return fingerprintOf([{ topic: '', type: '', key: undefined, data }])
}

/** How many of the entries have at most this offset. */
function countUpTo(entries: readonly Entry[], offset: number): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((entries[middle]?.offset ?? 0) <= offset) low = middle + 1
    else high = middle
  }
  return low
}
