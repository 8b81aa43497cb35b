// State: the newest event of each topic and key as of an offset. NATS knows the newest of each subject as of now; what
// has become newer since, or is of a type that nobody asked for, is looked up further back.

import type { LogEvent } from '../hub/event.ts'
import type { Selection } from '../hub/selection.ts'
import type { LogRange, StateRequest } from './engine.ts'
import { unavailable } from './nats-errors.ts'
import { filtersOf } from './nats-history.ts'
import type { NatsLink } from './nats-link.ts'
import type { NatsLog } from './nats-log.ts'
import { parseMessage, type NatsMessage } from './nats-message.ts'
import { NatsPull } from './nats-pull.ts'
import { BATCH_MAX, NatsReading } from './nats-reading.ts'

/** Readings that are kept for who reads on. */
const OPEN_MAX = 16
const PULL_BYTES = 16_777_216
/** A search for an older event of a subject looks at so many of the newest messages first. */
const SEARCH_MESSAGES = 64
const SEARCH_FACTOR = 16

/** See the head of the file. */
export class NatsState {
  readonly #log: NatsLog
  readonly #answerMs: number
  /** By what they are of and the place that they can go on from, oldest first. */
  readonly #open = new Map<string, NatsReading>()

  constructor(log: NatsLog, answerMs: number) {
    this.#log = log
    this.#answerMs = answerMs
  }

  async read(link: NatsLink, request: StateRequest): Promise<LogRange> {
    const { after, selection } = request
    const to = Math.min(request.to, this.#log.head)
    if (after >= to) return { events: [], to: request.to }
    const { generation } = this.#log
    const what = `${to} ${selection.key}`
    const reading = await this.#readingAt(link, `${after} ${what}`, { ...request, to })
    const range = await reading.page(to, request, Number.POSITIVE_INFINITY)
    if (generation !== this.#log.generation) {
      reading.close()
      throw unavailable('The end of the log was undone while it was read. Try again.')
    }
    if (range.to >= to) reading.close()
    else this.#keep(`${range.to} ${what}`, reading)
    return range
  }

  /** Everything that is open is of a connection that is gone. */
  forget(): void {
    this.#open.clear()
  }

  async #readingAt(link: NatsLink, name: string, { after, to, selection }: StateRequest): Promise<NatsReading> {
    const open = this.#open.get(name)
    if (open !== undefined) {
      this.#open.delete(name)
      return open
    }
    const pull = await this.#pull(link, selection, 'last-per-subject', false)
    // After the consumer was made: what it does not answer because it became older since, is found here.
    const older = await this.#older(link, to, selection)
    const known = (from: number, upTo: number): readonly LogEvent[] => [
      ...this.#log.ends.between(from, Math.min(upTo, to), selection),
      ...older.filter(({ offset }) => offset > from && offset <= upTo),
    ]
    const isWanted = (event: LogEvent): boolean => event.offset > after && this.#isState(event, to)
    return new NatsReading(this.#log, { pull, selection, after, isWanted, known })
  }

  #keep(name: string, reading: NatsReading): void {
    this.#open.get(name)?.close()
    this.#open.set(name, reading)
    if (this.#open.size <= OPEN_MAX) return
    for (const [oldest, open] of this.#open) {
      this.#open.delete(oldest)
      open.close()
      return
    }
  }

  /** A keyed event without data deletes its key; the end of a topic stands for what it had without a key. */
  #isState({ topic, key, data, offset }: LogEvent, to: number): boolean {
    if (key !== undefined) return data.length > 0
    const end = this.#log.ends.of(topic)
    return end === undefined || end > to || end < offset
  }

  /** The newest as of `to` of the subjects whose newest of all is newer, or of another type. */
  async #older(link: NatsLink, to: number, selection: Selection): Promise<readonly LogEvent[]> {
    const subjects = new Set<string>()
    const start = selection.types === undefined ? { seq: to + 1 } : 'last-per-subject'
    const pull = await this.#pull(link, selection, start, true)
    try {
      for (let isEnd = false; !isEnd;) {
        const pulled = await pull.next(BATCH_MAX, PULL_BYTES)
        for (const message of pulled.messages) if (this.#isPassed(message, to, selection)) subjects.add(message.subject)
        isEnd = pulled.isEnd
      }
    } finally {
      pull.close()
    }
    const events: LogEvent[] = []
    for (const subject of subjects) {
      const event = await this.#newestOf(link, subject, to, selection)
      if (event !== undefined && this.#isState(event, to)) events.push(event)
    }
    return events
  }

  #isPassed(message: NatsMessage, to: number, selection: Selection): boolean {
    const subject = this.#log.subjects.parse(message.subject)
    if (subject?.kind !== 'event' || !selection.matchesTopic(subject.topic)) return false
    return message.seq > to || !selection.matchesType(parseMessage(message, subject).event.type)
  }

  /** Looks at the newest messages of a subject as of a place, then at more of them. */
  async #newestOf(link: NatsLink, name: string, to: number, selection: Selection): Promise<LogEvent | undefined> {
    const subject = this.#log.subjects.parse(name)
    if (subject?.kind !== 'event') return undefined
    const isType = (message: NatsMessage): boolean => selection.matchesType(parseMessage(message, subject).event.type)
    for (let span = SEARCH_MESSAGES; ; span *= SEARCH_FACTOR) {
      const start = Math.max(1, to - span + 1)
      const seq = await this.#lastIn(link, name, start, to, isType)
      const message = seq === undefined ? undefined : await link.messageAt(seq)
      if (message !== undefined) return this.#log.eventOf(message, subject)
      if (start <= this.#log.floor + 1) return undefined
    }
  }

  async #lastIn(
    link: NatsLink,
    subject: string,
    start: number,
    to: number,
    isWanted: (message: NatsMessage) => boolean,
  ): Promise<number | undefined> {
    const request = { start: { seq: start }, filters: [subject], headersOnly: true }
    const pull = await NatsPull.open(link, this.#answerMs, request)
    let last: number | undefined
    try {
      for (;;) {
        const { messages, isEnd } = await pull.next(BATCH_MAX, PULL_BYTES)
        last = messages.findLast((message) => message.seq <= to && isWanted(message))?.seq ?? last
        if (isEnd || (messages.at(-1)?.seq ?? 0) > to) return last
      }
    } finally {
      pull.close()
    }
  }

  async #pull(
    link: NatsLink,
    selection: Selection,
    start: { readonly seq: number } | 'last-per-subject',
    headersOnly: boolean,
  ): Promise<NatsPull> {
    const { filters } = filtersOf(this.#log, selection, link.hasManyFilters) // NATS wants one for the last per subject
    return NatsPull.open(link, this.#answerMs, { start, filters, headersOnly })
  }
}
