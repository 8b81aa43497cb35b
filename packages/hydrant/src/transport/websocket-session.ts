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
import { envelopeMessages, plainMessages, textFrame } from './websocket-format.ts'
import { parseClientMessage, type ParsedMessage, type ParsedSubscribe } from './websocket-messages.ts'
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
  /** A whole message. */
  message(data: Uint8Array, isBinary: boolean): Promise<void>
}

/** What both kinds of session are made of. */
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

/** Starts the subscription that the URL names. */
export async function subscribeByUrl(parts: SessionParts, url: UrlSelection, isPlain: boolean): Promise<void> {
  const { hub, pump, connection } = parts
  if (url.selection === undefined) return
  const start = await hub.start(url.start, url.selection)
  if (!isPlain) pump.send(connection, json({ subscribed: { sub: 0, id: hub.idAt(start.after) } }))
  const format = isPlain ? plainMessages : envelopeMessages
  pump.subscribe({ connection, selection: url.selection, format, start, lag: url.lag ?? hub.lag, label: 0 })
}

/** Lets a client send so much and no more; the connection ends with `rate-exceeded`. */
export class RateLimited implements Session {
  readonly #session: Session
  readonly #parts: SessionParts
  readonly #rate: Rate

  constructor(session: Session, parts: SessionParts) {
    this.#session = session
    this.#parts = parts
    this.#rate = new Rate(parts.hub.limits.messagesPerSecondMax, parts.hub.clock.monotonicMs())
  }

  async message(data: Uint8Array, isBinary: boolean): Promise<void> {
    const { hub, pump, connection } = this.#parts
    if (connection.isClosed) return
    connection.heard()
    if (!this.#rate.take(hub.clock.monotonicMs())) return pump.disconnect(connection, 'rate-exceeded')
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

  async message(data: Uint8Array, isBinary: boolean): Promise<void> {
    const { hub, pump, connection } = this.#parts
    try {
      if (this.#topic === undefined)
        throw new HydrantError('malformed-message', 'Only a URL with one topic can be published to.')
      await hub.publish({ topic: this.#topic, data: isBinary ? Uint8Array.from(data) : textOf(data) })
    } catch (error) {
      refuse(hub, error)
      pump.disconnect(connection, 'malformed-message')
    }
  }
}

/** With the application's hook: it gets every message, and nothing is published by itself. */
export class HookSession implements Session {
  readonly #parts: SessionParts
  readonly #onMessage: OnMessage
  readonly #client: WebSocketClient

  constructor(
    parts: SessionParts,
    onMessage: OnMessage,
    topics: readonly string[],
    send: (data: string | Uint8Array) => void,
  ) {
    this.#parts = parts
    this.#onMessage = onMessage
    this.#client = { topics, send, close: () => parts.connection.end(undefined) }
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
  readonly #subscribers = new Map<number, Subscriber | 'starting'>()

  constructor(parts: SessionParts) {
    this.#parts = parts
  }

  async message(data: Uint8Array, isBinary: boolean): Promise<void> {
    const { hub } = this.#parts
    let message: ParsedMessage | undefined
    try {
      const binary = isBinary ? parseBinary(data) : undefined
      message = parseClientMessage(isBinary ? binary?.header : jsonOf(textOf(data)), binary?.bytes, hub.clock.nowMs())
      await this.#do(message)
    } catch (error) {
      refuse(hub, error)
      this.#answer({ error: this.#problem(error), ...(message?.kind === 'publish' ? ackOf(message) : subOf(message)) })
    }
  }

  async #do(message: ParsedMessage): Promise<void> {
    if (message.kind === 'subscribe') return this.#subscribe(message)
    if (message.kind === 'unsubscribe') return this.#unsubscribe(message.sub)
    const ids = [await this.#parts.hub.publish(message.event, { idempotencyKey: message.idempotencyKey })]
    this.#answer({ published: { ...ackOf(message), ids } })
  }

  async #subscribe(message: ParsedSubscribe): Promise<void> {
    const { hub, pump, connection } = this.#parts
    const { sub, start: from } = message
    if (this.#subscribers.has(sub))
      throw new HydrantError(
        'malformed-message',
        `Subscription ${sub} exists; unsubscribe first, or use another number.`,
      )
    if (this.#subscribers.size >= hub.limits.subscriptionsMax) {
      throw new HydrantError(
        'too-many-subscriptions',
        `The connection has ${this.#subscribers.size} subscriptions, as many as it may.`,
      )
    }
    const selection = hub.select(message.topics, message.types)
    this.#subscribers.set(sub, 'starting')
    try {
      const start = await hub.start(from, selection)
      if (this.#subscribers.get(sub) !== 'starting') return // it was unsubscribed meanwhile
      this.#answer({ subscribed: { sub, id: hub.idAt(start.after) } })
      const lag = message.lag ?? hub.lag
      this.#subscribers.set(
        sub,
        pump.subscribe({ connection, selection, format: envelopeMessages, start, lag, label: sub }),
      )
    } catch (error) {
      this.#subscribers.delete(sub)
      throw error
    }
  }

  #unsubscribe(sub: number): void {
    const subscriber = this.#subscribers.get(sub)
    if (subscriber === undefined) throw new HydrantError('malformed-message', `There is no subscription ${sub}.`)
    this.#subscribers.delete(sub)
    if (subscriber !== 'starting') this.#parts.pump.unsubscribe(subscriber)
    this.#answer({ unsubscribed: { sub } })
  }

  #problem(error: unknown): Problem {
    if (!(error instanceof HydrantError)) this.#parts.hub.report(error)
    return problemOf(error)
  }

  #answer(message: object): void {
    this.#parts.pump.send(this.#parts.connection, json(message))
  }
}

function json(message: object): Uint8Array {
  return textFrame(JSON.stringify(message))
}

function ackOf(message: { readonly ack: number | undefined }): { readonly ack?: number } {
  return message.ack === undefined ? {} : { ack: message.ack }
}

function subOf(message: ParsedMessage | undefined): { readonly sub?: number } {
  return message === undefined || message.kind === 'publish' ? {} : { sub: message.sub }
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

function refuse(hub: Hub, error: unknown): void {
  count(hub.counters.refused, problemOf(error).code)
}
