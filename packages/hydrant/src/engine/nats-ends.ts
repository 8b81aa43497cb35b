// Ends of topics, all that are retained: every tail brings them, whatever else it brings.
//
// NATS cannot refuse a message because another subject has one. So an event may be stored after the end of its topic,
// by a node that had not heard of it yet. Such an event is void: its publisher is refused, and everybody leaves it out.
// Who published knowing of the end has found it gone from the log; then the topic goes on. Both is said by the message
// itself, which names how far its publisher's node had come, and so all nodes decide alike.

import type { LogEvent } from '../hub/event.ts'
import type { Selection } from '../hub/selection.ts'

/** Bounded: what ended longest ago is forgotten first. */
export class NatsEnds {
  readonly #max: number
  /** In the order of the log. */
  readonly #byTopic = new Map<string, LogEvent>()
  /** The same; rebuilt when it is needed and something has changed. */
  #sorted: readonly LogEvent[] | undefined

  constructor(max: number) {
    this.#max = max
  }

  /** The offset of the end. */
  of(topic: string): number | undefined {
    return this.#byTopic.get(topic)?.offset
  }

  /** Notes an end; they come in order. */
  note(end: LogEvent): void {
    this.#byTopic.delete(end.topic)
    this.#byTopic.set(end.topic, end)
    this.#sorted = undefined
    if (this.#byTopic.size <= this.#max) return
    for (const oldest of this.#byTopic.keys()) {
      this.#byTopic.delete(oldest)
      return
    }
  }

  /** Whether an event stands after the end of its topic, published by somebody who had not heard of it. */
  isVoid(topic: string, offset: number, publisherHead: number): boolean {
    const end = this.of(topic)
    return end !== undefined && offset > end && publisherHead < end
  }

  /** The topic goes on after its end. */
  forget(topic: string): void {
    if (this.#byTopic.delete(topic)) this.#sorted = undefined
  }

  /** Everything after this offset was undone. */
  undo(to: number): void {
    for (const { topic, offset } of this.#byTopic.values()) if (offset > to) this.forget(topic)
  }

  /** Forgets all. */
  clear(): void {
    this.#byTopic.clear()
    this.#sorted = undefined
  }

  /** Those of a selection in (after, to], in order. */
  between(after: number, to: number, selection: Selection): readonly LogEvent[] {
    if (this.#byTopic.size === 0) return []
    this.#sorted ??= [...this.#byTopic.values()]
    const from = placeAfter(this.#sorted, after)
    return this.#sorted.slice(from, placeAfter(this.#sorted, to)).filter(({ topic }) => selection.matchesTopic(topic))
  }
}

/** How many stand at or before an offset. */
function placeAfter(events: readonly LogEvent[], offset: number): number {
  let [low, high] = [0, events.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((events[middle]?.offset ?? 0) <= offset) low = middle + 1
    else high = middle
  }
  return low
}
