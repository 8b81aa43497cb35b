// Reading the log in Redis: history, state, and places to start from. Never beyond what the tail has brought.

import type { Selection } from '../hub/selection.ts'
import type { History, LogRange, ReadRequest, Seek, StateRequest, TrimmedGap } from './engine.ts'
import type { RedisConnection } from './redis-connection.ts'
import { judge, judgeCommands } from './redis-judge.ts'
import { numberOf, slotsOf, unpackBody, type RedisNames, type SlotEntry } from './redis-layout.ts'
import { RedisPages, type Page, type PageRequest } from './redis-pages.ts'
import { cut, eventsOf, type ReaderPlace } from './redis-place.ts'
import { SEEK_TIME } from './redis-script.ts'
import { RedisState } from './redis-state.ts'

/** Up to so many slots are read one by one; more, and all there is in the order of the log. */
const SLOTS_MAX = 16
/** Entries of one slot among many: a busy one must not make the page of all of them short. */
const SLOT_ENTRIES_MIN = 16
/** Looked at in one reading of a pattern, however few of them match. */
const SCAN_EVENTS = 1_000

/** See the head of the file. */
export class RedisReader {
  readonly #connection: RedisConnection
  readonly #names: RedisNames
  readonly #place: () => ReaderPlace
  readonly #pages: RedisPages
  readonly #state: RedisState

  constructor(connection: RedisConnection, names: RedisNames, place: () => ReaderPlace) {
    this.#connection = connection
    this.#names = names
    this.#place = place
    this.#state = new RedisState(connection, names, place)
    this.#pages = new RedisPages(names, (commands) => connection.transaction(commands))
  }

  /** Selected events after a cursor, and whether some are gone. Rejects with EpochChanged. */
  async read(request: ReadRequest): Promise<History> {
    const { after, selection, latest = false } = request
    const { epoch, head, floor, terms } = this.#place()
    if (after >= head) return { events: [], to: head, gap: undefined }
    let page = await this.#page(request, { epoch, after, to: head }, after < floor)
    // The floor has risen beyond the cursor since the node heard of it.
    if (after >= floor && after < page.floor) page = await this.#page(request, { epoch, after, to: head }, true)
    const gap = await this.#gap(request, page, head)
    const wanted = eventsOf(page.entries, terms, selection)
    const events = latest ? await this.#state.newestOf(wanted, selection, head) : wanted
    return { ...cut(events, page.to, request), gap }
  }

  /** See the port's `state`. Rejects with EpochChanged. */
  state(request: StateRequest): Promise<LogRange> {
    return this.#state.read(request)
  }

  /** See the port's `seek`. Rejects with EpochChanged. */
  async seek(seek: Seek, selection: Selection): Promise<number> {
    const { epoch, head, floor } = this.#place()
    if ('earliest' in seek) return floor
    if ('sinceMs' in seek) {
      const args = [String(seek.sinceMs), String(head)]
      return Math.min(head, numberOf(await this.#connection.run(SEEK_TIME, this.#names.log, args)))
    }
    if (seek.last <= 0) return head
    const slots = slotsOf(selection)
    const newest =
      slots.length <= SLOTS_MAX
        ? await this.#lastOfSlots(seek.last, slots, epoch, head, selection)
        : await this.#lastOfOrder(seek.last, { epoch, head, floor }, selection)
    const first = newest.toSorted((one, other) => other - one)[seek.last - 1]
    return first === undefined ? floor : first - 1
  }

  /** All entries of these slots in a range, in order; undefined when some are missing. Rejects with EpochChanged. */
  async whole(
    slots: readonly number[],
    request: PageRequest,
    entriesMax: number,
  ): Promise<readonly SlotEntry[] | undefined> {
    const page = await this.#pages.ofSlots(slots, request, entriesMax)
    const isWhole = page.to === request.to && page.missingTo <= request.after && page.floor <= request.after
    return isWhole ? page.entries : undefined
  }

  async #page(asked: ReadRequest, request: PageRequest, isJudged: boolean): Promise<Page> {
    const { selection, eventsMax, bytesMax } = asked
    const beside = isJudged ? judgeCommands(this.#names, asked) : []
    const slots = slotsOf(selection)
    const { eventBytes } = this.#place()
    if (slots.length > SLOTS_MAX) {
      // A page that is large enough for many readers' few matches, and small enough for memory.
      const scan = selection.topics.includes('**') && selection.types === undefined ? eventsMax : SCAN_EVENTS
      const eventsScanned = Math.min(Math.max(scan, eventsMax), 10_000)
      return this.#pages.ofOrder(request, eventsScanned, Math.max(bytesMax, 262_144), beside)
    }
    const byBytes = Math.ceil((2 * bytesMax) / eventBytes)
    const share = Math.ceil(eventsMax / slots.length) + 1
    return this.#pages.ofSlots(slots, request, Math.max(SLOT_ENTRIES_MIN, Math.min(share, byBytes, 10_000)), beside)
  }

  async #gap(request: ReadRequest, page: Page, head: number): Promise<TrimmedGap | undefined> {
    const { after } = request
    const send = this.#connection.send.bind(this.#connection)
    const gap = after < page.floor ? await judge(this.#names, request, page.answers, send) : undefined
    const to = Math.min(head, gap?.to ?? 0)
    if (page.missingTo > Math.max(to, after)) return { to: page.missingTo, certain: false, count: undefined }
    return gap === undefined || to <= after ? undefined : { ...gap, to }
  }

  async #lastOfSlots(
    count: number,
    slots: readonly number[],
    epoch: string,
    head: number,
    selection: Selection,
  ): Promise<number[]> {
    const offsets: number[] = []
    for (const slot of slots) {
      let [missing, to] = [count, head]
      while (missing > 0 && to > 0) {
        const asked = Math.min(1_000, Math.max(SLOT_ENTRIES_MIN, missing))
        const entries = await this.#pages.before(slot, epoch, to, asked)
        for (const { body, offset } of entries) {
          const { topic, type } = unpackBody(body)
          if (missing === 0 || !selection.matches(topic, type)) continue
          offsets.push(offset)
          missing -= 1
        }
        to = entries.length < asked ? 0 : (entries.at(-1)?.offset ?? 1) - 1
      }
    }
    return offsets
  }

  async #lastOfOrder(
    count: number,
    { epoch, head, floor }: Pick<ReaderPlace, 'epoch' | 'head' | 'floor'>,
    selection: Selection,
  ): Promise<number[]> {
    const isAll = selection.topics.includes('**') && selection.types === undefined
    const offsets: number[] = []
    for (let to = head; to > floor && offsets.length < count;) {
      const calls = await this.#pages.orderBefore(epoch, to, 100)
      const from = Math.max(calls.at(-1)?.from ?? 0, to - SCAN_EVENTS, floor)
      if (calls.length === 0) return offsets
      if (isAll) for (let offset = to; offset > from; offset -= 1) offsets.push(offset)
      else {
        const { entries } = await this.#pages.ofOrder({ epoch, after: from, to }, SCAN_EVENTS, Infinity)
        for (const { body, offset } of entries) {
          const { topic, type } = unpackBody(body)
          if (selection.matches(topic, type)) offsets.push(offset)
        }
      }
      to = from
    }
    return offsets
  }
}
