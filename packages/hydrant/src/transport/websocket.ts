// A WebSocket as a connection: `ws` speaks the protocol, broadcast frames go to the socket beside it.
//
// Frames are made once for all (websocket-format.ts) and written whole, only while the WebSocket is open; `ws` writes
// its own frames (pongs, closes, answers) whole as well, so the two never interleave. Nothing is compressed by `ws`
// here: a compressed message of its own would break the sequence. Heartbeats are pings, sent by websockets.ts.

import type { Socket } from 'node:net'
import { CLOSE_CODES, type CloseReason } from 'hydrant-client/wire'
import type { WebSocket } from 'ws'
import { Step } from '../compression/step.ts'
import type { EndReason } from '../hub/counters.ts'
import { Connection, type ConnectionOwner } from './connection.ts'
import type { Payload } from './payload.ts'
import type { Subscriber } from './subscriber.ts'
import { textFrame } from './websocket-format.ts'

const OPEN = 1

const CLOSE_REASONS: { readonly [Reason in EndReason]: CloseReason } = {
  lagged: 'lagged',
  pinned: 'lagged',
  unresponsive: 'unresponsive',
  'rate-exceeded': 'rate-exceeded',
  'malformed-message': 'malformed-message',
  'shutting-down': 'going-away',
  'too-many-connections': 'too-many-connections',
  'internal-error': 'internal-error',
  gap: 'gap',
}

/** What was agreed on in the handshake. */
export interface WebSocketTraits {
  /** Events are told apart by subscription (the subprotocol); plain messages are not. */
  readonly isLabelled: boolean
  /** The client can read messages that were compressed for all. */
  readonly canShare: boolean
}

/** See the head of the file. */
export class WebSocketConnection extends Connection {
  readonly transport = 'websocket'
  /** Hears that the client has read what was held. */
  onDrained: (() => void) | undefined
  #life: 'quiet' | 'spoke' | 'asked' = 'quiet'
  readonly #webSocket: WebSocket
  readonly #socket: Socket
  readonly #isLabelled: boolean
  readonly #step: Step | undefined
  #speaker: Subscriber | undefined

  constructor(webSocket: WebSocket, socket: Socket, traits: WebSocketTraits, owner: ConnectionOwner) {
    super(owner)
    this.#webSocket = webSocket
    this.#socket = socket
    this.#isLabelled = traits.isLabelled
    this.#step = traits.canShare ? new Step() : undefined
    socket.on('drain', () => {
      this.drained()
      this.onDrained?.()
    })
    webSocket.on('close', () => this.closed())
    webSocket.on('error', () => this.closed()) // ws has closed it with the right code; what is left is to forget it
    webSocket.on('pong', () => this.heard())
  }

  get heldBytes(): number {
    return this.#socket.writableLength
  }

  send(bytes: Uint8Array): boolean {
    const socket = this.#socket
    if (this.isClosed || this.#webSocket.readyState !== OPEN) return true
    return socket.write(bytes) || socket.writableLength === 0
  }

  /** Only with one subscription: those of others stand in other streams. */
  override get canShare(): boolean {
    return this.#step !== undefined && this.subscribers.length === 1
  }

  override deliver({ bytes, shared }: Payload): boolean {
    const isShared = shared !== undefined && this.canShare && this.#step?.takes(shared.place) === true
    return this.send(isShared ? shared.bytes : bytes)
  }

  override turnTo(subscriber: Subscriber): void {
    if (!this.#isLabelled || this.#speaker === subscriber) return
    this.#speaker = subscriber
    this.send(textFrame(JSON.stringify({ sub: subscriber.label })))
  }

  /** The client gave a sign of life. */
  heard(): void {
    this.#life = 'spoke'
  }

  /** Asks for a sign of life, unless there was one since the last call. False: the last question was not answered. */
  askLife(): boolean {
    if (this.#life === 'asked') return false
    if (this.#life === 'quiet' && this.#webSocket.readyState === OPEN) {
      this.#webSocket.ping()
      this.#life = 'asked'
    } else this.#life = 'quiet'
    return true
  }

  end(reason: EndReason | undefined): void {
    const name = reason === undefined ? 'done' : CLOSE_REASONS[reason]
    this.#webSocket.close(CLOSE_CODES[name], name)
    this.closed()
  }

  destroy(): void {
    this.#webSocket.terminate()
    this.closed()
  }
}
