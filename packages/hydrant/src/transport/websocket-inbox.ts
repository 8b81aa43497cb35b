// What comes in on a WebSocket: handed to its session in order, and no faster than the client takes our answers.

import type { RawData, WebSocket } from 'ws'
import type { Session } from './websocket-session.ts'
import type { WebSocketConnection } from './websocket.ts'

/** Messages of one client under way at once; beyond it its socket is not read, until the log has taken some. */
const UNDER_WAY_MAX = 32

/**
 * Reads messages. The socket is not read before `begin`, while many messages are under way, and while the client does
 * not read its answers: a client can make us hold no more than it is willing to take.
 */
export class WebSocketInbox {
  readonly #webSocket: WebSocket
  readonly #connection: WebSocketConnection
  readonly #session: Session
  #underWay = 0
  #hasBegun = false

  constructor(webSocket: WebSocket, connection: WebSocketConnection, session: Session) {
    this.#webSocket = webSocket
    this.#connection = connection
    this.#session = session
    connection.onDrained = () => this.#steer()
    webSocket.on('message', (data: RawData, isBinary: boolean) => void this.#take(bytesOf(data), isBinary))
    this.#steer()
  }

  /** The subscription stands: what the client says may be heard. */
  begin(): void {
    this.#hasBegun = true
    this.#steer()
  }

  async #take(data: Uint8Array, isBinary: boolean): Promise<void> {
    this.#underWay += 1
    this.#steer()
    await this.#session.message(data, isBinary) // never rejects: a session answers its own faults
    this.#underWay -= 1
    this.#steer()
  }

  #steer(): void {
    const mayRead = this.#hasBegun && this.#underWay < UNDER_WAY_MAX && !this.#connection.isStalled
    if (mayRead && this.#webSocket.isPaused) this.#webSocket.resume()
    else if (!mayRead && !this.#webSocket.isPaused) this.#webSocket.pause()
  }
}

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data
}
