// What is true of a log, told by a witness that stands between a hub and its engine: what was asked to be stored, what
// was acknowledged, what the tail brought. It holds the engine to its promises, and is what streams are judged by.

import assert from 'node:assert/strict'
import { parseId } from 'hydrant-client/wire'
import type { Engine, Idempotency, IfLast, LogRange } from '../../src/engine/engine.ts'
import type { Epoch } from '../../src/hub/epochs.ts'
import { HydrantError } from '../../src/hub/errors.ts'
import type { CheckedEvent } from '../../src/hub/event.ts'
import { PublishedLog } from '../support/published-log.ts'
import type { Kept, Medium } from './medium.ts'

/** A batch that was given to the engine. */
interface Attempt {
  readonly batch: readonly CheckedEvent[]
  readonly key: string | undefined
  /** Where its first event is, once the tail brought it. */
  first: number | undefined
  /** What its caller was answered. */
  ids: readonly string[] | undefined
}

/** See the head of the file. */
export class Truth {
  readonly #medium: Medium
  log: PublishedLog = new PublishedLog()
  /** Called before the end of the log is undone, with the last offset that stays. */
  onUndo: (to: number) => void = () => {}
  /** What is wrong, in the order in which it was found. */
  readonly faults: unknown[] = []
  /** Accepted, and not seen yet. */
  #open: Attempt[] = []
  /** Seen by the tail. */
  #stored: Attempt[] = []
  /** Whether the process that is there now has begun a term. */
  #isBegun = false
  /** The batch that the tail is in the middle of. */
  #current: Attempt | undefined

  constructor(medium: Medium) {
    this.#medium = medium
  }

  /** A term begins; without a log that outlives the process, an empty one. */
  begin({ name, first }: Epoch): void {
    if (this.#medium.failures.survives === 'nothing') {
      this.log = new PublishedLog()
      this.#open = []
      this.#stored = []
    }
    this.log.begin(name, first)
    this.#isBegun = true
  }

  /** The engine, watched. */
  witness(engine: Engine): Engine {
    return {
      capabilities: engine.capabilities,
      ...(engine.window === undefined ? {} : { window: engine.window }),
      open: (tail, breaks) => {
        assert.ok(this.#isBegun, 'a process opened the log without a term of its own')
        return engine.open(
          (range) => {
            this.#watch(() => this.#tailed(range))
            tail(range)
          },
          breaks === undefined
            ? undefined
            : {
                skip: (to) => {
                  this.#watch(() => this.#skipped(to))
                  breaks.skip(to)
                },
                undo: (to) => {
                  this.onUndo(to)
                  this.#undo(to)
                  breaks.undo(to)
                },
              },
        )
      },
      bounds: () => engine.bounds(),
      endOf: (topic) => engine.endOf(topic),
      append: (batch, idempotency, ifLast) => this.#append(engine, batch, idempotency, ifLast),
      read: (request) => engine.read(request),
      state: (request) => engine.state(request),
      seek: (seek, selection) => engine.seek(seek, selection),
      close: () => engine.close(),
    }
  }

  /** After a crash: compares what is left with what was promised, and takes in what survived unheard. */
  recover(): void {
    this.#isBegun = false
    const { survives } = this.#medium.failures
    if (survives === 'nothing') return
    assert.equal(this.#current, undefined, 'the tail stopped within a batch')
    const { head, floor, events } = this.#medium.survivors()
    if (survives === 'most') this.#undo(head)
    assert.ok(head >= this.log.head, `of ${this.log.head} offsets ${head} survived`)
    const known = events.filter(({ offset }) => offset <= this.log.head)
    assert.deepEqual(
      known.map(({ offset, topic, type, key, data }) => ({ offset, topic, type, key, data })),
      this.log.after(floor),
      'what was acknowledged or delivered is not what is there after the crash',
    )
    this.#takeUnheard(head, floor, new Map(events.map((event) => [event.offset, event])))
    for (const { ids } of this.#open)
      assert.ok(ids === undefined || survives === 'most', `lost although acknowledged: ${ids?.join(' ')}`)
    this.#open = []
  }

  /** Whether the tail has brought whatever was acknowledged. */
  get isDelivered(): boolean {
    return this.#open.every(({ ids }) => ids === undefined)
  }

  /** At the end of a run: whatever was acknowledged was delivered. */
  end(): void {
    const lost = this.#open.flatMap(({ ids = [] }) => ids)
    assert.deepEqual(lost, [], 'acknowledged, and never delivered')
  }

  async #append(
    engine: Engine,
    batch: readonly CheckedEvent[],
    idempotency: Idempotency | undefined,
    ifLast: IfLast | undefined,
  ): Promise<readonly string[]> {
    const { log } = this
    const attempt: Attempt = { batch: [...batch], key: idempotency?.key, first: undefined, ids: undefined }
    this.#open.push(attempt)
    try {
      const ids = await engine.append(batch, idempotency, ifLast)
      if (log === this.log) this.#watch(() => this.#acknowledged(attempt, ids))
      return ids
    } catch (error) {
      if (log === this.log) this.#watch(() => this.#refused(attempt, error))
      throw error
    }
  }

  #tailed({ events, to }: LogRange): void {
    for (const event of events) {
      assert.equal(event.epoch, this.log.epoch, `the epoch of offset ${event.offset}`)
      this.#take(event)
    }
    assert.equal(this.#current, undefined, 'the tail brought a part of a batch')
    assert.equal(to, this.log.head, 'how far the tail came')
  }

  /** What the tail did not bring is in the log all the same. */
  #skipped(to: number): void {
    const { events } = this.#medium.survivors()
    for (const event of events) if (event.offset > this.log.head && event.offset <= to) this.#take(event)
    assert.equal(this.log.head, to, 'how far the tail skipped')
  }

  #take(event: Kept): void {
    const { topic, type, key, data, offset } = event
    const attempt = this.#current ?? this.#open.find(({ batch: [first] }) => isSame(first, event))
    assert.ok(attempt !== undefined, `offset ${offset} was never published, or came before`)
    const at = attempt.first === undefined ? 0 : offset - attempt.first
    assert.ok(isSame(attempt.batch[at], event), `offset ${offset} is not what should follow in its batch`)
    assert.ok(!this.log.hasEnded(topic), `offset ${offset} is stored behind the end of its topic`)
    attempt.first ??= offset
    this.log.add({ offset, topic, type, key, data: String(data) })
    this.log.noteFloor([offset], this.#medium.floor)
    this.#current = at + 1 === attempt.batch.length ? undefined : attempt
    if (this.#current === undefined) this.#settle(attempt)
  }

  /** What was stored, and the tail did not live to bring: some of it may be trimmed already. */
  #takeUnheard(head: number, floor: number, events: ReadonlyMap<number, Kept>): void {
    for (const attempt of this.#open) {
      const first = this.log.head + 1
      const isThere = ({ topic }: CheckedEvent, at: number): boolean => {
        const event = events.get(first + at)
        return event === undefined ? first + at <= floor && !this.log.hasEnded(topic) : isSame(attempt.batch[at], event)
      }
      if (attempt.batch.every(isThere))
        for (const [at, event] of attempt.batch.entries()) this.#take({ ...event, offset: first + at })
    }
    assert.equal(this.log.head, head, 'something survived that was never published, or a part of a batch')
  }

  #settle(attempt: Attempt): void {
    const twin = this.#twinOf(attempt)
    assert.equal(twin, undefined, `the request ${attempt.key} was stored twice`)
    this.#open = this.#open.filter((one) => one !== attempt)
    this.#stored.push(attempt)
    if (attempt.ids !== undefined) this.#checkIds(attempt)
    for (const { key, ids } of this.#open)
      if (key !== undefined && key === attempt.key && ids !== undefined) this.#checkIds({ ...attempt, ids })
    this.#open = this.#open.filter(({ key, ids }) => key === undefined || key !== attempt.key || ids === undefined)
  }

  #acknowledged(attempt: Attempt, ids: readonly string[]): void {
    attempt.ids = ids
    const twin = this.#twinOf(attempt)
    if (attempt.first === undefined && twin !== undefined) {
      this.#open = this.#open.filter((one) => one !== attempt)
      attempt.first = twin.first
    }
    if (attempt.first !== undefined) return this.#checkIds(attempt)
    assert.ok(this.#medium.failures.isTailLate, `acknowledged before it was delivered: ${ids.join(' ')}`)
  }

  #checkIds({ ids = [], first = 0, batch }: Attempt): void {
    const offsets = ids.map((id) => this.log.placeOf(parseId(id)))
    assert.deepEqual(
      offsets,
      batch.map((_, at) => first + at),
      `the ids ${ids.join(' ')} of what is stored at ${first}`,
    )
  }

  #refused(attempt: Attempt, error: unknown): void {
    if (!(error instanceof HydrantError)) throw error
    // By the time a caller hears that nobody knows, the log was opened anew: what it found, the tail has brought.
    this.#open = this.#open.filter((one) => one !== attempt)
    if (error.code === 'unavailable') return
    assert.equal(error.code, 'topic-ended')
    assert.equal(attempt.first, undefined, 'of a batch that was refused something was stored')
    if (this.#medium.failures.isTailLate) return // the tail may not have brought the end yet
    assert.ok(
      attempt.batch.some(({ topic }) => this.log.hasEnded(topic)),
      'a batch was refused although none of its topics has ended',
    )
  }

  #undo(head: number): void {
    if (head < this.log.head) this.log.undo(head)
    this.#stored = this.#stored.filter(({ first = 0 }) => first <= head)
  }

  /** The request with the same key that is stored. */
  #twinOf({ key }: Attempt): Attempt | undefined {
    return key === undefined ? undefined : this.#stored.find((one) => one.key === key)
  }

  #watch(look: () => void): void {
    try {
      look()
    } catch (fault) {
      this.faults.push(fault)
    }
  }
}

function isSame(event: CheckedEvent | undefined, other: CheckedEvent): boolean {
  return (
    event !== undefined &&
    event.topic === other.topic &&
    event.type === other.type &&
    event.key === other.key &&
    String(event.data) === String(other.data)
  )
}
