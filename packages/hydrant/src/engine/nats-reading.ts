// A reading of the log under way: a place, and what was pulled beyond it.

import type { LogEvent } from '../hub/event.ts'
import type { Selection } from '../hub/selection.ts'
import type { LogRange, ReadRequest } from './engine.ts'
import type { NatsLog } from './nats-log.ts'
import type { NatsPull } from './nats-pull.ts'

/** Messages asked for at once. */
export const BATCH_MAX = 1_000

/** What is read. */
export interface ReadingOptions {
  readonly pull: NatsPull
  readonly selection: Selection
  /** Strictly after this offset. */
  readonly after: number
  /** Of the messages that are pulled and selected. */
  readonly isWanted: (event: LogEvent) => boolean
  /** What is known otherwise of (after, to], in order. */
  readonly known: (after: number, to: number) => readonly LogEvent[]
}

/** See the head of the file. */
export class NatsReading {
  readonly #log: NatsLog
  readonly #options: ReadingOptions
  #at: number
  #pulled: readonly LogEvent[] = []
  /** What is pulled reaches up to here. */
  #pulledTo: number

  constructor(log: NatsLog, options: ReadingOptions) {
    this.#log = log
    this.#options = options
    this.#at = options.after
    this.#pulledTo = options.after
  }

  /** Of events, and of ends, which are known: see nats-ends.ts. */
  static ofHistory(log: NatsLog, pull: NatsPull, selection: Selection, after: number): NatsReading {
    return new NatsReading(log, {
      pull,
      selection,
      after,
      isWanted: () => true,
      known: (from, to) => log.ends.between(from, to, selection),
    })
  }

  /** Everything up to here was given. */
  get at(): number {
    return this.#at
  }

  /** What is selected up to a place, within limits; ends early when many messages were looked at. */
  async page(
    to: number,
    { eventsMax, bytesMax }: Pick<ReadRequest, 'eventsMax' | 'bytesMax'>,
    scanEventsMax: number,
  ): Promise<LogRange> {
    const events: LogEvent[] = []
    let bytes = 0
    for (let scanned = 0; this.#at < to && scanned < scanEventsMax;) {
      scanned += await this.#fill(to, eventsMax, bytesMax)
      const reach = Math.min(to, this.#pulledTo)
      for (const event of this.#pulled) {
        if (event.offset > reach) break
        bytes += event.data.length
        if (events.length > 0 && (events.length === eventsMax || bytes > bytesMax)) return { events, to: this.#at }
        events.push(event)
        this.#moveTo(event.offset)
      }
      this.#moveTo(reach)
    }
    return { events, to: this.#at }
  }

  /** It is not needed any more. */
  close(): void {
    this.#options.pull.close()
  }

  #moveTo(at: number): void {
    this.#at = at
    const kept = this.#pulled.findIndex(({ offset }) => offset > at)
    this.#pulled = kept === -1 ? [] : this.#pulled.slice(kept)
  }

  /** Answers how many messages were looked at. */
  async #fill(to: number, eventsMax: number, bytesMax: number): Promise<number> {
    if (this.#pulledTo > this.#at) return 0
    const { pull, selection, isWanted, known } = this.#options
    const { messages, isEnd } = await pull.next(Math.min(eventsMax, BATCH_MAX), bytesMax)
    const events: LogEvent[] = []
    for (const message of messages) {
      const subject = this.#log.subjects.parse(message.subject)
      if (subject?.kind !== 'event') continue
      const event = this.#log.eventOf(message, subject)
      if (event !== undefined && selection.matches(event.topic, event.type) && isWanted(event)) events.push(event)
    }
    const last = Math.max(messages.at(-1)?.seq ?? 0, this.#pulledTo)
    const pulledTo = isEnd ? Math.max(last, to) : last // all that was stored before it was asked for has come
    this.#pulled = merged(events, known(this.#pulledTo, pulledTo))
    this.#pulledTo = pulledTo
    return messages.length + 1
  }
}

/** In the order of the log, each once. */
function merged(events: readonly LogEvent[], more: readonly LogEvent[]): readonly LogEvent[] {
  if (more.length === 0) return events
  const byOffset = new Map([...events, ...more].map((event) => [event.offset, event]))
  return [...byOffset.values()].toSorted((one, other) => one.offset - other.offset)
}
