// Reading the log: history, places to start from. Nothing is read beyond what the tail has carried.
//
// A reading leaves its consumer open for a while, for whoever goes on where it stopped.

import type { Selection } from '../hub/selection.ts'
import type { History, ReadRequest, Seek } from './engine.ts'
import { unavailable } from './nats-errors.ts'
import type { NatsLink } from './nats-link.ts'
import type { NatsLog } from './nats-log.ts'
import { NatsPull, type PullRequest } from './nats-pull.ts'
import { BATCH_MAX, NatsReading } from './nats-reading.ts'
import { subjectsMeet, withoutCovered } from './nats-subject.ts'

/** Consumers that are kept for who reads on. */
const OPEN_MAX = 16
/** More filters than this cost the server more than a look at every message. */
const FILTERS_MAX = 16
/** A search for the newest N looks at so many of the newest messages first. */
const SEARCH_MESSAGES = 1_024
const SEARCH_FACTOR = 8
/** Of headers. */
const SEARCH_BYTES = 16_777_216

/** What the consumer of a selection filters by. */
export function filtersOf(
  log: NatsLog,
  { topics }: Selection,
  hasMany: boolean,
): Pick<PullRequest, 'filters' | 'isWhole'> {
  const filters = withoutCovered(topics.map((topic) => log.subjects.filter(topic)))
  const isTooMuch =
    filters.length > (hasMany ? FILTERS_MAX : 1) ||
    filters.includes(log.subjects.all) ||
    filters.some((one, at) => filters.slice(at + 1).some((other) => subjectsMeet(one, other)))
  return isTooMuch ? { filters: [log.subjects.all], isWhole: true } : { filters }
}

/** See the head of the file. */
export class NatsHistory {
  readonly #log: NatsLog
  readonly #answerMs: number
  readonly #scanEventsMax: number
  /** By the place and selection that they can go on from, oldest first. */
  readonly #open = new Map<string, NatsReading>()

  constructor(log: NatsLog, answerMs: number, scanEventsMax: number) {
    this.#log = log
    this.#answerMs = answerMs
    this.#scanEventsMax = scanEventsMax
  }

  /** Reads; `refresh` brings the floor up to date. */
  async read(link: NatsLink, request: ReadRequest, refresh: () => Promise<void>): Promise<History> {
    const { after, selection } = request
    const { head, generation } = this.#log
    if (after >= head) return { events: [], to: head, gap: undefined }
    const reading = await this.#readingAt(link, after, selection)
    const { events, to } = await reading.page(head, request, this.#scanEventsMax)
    await refresh() // after reading: what was trimmed meanwhile was not read, and has to be told
    if (generation !== this.#log.generation) {
      reading.close()
      throw unavailable('The end of the log was undone while it was read. Try again.')
    }
    this.#keep(reading, selection)
    const goneTo = this.#log.goneTo(after, to)
    return { events, to, gap: goneTo > after ? { to: goneTo, certain: false, count: undefined } : undefined }
  }

  /** Finds a place. */
  async seek(link: NatsLink, seek: Seek, selection: Selection): Promise<number> {
    const { head, floor } = this.#log
    if ('earliest' in seek) return floor
    if ('last' in seek) return seek.last === 0 ? head : this.#seekLast(link, seek.last, selection)
    const { name, sentTo } = await link.makeConsumer({
      start: { timeMs: Math.max(0, Math.ceil(seek.sinceMs)) },
      filters: undefined,
      idleMs: 1_000,
    })
    link.dropConsumer(name)
    return Math.max(floor, Math.min(head, sentTo))
  }

  /** Everything that is open is of a connection that is gone. */
  forget(): void {
    this.#open.clear()
  }

  async #readingAt(link: NatsLink, after: number, selection: Selection): Promise<NatsReading> {
    const name = `${after} ${selection.key}`
    const open = this.#open.get(name)
    if (open !== undefined) {
      this.#open.delete(name)
      return open
    }
    const filters = filtersOf(this.#log, selection, link.hasManyFilters)
    const pull = await NatsPull.open(link, this.#answerMs, { start: { seq: after + 1 }, ...filters })
    return NatsReading.ofHistory(this.#log, pull, selection, after)
  }

  #keep(reading: NatsReading, selection: Selection): void {
    if (reading.at >= this.#log.head) return reading.close()
    const name = `${reading.at} ${selection.key}`
    this.#open.get(name)?.close()
    this.#open.set(name, reading)
    if (this.#open.size <= OPEN_MAX) return
    for (const [oldest, open] of this.#open) {
      this.#open.delete(oldest)
      open.close()
      return
    }
  }

  /** Looks at the newest messages, then at more of them, until as many are selected as are wanted. */
  async #seekLast(link: NatsLink, last: number, selection: Selection): Promise<number> {
    const { head, floor } = this.#log
    for (let span = Math.max(SEARCH_MESSAGES, 2 * last); ; span *= SEARCH_FACTOR) {
      const after = Math.max(floor, head - span)
      const offsets = await this.#offsets(link, after, head, selection)
      const found = offsets.at(-last)
      if (found !== undefined) return found - 1
      if (after === floor) return floor
    }
  }

  async #offsets(link: NatsLink, after: number, to: number, selection: Selection): Promise<readonly number[]> {
    const filters = filtersOf(this.#log, selection, link.hasManyFilters)
    const pull = await NatsPull.open(link, this.#answerMs, {
      start: { seq: after + 1 },
      ...filters,
      headersOnly: true,
    })
    const reading = NatsReading.ofHistory(this.#log, pull, selection, after)
    const offsets: number[] = []
    try {
      while (reading.at < to) {
        const { events } = await reading.page(to, { eventsMax: BATCH_MAX, bytesMax: SEARCH_BYTES }, BATCH_MAX)
        for (const { offset } of events) offsets.push(offset)
      }
      return offsets
    } finally {
      reading.close()
    }
  }
}
