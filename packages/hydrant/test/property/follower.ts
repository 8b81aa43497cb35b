// A client that follows one or several selections, loses its connection, and comes back with the last id it received.

import type { LagPolicy } from 'hydrant-client/wire'
import type { StartRequest } from '../../src/hub/start.ts'
import type { Format } from '../../src/transport/format.ts'
import type { Subscriber } from '../../src/transport/subscriber.ts'
import { envelopeMessages, plainMessages, textFrame } from '../../src/transport/websocket-format.ts'
import { checkGap, Checker } from '../support/checker.ts'
import { FakeConnection } from '../support/fake-connection.ts'
import type { Wanted } from '../support/published-log.ts'
import { decodeReceived, type ReceivedFormat } from '../support/received.ts'
import type { World } from './world.ts'

/** How a follower begins. */
export type Beginning = 'resume' | 'now' | 'last' | 'earliest' | 'foreign'

/** One selection that it follows. */
interface Sub {
  readonly wanted: Wanted
  readonly lag: LagPolicy
  readonly checker: Checker
  /** Its number on the connection that is open; a new one each time. */
  label: number | undefined
  subscriber: Subscriber | undefined
}

/** See the head of the file. */
export class Follower {
  readonly #world: World
  readonly subs: readonly Sub[]
  connection: FakeConnection | undefined
  #format: ReceivedFormat = 'sse'
  #arrived: Uint8Array[] = []
  #taken = 0
  #labels = 0
  /** The subscription that the last label named, for judging gaps as they are sent. */
  #speaker = 0

  constructor(world: World, name: string, wanted: readonly Wanted[], lag: LagPolicy) {
    this.#world = world
    this.subs = wanted.map((one, at) => ({
      wanted: one,
      lag,
      checker: new Checker(world.log, one, `${name}.${at} (${one.topics.join(' ')} ${one.types?.join(' ')})`),
      label: undefined,
      subscriber: undefined,
    }))
  }

  /** Whether it has an open connection. */
  get isConnected(): boolean {
    return this.connection !== undefined && !this.connection.isClosed
  }

  /** Opens a connection and follows everything on it; a follower of several selections needs a WebSocket. */
  async connect(format: ReceivedFormat, beginning: Beginning, isLate: boolean): Promise<void> {
    if (this.isConnected) return
    this.read()
    this.#format = this.subs.length > 1 ? 'websocket' : format
    this.#arrived = []
    this.#taken = 0
    this.#speaker = 0
    const isWebSocket = this.#format.startsWith('websocket')
    const connection = new FakeConnection(this.#world.connections, {
      transport: isWebSocket ? 'websocket' : this.#format === 'ndjson' ? 'ndjson' : 'sse',
      isLabelled: this.#format === 'websocket',
      onSend: (bytes) => this.#judgeSent(bytes),
      onArrive: (bytes) => void this.#arrived.push(bytes),
    })
    this.#world.connections.add(connection)
    this.connection = connection
    for (const sub of this.subs) await this.#follow(connection, sub, beginning, isLate)
  }

  /** Leaves one selection, or comes back to it, while the connection stays. */
  async toggle(at: number): Promise<void> {
    const sub = this.subs[at % this.subs.length]
    const { connection } = this
    if (this.#format !== 'websocket' || sub === undefined || connection === undefined || connection.isClosed) return
    this.read()
    if (sub.subscriber === undefined) return this.#follow(connection, sub, 'resume', false)
    this.#world.connections.pump.unsubscribe(sub.subscriber)
    sub.subscriber = undefined
    sub.label = undefined
  }

  /** Reads what has arrived, and judges it. */
  read(): void {
    const received = decodeReceived(this.#format, Buffer.concat(this.#arrived)).slice(this.#taken)
    this.#taken += received.length
    for (const one of received) {
      const sub = this.#format === 'websocket' ? this.subs.find(({ label }) => label === one.sub) : this.subs[0]
      sub?.checker.take(one)
    }
    if (!this.isConnected) for (const sub of this.subs) sub.label = sub.subscriber = undefined
  }

  /** At the end of a run: judges that nothing is left. */
  end(): void {
    this.read()
    for (const sub of this.subs) sub.checker.end()
  }

  async #follow(connection: FakeConnection, sub: Sub, asked: Beginning, isLate: boolean): Promise<void> {
    const { hub, connections } = this.#world
    const isPlain = this.#format === 'websocket-plain'
    const beginning = isPlain ? 'now' : asked === 'resume' && sub.checker.at === undefined ? 'now' : asked
    const selection = hub.select(sub.wanted.topics, sub.wanted.types)
    const start = await hub.start(this.#request(beginning, sub), selection)
    if (isPlain) sub.checker.startAt(start.after)
    else if (beginning === 'foreign') sub.checker.startForeign()
    else if (beginning !== 'resume') sub.checker.startAnew()
    this.#labels += 1
    const label = this.#format === 'websocket' ? this.#labels : 0
    sub.label = label
    const begin = (): void => {
      if (connection.isClosed || sub.label !== label) return
      const opening = start.gap === undefined && this.#opening(label, hub.idAt(start.after), start.resumed)
      connection.mayHold = true
      if (opening) connections.pump.send(connection, opening)
      const format = this.#wireFormat()
      sub.subscriber = connections.pump.subscribe({ connection, selection, format, start, lag: sub.lag, label })
      connection.mayHold = false
    }
    if (isLate) this.#world.clock.defer(begin)
    else begin()
  }

  #request(beginning: Beginning, sub: Sub): StartRequest {
    if (beginning === 'resume') return { lastEventId: this.#world.idAt(sub.checker.at ?? 0) }
    if (beginning === 'foreign') return { lastEventId: 'bbbbbbbbbbbb-7' }
    if (beginning === 'last') return { last: 3 }
    return beginning === 'earliest' ? { earliest: true } : {}
  }

  /** What goes before a stream, but for one that begins with a gap: an id from behind the gap must not come before it. */
  #opening(label: number, id: string, isResumed: boolean): Uint8Array | undefined {
    if (this.#format === 'websocket-plain') return undefined
    if (this.#format === 'websocket') return textFrame(JSON.stringify({ subscribed: { sub: label, id } }))
    const format = this.#world.formats.get(this.#format, 'chunked')
    return isResumed ? format.resumed : format.open(id, 1_000)
  }

  #wireFormat(): Format {
    if (this.#format === 'websocket') return envelopeMessages
    return this.#format === 'websocket-plain' ? plainMessages : this.#world.formats.get(this.#format, 'chunked')
  }

  /** A gap is judged as it is declared, for later more is gone. */
  #judgeSent(bytes: Uint8Array): void {
    if (this.#format === 'websocket-plain') return
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 60)).toString()
    const label = /\{"sub":(\d+)\}$/.exec(text)?.[1]
    if (label !== undefined) this.#speaker = Number(label)
    if (!text.includes('hydrant:gap') && !text.includes('{"gap"')) return
    const sub = this.#format === 'websocket' ? this.subs.find((one) => one.label === this.#speaker) : this.subs[0]
    for (const one of decodeReceived(this.#format, bytes))
      if (one.kind === 'gap' && sub !== undefined) checkGap(one.gap, sub.wanted, this.#world.log, this.#world.floor)
  }
}
