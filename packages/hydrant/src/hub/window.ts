// The window: the newest part of the log, in memory, one per process, shared by every subscriber.
//
//   trimmed │ floor │ events …………………………… │ head
//           └ everything after the floor is here; `read` answers for any cursor at or after it
//
// One bound, in bytes, holds it: an event is charged when it is appended, and again for each encoding made of it.
// Locked by test/property/window.test.ts, against a naive array.

import { InvariantError } from './errors.ts'
import type { LogEvent } from './event.ts'
import type { Selection } from './selection.ts'

/** Above so many topics the events are scanned in order rather than merged from the topics' indexes. */
const MERGED_TOPICS_MAX = 16

/** The objects around an encoding, and what is left over in its slab (measured: 140 to 180). */
const ENCODING_OVERHEAD_BYTES = 160

/**
 * How much a window may hold so that the process grows by no more than `windowBytes` for it. What was trimmed stays in
 * memory until the garbage collector comes to it, when the heap has grown by 40 % (`--heap-growing-percent`, which the
 * command sets), and the allocator keeps some of what it was given back. Measured with 100 stalled clients and 200 MB
 * published, events of 16 KB: 36 MB of content let the process grow by 63 to 67 MB.
 */
export function contentBytes(windowBytes: number): number {
  return Math.floor(windowBytes / 2)
}

/** Looks at an event; answers false to stop before it. */
export type Visit = (event: LogEvent) => boolean

/** Of a selection, which types it has. */
export type SelectedTypes = Pick<Selection, 'types' | 'matchesType'>

/** Recent events by offset. */
export class Window {
  readonly #bytesMax: number
  readonly #onTrim: (event: LogEvent) => void
  readonly #events = new Queue()
  readonly #byTopic = new Map<string, TopicEvents>()
  #bytes = 0
  #floor: number
  #head: number

  /**
   * `after`: the offset at which the window starts, 0 for a new log. `onTrim` is called for each event that leaves,
   * in log order.
   */
  constructor(options: {
    readonly bytesMax: number
    readonly after?: number
    readonly onTrim?: (event: LogEvent) => void
  }) {
    this.#bytesMax = options.bytesMax
    this.#onTrim = options.onTrim ?? (() => {})
    this.#floor = this.#head = options.after ?? 0
  }

  /** Every event after this offset is here. */
  get floor(): number {
    return this.#floor
  }

  /** The newest offset. */
  get head(): number {
    return this.#head
  }

  /** What the events and their encodings take, about. */
  get bytes(): number {
    return this.#bytes
  }

  /** How many events are here. */
  get length(): number {
    return this.#events.length
  }

  /** Takes the next event of the log, and lets go of the oldest while there are more bytes than allowed. */
  append(event: LogEvent): void {
    if (event.offset <= this.#head) {
      throw new InvariantError(`offset ${event.offset} was appended to a window whose head is ${this.#head}`)
    }
    this.#head = event.offset
    this.#bytes += event.sizeBytes
    this.#push(event)
    if (this.#bytes > this.#bytesMax) this.#trim()
  }

  /** There is nothing between the head and this offset. */
  advance(to: number): void {
    if (to > this.#head) this.#head = to
  }

  /** Lets go of everything, and begins anew after this offset, which may lie before the head. */
  restart(after: number): void {
    this.#events.clear()
    this.#byTopic.clear()
    this.#bytes = 0
    this.#floor = this.#head = after
  }

  /** Lets go of everything after an offset, which was undone, and goes on from there. */
  undo(to: number): void {
    const kept: LogEvent[] = []
    for (let at = 0; at < this.#events.length && this.#events.at(at).offset <= to; at += 1)
      kept.push(this.#events.at(at))
    const bytes = kept.reduce((sum, event) => sum + costOf(event), 0)
    this.restart(Math.min(this.#floor, to))
    for (const event of kept) {
      event.supersededBy = 0
      this.#push(event)
    }
    this.#bytes = bytes
    this.#head = to
  }

  /** Charges for an encoding that was just made of an event, if it is still here; `settle` restores the bound. */
  charge(event: LogEvent, bytes: number): void {
    if (event.offset > this.#floor) this.#bytes += bytes + ENCODING_OVERHEAD_BYTES
  }

  /** Lets go of what the encodings of new events made too much. The pump calls it after each flush of events. */
  settle(): void {
    if (this.#bytes > this.#bytesMax) this.#trim()
  }

  /** Whether so much more fits. */
  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes + ENCODING_OVERHEAD_BYTES <= this.#bytesMax
  }

  /**
   * Visits the selected events after the cursor in log order, until the head, or until `visit` answers false, or until
   * `scanMax` events were looked at. Answers the offset up to which everything selected was visited.
   *
   * The cursor must not be before the floor: what was trimmed is the engine's to judge.
   */
  read(after: number, selection: Selection, visit: Visit, scanMax: number): number {
    if (after < this.#floor) throw new InvariantError(`a window from ${this.#floor} was read from ${after}`)
    const topics = selection.exactTopics
    if (topics?.length === 1) {
      const queue = this.#byTopic.get(topics[0] ?? '')?.queue
      return queue === undefined ? this.#head : this.#scan(queue, after, selection, visit, scanMax)
    }
    if (topics !== undefined && topics.length <= MERGED_TOPICS_MAX)
      return this.#merge(topics, after, selection, visit, scanMax)
    return this.#scan(this.#events, after, selection, visit, scanMax)
  }

  /**
   * Whether a newer event of its topic and key is here, up to an offset, that the selection has, too: an event that is
   * not selected stands for nothing. Events without a key count as one key.
   */
  isSuperseded(event: LogEvent, selection: SelectedTypes, to: number = Infinity): boolean {
    if (selection.types === undefined) return event.supersededBy > 0 && event.supersededBy <= to
    const queue = this.#byTopic.get(event.topic)?.queue
    if (queue === undefined) return false
    let offset = event.supersededBy
    while (offset > 0 && offset <= to) {
      const next = queue.find(offset)
      if (next === undefined) return false // it has left the window, and nothing is known of its type
      if (selection.matchesType(next.type)) return true
      offset = next.supersededBy
    }
    return false
  }

  /**
   * The newest events at first: the offset after which the last `count` selected ones stand, or the floor when
   * there are fewer.
   */
  seekLast(count: number, selection: Selection): number {
    let missing = count
    if (missing <= 0) return this.#head
    for (let at = this.#events.length - 1; at >= 0; at -= 1) {
      const event = this.#events.at(at)
      if (selection.matches(event.topic, event.type) && (missing -= 1) === 0) return event.offset - 1
    }
    return this.#floor
  }

  /** The offset after which the first event at or after this time stands; the head when there is none. */
  seekTime(timeMs: number): number {
    const at = this.#events.search((event) => event.timeMs >= timeMs)
    return at === this.#events.length ? this.#head : this.#events.at(at).offset - 1
  }

  #scan(queue: Queue, after: number, selection: Selection, visit: Visit, scanMax: number): number {
    const begin = queue.indexAfter(after)
    const end = Math.min(queue.length, begin + scanMax)
    for (let at = begin; at < end; at += 1) {
      const event = queue.at(at)
      if (selection.matches(event.topic, event.type) && !visit(event)) return event.offset - 1
    }
    return end === queue.length ? this.#head : queue.at(end).offset - 1
  }

  /**
   * Reads a few topics from their own indexes, always the oldest of them next: a quiet topic does not cost a
   * scan of the busy ones.
   */
  #merge(topics: readonly string[], after: number, selection: Selection, visit: Visit, scanMax: number): number {
    const heads: { queue: Queue; at: number }[] = []
    for (const topic of topics) {
      const queue = this.#byTopic.get(topic)?.queue
      if (queue !== undefined) heads.push({ queue, at: queue.indexAfter(after) })
    }
    for (let scanned = 0; ; scanned += 1) {
      let oldest: { queue: Queue; at: number } | undefined
      let event: LogEvent | undefined
      for (const head of heads) {
        if (head.at === head.queue.length) continue
        const candidate = head.queue.at(head.at)
        if (event === undefined || candidate.offset < event.offset) {
          oldest = head
          event = candidate
        }
      }
      if (event === undefined || oldest === undefined) return this.#head
      if (scanned === scanMax || (selection.matches(event.topic, event.type) && !visit(event))) return event.offset - 1
      oldest.at += 1
    }
  }

  #push(event: LogEvent): void {
    this.#events.push(event)
    let topic = this.#byTopic.get(event.topic)
    if (topic === undefined) this.#byTopic.set(event.topic, (topic = new TopicEvents()))
    topic.append(event)
  }

  #trim(): void {
    while (this.#bytes > this.#bytesMax && this.#events.length > 1) {
      const event = this.#events.shift()
      const topic = this.#byTopic.get(event.topic)
      if (topic?.shift() !== event)
        throw new InvariantError(`offset ${event.offset} is not the oldest of its topic in the window`)
      if (topic.queue.length === 0) this.#byTopic.delete(event.topic)
      this.#bytes -= costOf(event)
      this.#floor = event.offset
      this.#onTrim(event)
    }
  }
}

/** What an event and its encodings are charged with. */
function costOf(event: LogEvent): number {
  let bytes = event.sizeBytes
  for (const encoding of event.encodings) {
    if (encoding !== undefined) bytes += encoding.length + ENCODING_OVERHEAD_BYTES
  }
  return bytes
}

/** The events of one topic, and the newest of each key. */
class TopicEvents {
  readonly queue = new Queue()
  /** Events without a key have none in common but this one, which no key can be. */
  readonly #newest = new Map<string, LogEvent>()

  append(event: LogEvent): void {
    const key = event.key ?? ''
    const before = this.#newest.get(key)
    if (before !== undefined) before.supersededBy = event.offset
    this.#newest.set(key, event)
    this.queue.push(event)
  }

  shift(): LogEvent {
    const event = this.queue.shift()
    const key = event.key ?? ''
    if (this.#newest.get(key) === event) this.#newest.delete(key)
    return event
  }
}

/** Events in log order: pushed at the end, shifted from the start in constant time, searched by offset. */
class Queue {
  #events: (LogEvent | undefined)[] = []
  #start = 0

  get length(): number {
    return this.#events.length - this.#start
  }

  at(index: number): LogEvent {
    const event = this.#events[this.#start + index]
    if (event === undefined) throw new InvariantError(`there is no event at ${index} of ${this.length}`)
    return event
  }

  push(event: LogEvent): void {
    this.#events.push(event)
  }

  shift(): LogEvent {
    const event = this.at(0)
    this.#events[this.#start] = undefined
    this.#start += 1
    if (this.#start > 64 && this.#start * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#start)
      this.#start = 0
    }
    return event
  }

  clear(): void {
    this.#events = []
    this.#start = 0
  }

  /** The event at an offset, if it is here. */
  find(offset: number): LogEvent | undefined {
    const at = this.indexAfter(offset - 1)
    const event = at === this.length ? undefined : this.at(at)
    return event?.offset === offset ? event : undefined
  }

  indexAfter(offset: number): number {
    const newest = this.#events.at(-1)
    if (newest === undefined || newest.offset <= offset) return this.length
    return this.search((event) => event.offset > offset)
  }

  /** The first index whose event is so; `isSo` must stay true once it is. */
  search(isSo: (event: LogEvent) => boolean): number {
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isSo(this.at(middle))) high = middle
      else low = middle + 1
    }
    return low
  }
}
