// A pump in virtual time, with connections that the test opens, stalls and drains.

import type { LagPolicy } from 'hydrant-client/wire'
import type { Engine } from '../../src/engine/engine.ts'
import { MemoryEngine } from '../../src/engine/memory.ts'
import { Hub } from '../../src/hub/hub.ts'
import type { Limits } from '../../src/hub/limits.ts'
import type { StartRequest } from '../../src/hub/start.ts'
import { Connections } from '../../src/transport/connections.ts'
import type { Format } from '../../src/transport/format.ts'
import type { Pump } from '../../src/transport/pump.ts'
import { StreamFormats } from '../../src/transport/sse.ts'
import type { Subscriber } from '../../src/transport/subscriber.ts'
import { FakeConnection } from './fake-connection.ts'
import { parseStream, type StreamMessage } from './whatwg-parser.ts'
import { VirtualClock } from './virtual-clock.ts'

/** The epoch of its log. */
export const ROOM_EPOCH = 'aaaaaaaaaaaa'

/** Who follows what, and how. By default everything, as plain SSE, from now on. */
export interface FollowOptions {
  readonly topics?: readonly string[]
  readonly types?: readonly string[]
  readonly format?: Format
  readonly lag?: LagPolicy
  readonly start?: StartRequest
  /** Follow on a connection that is open. */
  readonly on?: Listener
  readonly label?: number
}

/** See the head of the file. */
export class PumpRoom {
  readonly clock: VirtualClock = new VirtualClock()
  readonly hub: Hub
  readonly connections: Connections
  readonly plain: Format
  readonly errors: unknown[] = []

  constructor(limits: Partial<Limits> = {}, makeEngine?: (clock: VirtualClock) => Engine) {
    const { clock } = this
    const engine = makeEngine?.(clock) ?? new MemoryEngine({ limits, epoch: ROOM_EPOCH, nowMs: () => clock.nowMs() })
    this.hub = new Hub({ engine, clock, limits, onError: (error) => void this.errors.push(error) })
    this.connections = new Connections(this.hub)
    this.plain = new StreamFormats('').get('sse', 'bare')
  }

  get pump(): Pump {
    return this.connections.pump
  }

  /** Starts a subscriber. It has no opening block: what it gets is the pump's alone. */
  async follow(options: FollowOptions = {}): Promise<Listener> {
    await this.hub.ready
    const { topics = ['**'], format = this.plain, lag = 'disconnect', label = 0 } = options
    const selection = this.hub.select(topics, options.types)
    const start = await this.hub.start(options.start ?? {}, selection)
    const listener = options.on ?? new Listener(this)
    if (options.on === undefined) this.connections.add(listener)
    listener.latest = this.pump.subscribe({ connection: listener, selection, format, start, lag, label })
    return listener
  }

  /** So many subscribers of the same. */
  async followMany(count: number, options: FollowOptions = {}): Promise<readonly Listener[]> {
    const all: Listener[] = []
    for (let at = 0; at < count; at += 1) all.push(await this.follow(options))
    return all
  }

  /** Publishes texts of a topic, in one batch, each of `bytes` at least. */
  async publish(topic: string, texts: readonly (string | number)[], bytes = 0): Promise<void> {
    await this.hub.publishBatch(texts.map((text) => ({ topic, data: String(text).padEnd(bytes, '.') })))
  }

  /** Turns until nothing is left to do. */
  async rest(): Promise<number> {
    return this.clock.rest()
  }

  /** Lets time pass in small steps, with turns in between. */
  async pass(ms: number, stepMs = 5): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      await this.clock.advance(Math.min(stepMs, ms - passed))
      await this.rest()
    }
  }

  /** The id of an offset. */
  idAt(offset: number): string {
    return this.hub.idAt(offset)
  }
}

/** A connection that keeps what arrives. */
export class Listener extends FakeConnection {
  readonly #arrived: Uint8Array[]
  /** The subscription that was started last. */
  latest: Subscriber | undefined

  constructor(room: PumpRoom) {
    const arrived: Uint8Array[] = []
    super(room.connections, { onArrive: (bytes) => void arrived.push(bytes) })
    this.#arrived = arrived
  }

  /** Everything that arrived, as bytes. */
  get bytes(): Buffer {
    return Buffer.concat(this.#arrived)
  }

  /** Everything that arrived, as the messages of an event stream. */
  get messages(): readonly StreamMessage[] {
    return parseStream(this.bytes.toString()).messages
  }

  /** The texts of the events, without what they were padded with; our own events as their type. */
  get texts(): readonly string[] {
    return this.messages.map(({ type, data }) => (type.startsWith('hydrant:') ? type : data.replace(/\.+$/, '')))
  }
}
