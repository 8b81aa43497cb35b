// A hub in a world of its own: its time, its connections and what is published are the test's. It can crash: then a hub
// with an empty log takes its place, and of the old one nothing is left but the ids that its clients hold.

import assert from 'node:assert/strict'
import { formatId } from 'hydrant-client/wire'
import type { LogRange, StateRequest } from '../../src/engine/engine.ts'
import { MemoryEngine } from '../../src/engine/memory.ts'
import { Hub } from '../../src/hub/hub.ts'
import type { Limits } from '../../src/hub/limits.ts'
import { Connections } from '../../src/transport/connections.ts'
import { StreamFormats } from '../../src/transport/sse.ts'
import { END_TYPE, PublishedLog } from '../support/published-log.ts'
import { SlowEngine } from '../support/slow-engine.ts'
import { VirtualClock, settle } from '../support/virtual-clock.ts'

/** What is published. */
export interface Draft {
  readonly topic: string
  readonly type: string
  /** Events of 0 bytes delete their key; without a key they have some bytes. */
  readonly sizeBytes: number
  readonly key?: string | undefined
}

/** One life of the hub. */
interface Term {
  readonly clock: VirtualClock
  readonly log: PublishedLog
  readonly hub: Hub
  readonly connections: Connections
}

/** See the head of the file. */
export class World {
  readonly formats: StreamFormats = new StreamFormats('')
  readonly errors: unknown[] = []
  readonly #limits: Partial<Limits>
  readonly #readMs: (() => number) | undefined
  #term: Term
  #terms = 0
  #drafts = 0

  /** `readMs` is how long each reading of history takes; without it, no time. */
  constructor(limits: Partial<Limits>, readMs?: () => number) {
    this.#limits = limits
    this.#readMs = readMs
    this.#term = this.#begin()
  }

  get clock(): VirtualClock {
    return this.#term.clock
  }

  /** What was published in this term. */
  get log(): PublishedLog {
    return this.#term.log
  }

  get hub(): Hub {
    return this.#term.hub
  }

  get connections(): Connections {
    return this.#term.connections
  }

  /** Every event after this offset is in the log still. */
  get floor(): number {
    return this.hub.window.floor
  }

  /** The id of an offset. */
  idAt(offset: number): string {
    return formatId(this.log.epoch ?? '', offset)
  }

  /** Publishes one batch, and notes it. What is for topics that have ended must be refused, and all with it. */
  async publish(drafts: readonly Draft[]): Promise<void> {
    const events = drafts.map(({ topic, type, sizeBytes, key }) => {
      this.#drafts += 1
      const data = key !== undefined && sizeBytes === 0 ? '' : `${this.#drafts}:`.padEnd(sizeBytes, 'x')
      return { topic, type, key, data }
    })
    const possible = events.filter(({ topic }) => !this.log.hasEnded(topic))
    const { head } = this.hub.window
    if (possible.length < events.length) {
      await assert.rejects(this.hub.publishBatch(events), { code: 'topic-ended' })
      assert.equal(this.hub.window.head, head, 'of a batch that was refused something was stored')
    }
    const offsets = possible.map((_, at) => head + 1 + at)
    for (const [at, event] of possible.entries()) this.log.add({ ...event, offset: head + 1 + at })
    const ids = await this.hub.publishBatch(possible)
    this.log.noteFloor(offsets, this.floor)
    assert.deepEqual(
      ids,
      offsets.map((offset) => this.idAt(offset)),
    )
  }

  /** Ends a topic, unless it has ended. */
  async end(topic: string): Promise<void> {
    if (this.log.hasEnded(topic)) return assert.rejects(this.hub.end(topic), { code: 'topic-ended' })
    const offset = this.hub.window.head + 1
    this.log.add({ topic, type: END_TYPE, data: '{}', offset })
    assert.equal(await this.hub.end(topic), this.idAt(offset))
    this.log.noteFloor([offset], this.floor)
  }

  /** The process is gone between two steps, with all that it had in memory, and another one begins. */
  crash(): void {
    this.#term = this.#begin()
  }

  /** Lets the pump come to rest, and what waits for a timer take its time. */
  async rest(): Promise<void> {
    await settle()
    await this.clock.rest()
  }

  /** Stops the timers. */
  async close(): Promise<void> {
    await this.hub.close()
  }

  #begin(): Term {
    this.#terms += 1
    const epoch = this.#terms.toString(16).padStart(12, 'a')
    const clock = new VirtualClock()
    const options = { limits: this.#limits, epoch, nowMs: () => clock.nowMs() }
    const engine =
      this.#readMs === undefined ? new MemoryEngine(options) : new SlowStateEngine(options, clock, this.#readMs)
    const onError = (error: unknown): void => void this.errors.push(error)
    const hub = new Hub({ engine, clock, limits: this.#limits, onError })
    return { clock, log: new PublishedLog(epoch), hub, connections: new Connections(hub) }
  }
}

/** Readings of the state take time as well. */
class SlowStateEngine extends SlowEngine {
  readonly #wait: () => Promise<void>

  constructor(options: ConstructorParameters<typeof SlowEngine>[0], clock: VirtualClock, delayMs: () => number) {
    super(options, clock, delayMs)
    this.#wait = () => new Promise((resolve) => void clock.after(delayMs(), resolve))
  }

  override async state(request: StateRequest): Promise<LogRange> {
    const range = await super.state(request)
    await this.#wait()
    return range
  }
}
