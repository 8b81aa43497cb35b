// A hub in a world of its own: its time, its connections and what is published are the test's. It can crash, or stop
// and start again: then another hub takes its place, on what is left of the log (medium.ts), and of the old one nothing
// is left but the ids that its clients hold.

import assert from 'node:assert/strict'
import { Hub } from '../../src/hub/hub.ts'
import { HydrantError } from '../../src/hub/errors.ts'
import type { Limits } from '../../src/hub/limits.ts'
import { Connections } from '../../src/transport/connections.ts'
import { StreamFormats } from '../../src/transport/sse.ts'
import type { PublishedLog } from '../support/published-log.ts'
import { VirtualClock, settle } from '../support/virtual-clock.ts'
import { MemoryMedium, type Medium } from './medium.ts'
import { Truth } from './truth.ts'

/** What is published. */
export interface Draft {
  readonly topic: string
  readonly type: string
  /** Events of 0 bytes delete their key, but the first of a batch; that, and those without a key, have some bytes. */
  readonly sizeBytes: number
  readonly key?: string | undefined
}

/** What a world is made of. */
export interface WorldOptions {
  readonly limits: Partial<Limits>
  /** What the log is kept on. Default: memory. */
  readonly medium?: Medium
  /** How long each reading of history takes; without it, no time. */
  readonly readMs?: (() => number) | undefined
  /** How long each step of the engine takes. Default: no time. */
  readonly stepMs?: (() => number) | undefined
}

/** One life of the hub. */
interface Life {
  readonly clock: VirtualClock
  readonly hub: Hub
  readonly connections: Connections
  /** Requests to publish that wait. */
  readonly unanswered: Set<Promise<unknown>>
}

/** A request to publish that can be made again. */
interface Publish {
  readonly events: readonly { topic: string; type: string; key: string | undefined; data: string }[]
  readonly idempotencyKey: string | undefined
}

/** Batches of fewer events have a key, and can be published again. */
const KEYED_EVENTS = 4
/** Turns, of 10 ms of virtual time each, in which a hub that closes must have closed. */
const CLOSE_TURNS_MAX = 10_000

/** See the head of the file. */
export class World {
  readonly formats: StreamFormats = new StreamFormats('')
  readonly errors: unknown[] = []
  readonly #options: WorldOptions
  readonly #medium: Medium
  readonly #truth: Truth
  /** Those of which nobody knows whether they are stored, newest last. */
  readonly #doubtful: Publish[] = []
  #life: Life
  #lives = 0
  #drafts = 0

  constructor(options: WorldOptions) {
    this.#options = options
    this.#medium = options.medium ?? new MemoryMedium()
    this.#truth = new Truth(this.#medium)
    this.#life = this.#begin()
  }

  get clock(): VirtualClock {
    return this.#life.clock
  }

  /** What was published, as far as it is in the log. */
  get log(): PublishedLog {
    return this.#truth.log
  }

  get hub(): Hub {
    return this.#life.hub
  }

  get connections(): Connections {
    return this.#life.connections
  }

  /** Every event after this offset is in the log still. */
  get floor(): number {
    return this.#medium.floor
  }

  /** Whether every publisher of this life has its answer, and the tail has brought what they were promised. */
  get isQuiet(): boolean {
    return this.#life.unanswered.size === 0 && this.#truth.isDelivered
  }

  /** The id of an offset. */
  idAt(offset: number): string {
    return this.hub.idAt(offset)
  }

  /** Publishes one batch. It is stored when the engine has taken its steps: at once, where it is in memory. */
  async publish(drafts: readonly Draft[]): Promise<void> {
    const events = drafts.map(({ topic, type, sizeBytes, key }, at) => {
      this.#drafts += 1
      // By the first of its events a batch is known.
      const isDeletion = at > 0 && key !== undefined && sizeBytes === 0
      const data = isDeletion ? '' : `${this.#drafts}:`.padEnd(sizeBytes, 'x')
      return { topic, type, key, data }
    })
    this.#publish({ events, idempotencyKey: events.length < KEYED_EVENTS ? `${this.#drafts}` : undefined })
    await settle()
  }

  /** Publishes again what nobody knows the fate of. */
  async retry(): Promise<void> {
    const publish = this.#doubtful.pop()
    if (publish !== undefined) this.#publish(publish)
    await settle()
  }

  /** Ends a topic, unless it has ended. */
  async end(topic: string): Promise<void> {
    this.#observe(this.hub.end(topic), () => {})
    await settle()
  }

  /** The engine takes steps now. */
  async step(steps: number): Promise<void> {
    for (let taken = 0; taken < steps; taken += 1) {
      this.#medium.step()
      await settle()
    }
  }

  /** The next sync of the engine fails. */
  failSync(kept: number): void {
    this.#medium.failSync(kept)
  }

  /** Retention takes out all but so many events. */
  trim(events: number): void {
    this.#medium.trim(events)
  }

  /** The next message to the tail is lost, where that can happen. */
  loseTail(): void {
    this.#medium.loseTail()
  }

  /** The end of the log is undone while the process lives; `before` is called right before, with what stays. */
  async undo(events: number, before: (to: number) => void): Promise<void> {
    this.#truth.onUndo = before
    this.#medium.undo(events)
    await settle()
  }

  /** The process is gone between two steps, with all that it had in memory, and another one begins. */
  async crash(kept: number): Promise<void> {
    this.#medium.crash(kept)
    this.#truth.recover()
    this.#life = this.#begin()
    await this.hub.ready
  }

  /** The process ends in good order. */
  async stop(): Promise<void> {
    const { hub, clock } = this
    const closing = { isDone: false }
    void hub.close().then(() => (closing.isDone = true))
    // Whatever it waits for with a turn after the other needs time to pass meanwhile.
    for (let turns = 0; !closing.isDone && turns < CLOSE_TURNS_MAX; turns += 1) {
      await settle()
      await clock.turn()
      await clock.advance(10)
    }
    assert.ok(closing.isDone, 'the hub did not close')
  }

  /** Another process begins where one has ended. */
  async start(): Promise<void> {
    this.#truth.recover()
    this.#life = this.#begin()
    await this.hub.ready
  }

  /** Lets the pump come to rest, and what waits for a timer take its time. */
  async rest(): Promise<void> {
    await settle()
    await this.clock.rest()
  }

  /** Throws the first thing that is wrong beside the streams. */
  judge(): void {
    for (const error of [...this.#truth.faults, ...this.errors]) throw error
  }

  /** Judges that nothing is owed, and stops the timers. */
  async close(): Promise<void> {
    this.#truth.end()
    await this.hub.close()
    this.judge()
  }

  /** Gives back what the log took of the machine. */
  dispose(): void {
    this.#medium.dispose()
  }

  #publish(publish: Publish): void {
    const { events, idempotencyKey } = publish
    if (idempotencyKey !== undefined) this.#doubtful.push(publish)
    const settled = (): void => {
      const at = this.#doubtful.indexOf(publish)
      if (at !== -1) this.#doubtful.splice(at, 1)
    }
    this.#observe(this.hub.publishBatch(events, { idempotencyKey }), settled)
  }

  /** What the publisher is answered is judged by the witness; here it only matters whether it has an answer. */
  #observe(request: Promise<unknown>, settled: () => void): void {
    const refused = (error: unknown): void => {
      if (!(error instanceof HydrantError)) this.errors.push(error)
      else if (error.code === 'topic-ended') settled()
      else if (error.code !== 'unavailable' && error.code !== 'shutting-down') this.errors.push(error)
    }
    const { unanswered } = this.#life
    unanswered.add(request)
    void request.then(settled, refused).finally(() => unanswered.delete(request))
  }

  #begin(): Life {
    this.#lives += 1
    const { limits, readMs, stepMs = () => 0 } = this.#options
    const epoch = this.#lives.toString(16).padStart(12, 'a')
    const clock = new VirtualClock()
    const onTerm = (term: { readonly name: string; readonly first: number }): void => this.#truth.begin(term)
    const engine = this.#medium.open({ clock, limits, epoch, readMs, stepMs, onTerm })
    if (engine === undefined) return this.#begin() // it crashed at once
    const onError = (error: unknown): void => void this.errors.push(error)
    const hub = new Hub({ engine: this.#truth.witness(engine), clock, limits, onError })
    return { clock, hub, connections: new Connections(hub), unanswered: new Set() }
  }
}
