// What is known of each topic beyond its events: the newest offset, trimmed or not, and whether it has ended.

import { CONTROL_TYPES } from 'hydrant-client/wire'
import { HydrantError } from '../hub/errors.ts'
import type { CheckedEvent, LogEvent } from '../hub/event.ts'
import { quote } from '../hub/topic.ts'
import type { IfLast } from './engine.ts'

/** One topic. */
interface Topic {
  readonly last: number
  readonly isEnded: boolean
}

/** Bounded: what was forgotten, the topics written to longest ago, counts as a topic without events. */
export class Topics {
  readonly #rowsMax: number
  /** In the order of their newest events. */
  readonly #topics = new Map<string, Topic>()

  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax
  }

  /** The offset at which a topic ended, if it did. */
  endOf(topic: string): number | undefined {
    const known = this.#topics.get(topic)
    return known?.isEnded === true ? known.last : undefined
  }

  /** Throws `topic-ended` or `last-conflict` when a batch must not be appended. */
  check(batch: readonly CheckedEvent[], ifLast: IfLast | undefined, idAt: (offset: number) => string): void {
    const ended = batch.find((event) => this.#isEnded(event.topic))
    if (ended !== undefined) {
      throw new HydrantError('topic-ended', `The topic ${quote(ended.topic)} has ended; nothing can follow.`)
    }
    if (ifLast === undefined) return
    const [topic = '', ...others] = new Set(batch.map((event) => event.topic))
    if (others.length > 0) throw new HydrantError('malformed-event', 'ifLast is for events of one topic.')
    const last = this.#topics.get(topic)?.last
    const lastId = last === undefined ? 'none' : idAt(last)
    if (lastId === ifLast) return
    throw new HydrantError('last-conflict', `The newest event of ${quote(topic)} is ${lastId}, not ${quote(ifLast)}.`)
  }

  /** Notes an event that is stored. */
  note(event: LogEvent): void {
    this.#topics.delete(event.topic)
    this.#topics.set(event.topic, { last: event.offset, isEnded: event.type === CONTROL_TYPES.end })
    if (this.#topics.size <= this.#rowsMax) return
    for (const oldest of this.#topics.keys()) {
      this.#topics.delete(oldest)
      return
    }
  }

  #isEnded(topic: string): boolean {
    return this.#topics.get(topic)?.isEnded === true
  }
}
