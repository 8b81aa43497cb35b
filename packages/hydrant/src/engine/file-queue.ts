// Requests to append that wait for their transaction. While one is under way the next collects, so that however many
// publishers there are, the disk syncs once for all of them.

import type { CheckedEvent } from '../hub/event.ts'
import type { Idempotency, IfLast } from './engine.ts'
import { addEvent, emptyColumns, type EventGroup } from './file-messages.ts'

/** One request. */
export interface PendingAppend {
  readonly batch: readonly CheckedEvent[]
  readonly bytes: number
  readonly idempotency: Idempotency | undefined
  readonly ifLast: IfLast | undefined
  readonly resolve: (ids: readonly string[]) => void
  readonly reject: (error: unknown) => void
}

/** Of one transaction; a larger request has one of its own. Some tens of milliseconds of work. */
const GROUP_EVENTS_MAX = 4_096
const GROUP_BYTES_MAX = 4_194_304
/** Fewer requests are not worth a transaction more. */
const HALVED_MIN = 16
/** Of all that waits. Beyond it publishers are refused: the disk does not keep up, and memory would not last. */
const QUEUE_BYTES_MAX = 67_108_864
/** What an event costs beside its data while it waits. */
const OVERHEAD_BYTES = 128

/** See the head of the file. */
export class AppendQueue {
  #waiting: PendingAppend[] = []
  #bytes = 0

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Whether a request of so many bytes must be refused. */
  isFull(bytes: number): boolean {
    return this.#bytes > 0 && this.#bytes + bytes > QUEUE_BYTES_MAX
  }

  /** Adds a request at the end. */
  push(append: PendingAppend): void {
    this.#waiting.push(append)
    this.#bytes += append.bytes
  }

  /** Takes the next group from the front; `isHalf`: half of what waits, if that is much. */
  take(isHalf = false): readonly PendingAppend[] {
    const waiting = this.#waiting.length
    const countMax = isHalf && waiting >= HALVED_MIN ? Math.ceil(waiting / 2) : waiting
    let [events, bytes, count] = [0, 0, 0]
    for (const append of this.#waiting) {
      events += append.batch.length
      bytes += append.bytes
      if (count === countMax) break
      if (count > 0 && (events > GROUP_EVENTS_MAX || bytes > GROUP_BYTES_MAX)) break
      count += 1
    }
    const group = this.#waiting.slice(0, count)
    this.#waiting = this.#waiting.slice(count)
    for (const append of group) this.#bytes -= append.bytes
    return group
  }
}

/** What a batch costs while it waits, about. */
export function bytesOf(batch: readonly CheckedEvent[]): number {
  let bytes = 0
  for (const { data } of batch) bytes += OVERHEAD_BYTES + data.length
  return bytes
}

/** A group as it travels to the writer. */
export function packGroup(group: readonly PendingAppend[], timeMs: number): EventGroup {
  const events = emptyColumns()
  for (const { batch } of group) for (const event of batch) addEvent(events, event)
  return {
    timeMs,
    counts: group.map(({ batch }) => batch.length),
    idempotency: group.map(({ idempotency }) => idempotency ?? null),
    ifLast: group.map(({ ifLast }) => ifLast ?? null),
    events,
  }
}
