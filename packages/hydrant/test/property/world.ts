// A hub in a world of its own: its time, its connections and what is published are the test's.

import { formatId } from 'hydrant-client/wire'
import { MemoryEngine } from '../../src/engine/memory.ts'
import { Hub } from '../../src/hub/hub.ts'
import type { Limits } from '../../src/hub/limits.ts'
import { Connections } from '../../src/transport/connections.ts'
import { StreamFormats } from '../../src/transport/sse.ts'
import { PublishedLog } from '../support/published-log.ts'
import { SlowEngine } from '../support/slow-engine.ts'
import { VirtualClock, settle } from '../support/virtual-clock.ts'

/** What is published. */
export interface Draft {
  readonly topic: string
  readonly type: string
  readonly sizeBytes: number
}

/** The epoch of the world's log. */
export const EPOCH = 'aaaaaaaaaaaa'

/** See the head of the file. */
export class World {
  readonly clock: VirtualClock = new VirtualClock()
  readonly log: PublishedLog = new PublishedLog()
  readonly hub: Hub
  readonly connections: Connections
  readonly formats: StreamFormats = new StreamFormats('')
  readonly errors: unknown[] = []
  #drafts = 0

  /** `readMs` is how long each reading of history takes; without it, no time. */
  constructor(limits: Partial<Limits>, readMs?: () => number) {
    const options = { limits, epoch: EPOCH, nowMs: () => this.clock.nowMs() }
    const engine = readMs === undefined ? new MemoryEngine(options) : new SlowEngine(options, this.clock, readMs)
    this.hub = new Hub({ engine, clock: this.clock, limits, onError: (error) => void this.errors.push(error) })
    this.connections = new Connections(this.hub)
  }

  /** Every event after this offset is in the log still. */
  get floor(): number {
    return this.hub.window.floor
  }

  /** The id of an offset. */
  idAt(offset: number): string {
    return formatId(EPOCH, offset)
  }

  /** Publishes one batch, and notes it. */
  async publish(drafts: readonly Draft[]): Promise<void> {
    const events = drafts.map(({ topic, type, sizeBytes }) => {
      this.#drafts += 1
      return { topic, type, data: `${this.#drafts}:`.padEnd(sizeBytes, 'x') }
    })
    const first = this.hub.window.head + 1
    for (const [at, event] of events.entries()) this.log.add({ ...event, offset: first + at })
    await this.hub.publishBatch(events)
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
}
