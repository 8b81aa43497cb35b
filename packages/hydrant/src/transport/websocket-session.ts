// What a WebSocket client says, and what it is answered: plain messages, the application's hook, or the subprotocol.

import { parseBinary, type LagPolicy, type Problem } from 'hydrant-client/wire'
import { count } from '../hub/counters.ts'
import { HydrantError, problemOf } from '../hub/errors.ts'
import type { Hub } from '../hub/hub.ts'
import type { Selection } from '../hub/selection.ts'
import type { StartRequest } from '../hub/start.ts'
import { isPattern } from '../hub/topic.ts'
import type { Pump } from './pump.ts'
import { Rate } from './rate.ts'
import type { Subscriber } from './subscriber.ts'
import { binaryFrame, envelopeMessages, plainMessages, textFrame } from './websocket-format.ts'
import { parseClientMessage, type ParsedMessage } from './websocket-messages.ts'
import type { WebSocketConnection } from './websocket.ts'

/** A message of a client, as an application's hook gets it. */
export interface ClientMessageEvent {
  readonly data: string | Uint8Array
}

/** A WebSocket client, as an application's hook sees it. */
export interface WebSocketClient {
  /** What its URL selected. */
  readonly topics: readonly string[]
  /** Sends to this client alone. */
  send(data: string | Uint8Array): void
  /** Closes it, with code 1000. */
  close(): void
}

/** The application's hook for messages on plain WebSockets; what it throws closes the connection with an error. */
export type OnMessage = (message: ClientMessageEvent, client: WebSocketClient) => void | Promise<void>

/** Who speaks on a connection. */
export interface Session {
  /** Starts the subscription that the URL names. */
  start(url: UrlSelection): Promise<void>
  /** A whole message. */
  message(data: Uint8Array, isBinary: boolean): Promise<void>
}

/** What every kind of session is made of. */
export interface SessionParts {
  readonly hub: Hub
  readonly pump: Pump
  readonly connection: WebSocketConnection
}

/** What a URL selected. */
export interface UrlSelection {
  readonly selection: Selection | undefined
  readonly start: StartRequest
  readonly lag: LagPolicy | undefined
}

/** Lets a client send so much and no more; the connection ends with `rate-exceeded`. */
export class RateLimited implements Session {
  readonly #session: Session
  readonly #parts: SessionParts
  /** Made with the first message: most clients only listen. */
  #rate: Rate | undefined

  constructor(session: Session, parts: SessionParts) {
    this.#session = session
    this.#parts = parts
  }

  start(url: UrlSelection): Promise<void> {
    return this.#session.start(url)
  }

  async message(data: Uint8Array, isBinary: boolean): Promise<void> {
    const { hub, pump, connection } = this.#parts
    if (connection.isClosed) return
    connection.heard()
    const nowMs = hub.clock.monotonicMs()
    this.#rate ??= new Rate(hub.limits.messagesPerSecondMax, nowMs)
    if (!this.#rate.take(nowMs)) return pump.disconnect(connection, 'rate-exceeded')
    await this.#session.message(data, isBinary)
  }
}

/** Without a subprotocol: the client's messages are published to the one topic of its URL. */
export class PlainSession implements Session {
  readonly #parts: SessionParts
  readonly #topic: string | undefined

  constructor(parts: SessionParts, topics: readonly string[]) {
    this.#parts = parts
    const [topic] = topics
    this.#topic = topics.length === 1 && topic !== undefined && !isPattern(topic) ? topic : undefined
  }

  start(url: UrlSelection): Promise<void> {
    return startPlain(this.#parts, url)
  }

  async message(data: Uint8Array, isBinary: boolean): Promise<void> {
    const { hub, pump, connection } = this.#parts
    try {
      if (this.#topic === undefined) {
        throw new HydrantError('malformed-message', 'Only a URL with one topic can be published to.')
      }
      await hub.publish({ topic: this.#topic, data: isBinary ? Uint8Array.from(data) : textOf(data) })
    } catch (error) {
      const isTemporary = refuse(hub, error).status >= 500
      pump.disconnect(connection, isTemporary ? 'internal-error' : 'malformed-message')
    }
  }
}

/** With the application's hook: it gets every message, and nothing is published by itself. */
export class HookSession implements Session {
  readonly #parts: SessionParts
  readonly #onMessage: OnMessage
  readonly #client: WebSocketClient

  constructor(parts: SessionParts, onMessage: OnMessage, topics: readonly string[]) {
    const { pump, connection } = parts
    this.#parts = parts
    this.#onMessage = onMessage
    this.#client = {
      topics,
      send: (data) => pump.send(connection, typeof data === 'string' ? textFrame(data) : binaryFrame(data)),
      close: () => connection.end(undefined),
    }
  }

  start(url: UrlSelection): Promise<void> {
    return startPlain(this.#parts, url)
  }

  async message(data: Uint8Array, isBinary: boolean): Promise<void> {
    const { hub, pump, connection } = this.#parts
    try {
      await this.#onMessage({ data: isBinary ? data : textOf(data) }, this.#client)
    } catch (error) {
      hub.report(error)
      pump.disconnect(connection, 'internal-error')
    }
  }
}

/** The subprotocol `hydrant.v1`: subscribe, unsubscribe and publish as JSON envelopes (PROTOCOL.md, 6). */
export class ProtocolSession implements Session {
  readonly #parts: SessionParts
  /** By the client's number: the subscriber, or a mark of the attempt that is still looking for its start. */
  readonly #subscribers = new Map<number, Subscriber | symbol>()

  constructor(parts: SessionParts) {
    this.#parts = parts
  }

  async start({ selection, start, lag }: UrlSelection): Promise<void> {
    if (selection !== undefined) await this.#subscribe(0, selection, start, lag)
  }

  async message(data: Uint8Array, isBinary: boolean): Promise<void> {
    const { hub } = this.#parts
    let message: ParsedMessage | undefined
    try {
      const binary = isBinary ? parseBinary(data) : undefined
      const json = isBinary ? binary?.header : jsonOf(textOf(data))
      message = parseClientMessage(json, binary?.bytes, hub.clock.nowMs())
      await this.#do(message)
    } catch (error) {
      const about = message?.kind === 'publish' || message?.kind === 'end' ? ackOf(message) : subOf(message)
      this.#answer({ error: refuse(hub, error), ...about })
    }
  }

  async #do(message: ParsedMessage): Promise<void> {
    const { hub } = this.#parts
    if (message.kind === 'end') {
      const id = await hub.end(message.topic, { idempotencyKey: message.idempotencyKey })
      return this.#answer({ published: { ...ackOf(message), ids: [id] } })
    }
    if (message.kind === 'ping') return this.#answer({ pong: message.ping })
    if (message.kind === 'unsubscribe') return this.#unsubscribe(message.sub)
    if (message.kind === 'subscribe') {
      const { sub, start, lag } = message
      return this.#subscribe(sub, hub.select(message.topics, message.types), start, lag)
    }
    const id = await hub.publish(message.event, { idempotencyKey: message.idempotencyKey, ifLast: message.ifLast })
    this.#answer({ published: { ...ackOf(message), ids: [id] } })
  }

  async #subscribe(sub: number, selection: Selection, from: StartRequest, lag: LagPolicy | undefined): Promise<void> {
    const { hub, pump, connection } = this.#parts
    this.#forgetEnded()
    if (this.#subscribers.has(sub)) {
      throw new HydrantError('malformed-message', `Subscription ${sub} exists; unsubscribe it, or use another number.`)
    }
    if (this.#subscribers.size >= hub.limits.subscriptionsMax) {
      throw new HydrantError(
        'too-many-subscriptions',
        `The connection has ${this.#subscribers.size}, as many as it may.`,
      )
    }
    const attempt = Symbol('starting')
    this.#subscribers.set(sub, attempt)
    try {
      const start = await hub.start(from, selection)
      if (connection.isClosed || this.#subscribers.get(sub) !== attempt) return // unsubscribed meanwhile
      // The client's own id, until the gap that follows has moved it: cut in between, it must hear of the gap again.
      this.#answer({ subscribed: { sub, id: start.gap?.from ?? hub.idAt(start.after) } })
      const policy = lag ?? hub.lagOf(selection)
      const request = { connection, selection, format: envelopeMessages, start, lag: policy, label: sub }
      this.#subscribers.set(sub, pump.subscribe(request))
    } catch (error) {
      if (this.#subscribers.get(sub) === attempt) this.#subscribers.delete(sub)
      throw error
    }
  }

  /** Numbers of subscriptions whose topics have all ended are free again. */
  #forgetEnded(): void {
    for (const [sub, subscriber] of this.#subscribers) {
      if (typeof subscriber !== 'symbol' && subscriber.state === 'gone') this.#subscribers.delete(sub)
    }
  }

  #unsubscribe(sub: number): void {
    this.#forgetEnded()
    const subscriber = this.#subscribers.get(sub)
    if (subscriber === undefined) throw new HydrantError('malformed-message', `There is no subscription ${sub}.`)
    this.#subscribers.delete(sub)
    if (typeof subscriber !== 'symbol') this.#parts.pump.unsubscribe(subscriber)
    this.#answer({ unsubscribed: { sub } })
  }

  #answer(message: object): void {
    this.#parts.pump.send(this.#parts.connection, textFrame(JSON.stringify(message)))
  }
}

async function startPlain({ hub, pump, connection }: SessionParts, url: UrlSelection): Promise<void> {
  const { selection } = url
  if (selection === undefined) return
  const start = await hub.start(url.start, selection)
  if (connection.isClosed) return
  const lag = url.lag ?? hub.lagOf(selection)
  pump.subscribe({ connection, selection, format: plainMessages, start, lag, label: 0 })
}

function ackOf(message: { readonly ack: number | undefined }): { readonly ack?: number } {
  return message.ack === undefined ? {} : { ack: message.ack }
}

function subOf(message: ParsedMessage | undefined): { readonly sub?: number } {
  return message?.kind === 'subscribe' || message?.kind === 'unsubscribe' ? { sub: message.sub } : {}
}

function textOf(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString() // ws has checked the UTF-8
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new HydrantError('malformed-message', 'The message is not valid JSON.')
  }
}

/** Counts a refusal, reports what is no fault of the client's, and answers the problem to tell. */
function refuse(hub: Hub, error: unknown): Problem {
  const problem = problemOf(error)
  count(hub.counters.refused, problem.code)
  if (!(error instanceof HydrantError)) hub.report(error)
  return problem
}
