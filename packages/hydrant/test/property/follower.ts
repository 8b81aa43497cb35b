// A client that follows one or several selections, loses its connection, and comes back with the last id it received.

import assert from 'node:assert/strict'
import type { LagPolicy } from 'hydrant-client/wire'
import type { Selection } from '../../src/hub/selection.ts'
import type { Start, StartRequest } from '../../src/hub/start.ts'
import type { Format } from '../../src/transport/format.ts'
import type { Subscriber } from '../../src/transport/subscriber.ts'
import { envelopeMessages, plainMessages, textFrame } from '../../src/transport/websocket-format.ts'
import { checkGap, Checker } from '../support/checker.ts'
import { FakeConnection } from '../support/fake-connection.ts'
import type { Wanted } from '../support/published-log.ts'
import { decodeReceived, type Received, type ReceivedFormat } from '../support/received.ts'
import type { World } from './world.ts'

/** How a follower begins; `resume-state` asks for the state in case that its id is too old. */
export type Beginning = 'resume' | 'resume-state' | 'now' | 'last' | 'earliest' | 'state' | 'foreign'

/** One selection that it follows. */
interface Sub {
  readonly wanted: Wanted
  readonly lag: LagPolicy
  readonly checker: Checker
  /** Its number on the connection that is open; a new one each time. */
  label: number | undefined
  subscriber: Subscriber | undefined
  /** Whether it is sent the state. */
  isInState: boolean
  /** Whether it was told that nothing can follow. */
  isOver: boolean
}

/** See the head of the file. */
export class Follower {
  readonly #world: World
  readonly subs: readonly Sub[]
  connection: FakeConnection | undefined
  #format: ReceivedFormat = 'sse'
  #arrived: Uint8Array[] = []
  /** Writes, and things in them, that were read. */
  #writesRead = 0
  #taken = 0
  #labels = 0
  /** The subscription that the last label named, for judging gaps as they are sent. */
  #speaker = 0
  /** Set while an answer is sent, which is no part of a stream. */
  #isAnswering = false

  constructor(world: World, name: string, wanted: readonly Wanted[], lag: LagPolicy) {
    this.#world = world
    this.subs = wanted.map((one, at) => {
      const full = `${name}.${at} (${one.topics.join(' ')} ${one.types?.join(' ')} ${lag})`
      const checker = new Checker(world.log, one, full, lag === 'latest')
      return { wanted: one, lag, checker, label: undefined, subscriber: undefined, isInState: false, isOver: false }
    })
  }

  /** Whether it has an open connection. */
  get isConnected(): boolean {
    return this.connection !== undefined && !this.connection.isClosed
  }

  /** Whether it was told of everything that it follows that nothing can follow. */
  get isOver(): boolean {
    return this.subs.every(({ isOver }) => isOver)
  }

  /** Whether it has received everything that there is, and is at the head. */
  get hasAll(): boolean {
    const { log } = this.#world
    this.read()
    return this.subs.every(
      ({ isOver, subscriber, checker, wanted }) =>
        isOver || (subscriber?.state === 'live' && log.wanted(wanted, checker.at ?? 0, log.head).length === 0),
    )
  }

  /** Opens a connection and follows everything on it; a follower of several selections needs a WebSocket. */
  async connect(format: ReceivedFormat, beginning: Beginning, isLate: boolean): Promise<void> {
    if (this.isConnected) return
    this.read()
    this.#format = this.subs.length > 1 ? 'websocket' : format
    this.#arrived = []
    this.#taken = this.#writesRead = 0
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
  async toggle(at: number, beginning: Beginning): Promise<void> {
    const sub = this.subs[at % this.subs.length]
    const { connection } = this
    if (this.#format !== 'websocket' || sub === undefined || connection === undefined || connection.isClosed) return
    this.read()
    if (sub.label === undefined) return this.#follow(connection, sub, beginning, false)
    if (sub.subscriber !== undefined) this.#world.connections.pump.unsubscribe(sub.subscriber)
    sub.subscriber = undefined
    sub.label = undefined
  }

  /** Reads what has arrived, and judges it. */
  read(): void {
    for (const one of this.#receive()) {
      const sub = this.#format === 'websocket' ? this.subs.find(({ label }) => label === one.sub) : this.subs[0]
      sub?.checker.take(one)
      if (one.kind === 'ended' && sub !== undefined) this.#leave(sub, true)
    }
    if (this.isConnected) return
    const isDone = this.connection?.ended === 'done'
    for (const sub of this.subs) {
      if (isDone && sub.label !== undefined) sub.checker.takeEnd()
      this.#leave(sub, sub.isOver || (isDone && sub.label !== undefined))
    }
  }

  /** The hub is gone, and perhaps what had ended with it: of what was on the way so much arrives. */
  lose(arriving: number): void {
    this.connection?.cut(arriving)
    this.read()
    for (const sub of this.subs) sub.isOver = false
  }

  /**
   * Everything after `to` is about to be undone. What is on the way arrives first, and whoever is not simply streaming
   * loses its connection: of an answer that crosses an undoing nothing is promised but that its ids are judged anew.
   */
  undone(to: number): void {
    const isStarting = this.subs.some(({ label, subscriber }) => label !== undefined && subscriber === undefined)
    const isInState = this.subs.some((sub) => sub.isInState)
    if (isStarting || isInState || this.connection?.heldBytes !== 0) this.connection?.cut(1)
    this.read()
    for (const sub of this.subs) {
      sub.isOver = false
      sub.checker.undone(to)
    }
  }

  /** At the end of a run: judges that nothing is left, and that what is over was told so. */
  end(): void {
    this.read()
    for (const sub of this.subs) {
      sub.checker.end()
      assert.equal(sub.isOver, this.#world.log.isOver(sub.wanted), `${sub.wanted.topics.join(' ')}: over or not`)
    }
  }

  /** What has arrived whole since the last time. */
  #receive(): readonly Received[] {
    if (this.#arrived.length === this.#writesRead) return []
    this.#writesRead = this.#arrived.length
    const received = decodeReceived(this.#format, Buffer.concat(this.#arrived)).slice(this.#taken)
    this.#taken += received.length
    return received
  }

  #leave(sub: Sub, isOver: boolean): void {
    sub.label = sub.subscriber = undefined
    sub.isOver = isOver
  }

  async #follow(connection: FakeConnection, sub: Sub, asked: Beginning, isLate: boolean): Promise<void> {
    const { hub } = this.#world
    const isPlain = this.#format === 'websocket-plain'
    const isNew = asked.startsWith('resume') && sub.checker.id === undefined
    const beginning = isPlain ? 'now' : isNew ? (asked === 'resume' ? 'now' : 'state') : asked
    this.#labels += 1
    const label = (sub.label = this.#format === 'websocket' ? this.#labels : 0)
    sub.isOver = false
    const selection = hub.select(sub.wanted.topics, sub.wanted.types)
    const request = requestOf(beginning, sub)
    const isStill = (): boolean => !connection.isClosed && sub.label === label
    const found = (start: Start): void => {
      if (!isStill()) return
      this.#startChecker(sub, start, request.lastEventId)
      if (this.#staysAway(connection, sub, start, selection)) return
      const begin = (): void => {
        if (isStill()) this.#begin(connection, sub, start, selection, label)
      }
      if (isLate) this.#world.clock.defer(begin)
      else begin()
    }
    const failures = this.#world.errors
    void hub
      .start(request, selection)
      .then(found)
      .catch((error: unknown) => void failures.push(error))
    await new Promise(setImmediate) // by then it is found, unless the engine takes its time
  }

  #startChecker({ checker }: Sub, start: Start, lastEventId: string | undefined): void {
    const { log } = this.#world
    if (this.#format === 'websocket-plain') checker.startAt(log, start.after)
    else if (lastEventId !== undefined) checker.startAfter(log, lastEventId)
    else checker.startAnew(log)
    if (start.stateTo !== undefined) checker.startState(start.stateTo)
  }

  /** Over HTTP, who has everything of what is over is answered 204. */
  #staysAway(connection: FakeConnection, sub: Sub, start: Start, selection: Selection): boolean {
    if (this.#format.startsWith('websocket') || !start.resumed || start.gap !== undefined) return false
    if (start.after < (this.#world.hub.endOf(selection) ?? Infinity)) return false
    connection.cut(0)
    sub.checker.takeEnd()
    this.#leave(sub, true)
    return true
  }

  #begin(connection: FakeConnection, sub: Sub, start: Start, selection: Selection, label: number): void {
    const { pump } = this.#world.connections
    const isPlain = this.#format === 'websocket-plain'
    // Without ids nobody can be judged who was sent the newest alone.
    const lag = isPlain && sub.lag === 'latest' ? 'disconnect' : sub.lag
    const opening = this.#opening(label, start)
    sub.isInState = start.stateTo !== undefined
    connection.mayHold = this.#isAnswering = true
    if (opening) pump.send(connection, opening)
    sub.subscriber = pump.subscribe({ connection, selection, format: this.#wireFormat(), start, lag, label })
    connection.mayHold = this.#isAnswering = false
  }

  /** What goes before a stream; an id from behind a gap must not come before the gap. */
  #opening(label: number, { gap, after, resumed }: Start): Uint8Array | undefined {
    if (this.#format === 'websocket-plain') return undefined
    const id = this.#world.hub.idAt(after)
    if (this.#format === 'websocket')
      return textFrame(JSON.stringify({ subscribed: { sub: label, id: gap?.from ?? id } }))
    const format = this.#world.formats.get(this.#format, 'chunked')
    return resumed ? format.resumed : format.open(id, 1_000)
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
    const sub = this.#format === 'websocket' ? this.subs.find((one) => one.label === this.#speaker) : this.subs[0]
    if (sub === undefined) return
    const { floor, log } = this.#world
    if (!this.#isAnswering) sub.checker.isSent(floor)
    if (text.includes('hydrant:live') || text.includes('{"live"')) sub.isInState = false
    if (!text.includes('hydrant:gap') && !text.includes('{"gap"')) return
    // Only the first thing of a stream of the state can be the gap because of which it is sent.
    const isBeforeState = this.#isAnswering && sub.checker.expectsStateGap
    const situation = { floor, isLatest: sub.lag === 'latest' || sub.isInState, isBeforeState }
    for (const one of decodeReceived(this.#format, bytes))
      if (one.kind === 'gap') checkGap(one.gap, sub.wanted, log, situation)
  }
}

function requestOf(beginning: Beginning, { checker }: Sub): StartRequest {
  if (beginning === 'resume') return { lastEventId: checker.id }
  if (beginning === 'resume-state') return { lastEventId: checker.id, state: 'latest' }
  if (beginning === 'foreign') return { lastEventId: 'bbbbbbbbbbbb-7' }
  if (beginning === 'state') return { state: 'latest' }
  if (beginning === 'last') return { last: 3 }
  return beginning === 'earliest' ? { earliest: true } : {}
}
