// Appending: what arrives while a call of the script is under way goes into the next one, so that however many
// publishers there are, each round trip carries for all of them.

import { CONTROL_TYPES, parseId } from 'hydrant-client/wire'
import { HydrantError } from '../hub/errors.ts'
import type { CheckedEvent } from '../hub/event.ts'
import type { Idempotency, IfLast } from './engine.ts'
import { idsOf, packRequest, type CommitReply, type PackedRequest } from './redis-commit.ts'

/** What the writer needs of its engine. */
export interface RedisWriterParts {
  /** Calls the script. Rejects with a HydrantError `unavailable` when it failed, or when that is not known. */
  readonly commit: (requests: readonly PackedRequest[]) => Promise<CommitReply>
  /** Waits until the tail has come to where the log is after a call, or not, when that may take long. */
  readonly reach: (reply: CommitReply) => Promise<void> | undefined
  /** Hears of the end of a topic that this node stored. */
  readonly ended: (topic: string, offset: number) => void
}

/** One request. */
interface Pending {
  readonly batch: readonly CheckedEvent[]
  readonly packed: PackedRequest
  readonly resolve: (ids: readonly string[]) => void
  readonly reject: (error: unknown) => void
}

/** Of one call; a larger request has one of its own. Some milliseconds in which Redis does nothing else. */
const CALL_EVENTS_MAX = 1_000
const CALL_BYTES_MAX = 1_048_576
/** While Redis works on one call the next is packed, if there is so much that it pays. */
const CALLS_MAX = 2
const SECOND_CALL_EVENTS = 200
/** Of all that waits. Beyond it publishers are refused: Redis does not keep up, and memory would not last. */
const QUEUE_BYTES_MAX = 67_108_864

/** See the head of the file. */
export class RedisWriter {
  readonly #parts: RedisWriterParts
  #waiting: Pending[] = []
  #bytes = 0
  #isScheduled = false
  #calls = 0
  #waitingEvents = 0
  #idle: (() => void) | undefined
  readonly #answering = new Set<Promise<void>>()
  #isClosed = false

  constructor(parts: RedisWriterParts) {
    this.#parts = parts
  }

  /** Stores a batch; answers its ids. Rejects with a HydrantError. */
  async append(
    batch: readonly CheckedEvent[],
    idempotency: Idempotency | undefined,
    ifLast: IfLast | undefined,
  ): Promise<readonly string[]> {
    if (this.#isClosed) throw new HydrantError('unavailable', 'The log is not open.')
    const packed = packRequest(batch, idempotency, ifLast)
    if (this.#bytes > 0 && this.#bytes + packed.bytes.length > QUEUE_BYTES_MAX)
      throw new HydrantError('unavailable', 'More is waiting to be stored than Redis keeps up with. Try again.')
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>()
    this.#waiting.push({ batch: [...batch], packed, resolve, reject })
    this.#bytes += packed.bytes.length
    this.#waitingEvents += batch.length
    this.#schedule()
    return promise
  }

  /** Takes no more; resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#isScheduled || this.#calls > 0) await new Promise<void>((resolve) => (this.#idle = resolve))
    await Promise.all(this.#answering)
  }

  /** At the end of the turn: the callers whom the last call answered are in it already. */
  #schedule(): void {
    if (this.#isScheduled || this.#calls === CALLS_MAX) return
    if (this.#calls > 0 && this.#waitingEvents < SECOND_CALL_EVENTS) return
    this.#isScheduled = true
    setImmediate(() => void this.#work())
  }

  async #work(): Promise<void> {
    this.#isScheduled = false
    this.#calls += 1
    const calling = this.#call(this.#take())
    if (this.#waiting.length > 0) this.#schedule()
    await calling
    this.#calls -= 1
    if (this.#waiting.length > 0) this.#schedule()
    else if (this.#calls === 0 && !this.#isScheduled) this.#idle?.()
  }

  async #call(group: readonly Pending[]): Promise<void> {
    try {
      const reply = await this.#parts.commit(group.map(({ packed }) => packed))
      // Not awaited: the next call need not wait for the tail.
      const answering = this.#answer(group, reply).finally(() => this.#answering.delete(answering))
      this.#answering.add(answering)
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  async #answer(group: readonly Pending[], reply: CommitReply): Promise<void> {
    const reached = this.#parts.reach(reply)
    if (reached !== undefined) await reached
    for (const [at, { batch, resolve, reject }] of group.entries()) {
      try {
        const ids = idsOf(reply.outcomes[at], batch)
        this.#noteEnds(batch, ids)
        resolve(ids)
      } catch (error) {
        reject(error)
      }
    }
  }

  #noteEnds(batch: readonly CheckedEvent[], ids: readonly string[]): void {
    for (const [at, { topic, type }] of batch.entries()) {
      if (type === CONTROL_TYPES.end) this.#parts.ended(topic, parseId(ids[at] ?? '')?.offset ?? 0)
    }
  }

  #take(): readonly Pending[] {
    let [events, bytes, count] = [0, 0, 0]
    for (const { batch, packed } of this.#waiting) {
      events += batch.length
      bytes += packed.bytes.length
      if (count > 0 && (events > CALL_EVENTS_MAX || bytes > CALL_BYTES_MAX)) break
      count += 1
    }
    const group = this.#waiting.slice(0, count)
    this.#waiting = this.#waiting.slice(count)
    for (const { batch, packed } of group) {
      this.#bytes -= packed.bytes.length
      this.#waitingEvents -= batch.length
    }
    return group
  }
}
