// What was trimmed: of each topic and type the highest offset that is gone, so that a quiet topic's subscriber with an
// old id is told of a gap only if an event of its own is really gone.

import { CONTROL_TYPES } from 'hydrant-client/wire'
import type { Selection } from '../hub/selection.ts'
import type { LogEvent } from '../hub/event.ts'

/** What is known of one topic. */
interface Topic {
  highest: number
  readonly byType: Map<string, number>
}

/** Whether something selected is gone after a cursor. */
export type Judgement =
  | { readonly gone: false }
  | { readonly gone: true; readonly to: number; readonly certain: true }
  | { readonly gone: 'unknown'; readonly to: number; readonly certain: false }

/**
 * Bounded by the number of (topic, type) pairs. What is forgotten first is what was trimmed longest ago; the highest
 * offset ever forgotten is kept as a floor, below which no certain answer exists.
 */
export class Trimmed {
  readonly #rowsMax: number
  /** In trim order: a topic that loses an event moves to the end. */
  readonly #topics = new Map<string, Topic>()
  #rows = 0
  #forgotten = 0

  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax
  }

  /** Notes an event that leaves the log. Events must leave in log order. */
  note(event: LogEvent): void {
    const topic = this.#topics.get(event.topic) ?? { highest: 0, byType: new Map<string, number>() }
    if (!topic.byType.has(event.type)) this.#rows += 1
    topic.byType.set(event.type, event.offset)
    topic.highest = event.offset
    this.#topics.delete(event.topic)
    this.#topics.set(event.topic, topic)
    while (this.#rows > this.#rowsMax) this.#forget()
  }

  /** Judges a cursor: is an event of this selection gone that stood after it? */
  judge(after: number, selection: Selection): Judgement {
    const to = this.#highest(selection)
    if (after < this.#forgotten && to <= this.#forgotten)
      return { gone: 'unknown', to: this.#forgotten, certain: false }
    return to > after ? { gone: true, to, certain: true } : { gone: false }
  }

  #highest(selection: Selection): number {
    let highest = 0
    if (selection.exactTopics !== undefined) {
      for (const name of selection.exactTopics)
        highest = Math.max(highest, highestOf(this.#topics.get(name), selection))
      return highest
    }
    for (const [name, topic] of this.#topics) {
      if (topic.highest > highest && selection.matchesTopic(name))
        highest = Math.max(highest, highestOf(topic, selection))
    }
    return highest
  }

  #forget(): void {
    for (const [name, topic] of this.#topics) {
      this.#topics.delete(name)
      this.#rows -= topic.byType.size
      this.#forgotten = topic.highest
      return
    }
  }
}

function highestOf(topic: Topic | undefined, selection: Selection): number {
  if (topic === undefined) return 0
  if (selection.types === undefined) return topic.highest
  let highest = topic.byType.get(CONTROL_TYPES.end) ?? 0
  for (const type of selection.types) highest = Math.max(highest, topic.byType.get(type) ?? 0)
  return highest
}
