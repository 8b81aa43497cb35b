// WebSocket connections as a whole: their handshake by `ws`, their sessions, and the pings that find the dead ones.

import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { SUBPROTOCOL } from 'hydrant-client/wire'
import { WebSocketServer, type RawData, type WebSocket } from 'ws'
import type { Hub } from '../hub/hub.ts'
import type { Connections } from './connections.ts'
import {
  HookSession,
  PlainSession,
  ProtocolSession,
  RateLimited,
  subscribeByUrl,
  type OnMessage,
  type Session,
  type SessionParts,
  type UrlSelection,
} from './websocket-session.ts'
import { WebSocketConnection } from './websocket.ts'

/** Pings in one turn of the event loop. */
const PINGS_PER_TURN = 256
/** Messages of one client under way at once; beyond it its socket is not read, until the log has taken some. */
const MESSAGES_UNDER_WAY_MAX = 32
/** How long `ws` waits for the other side's close. */
const CLOSE_TIMEOUT_MS = 2_000
/** Around the data of a message: envelope and base64. */
const MESSAGE_OVERHEAD = 4_096

/** Takes upgraded sockets. */
export class WebSockets {
  readonly #hub: Hub
  readonly #connections: Connections
  readonly #onMessage: OnMessage | undefined
  readonly #server: WebSocketServer
  readonly #open = new Set<WebSocketConnection>()
  #stopTimer: () => void

  constructor(hub: Hub, connections: Connections, onMessage: OnMessage | undefined) {
    this.#hub = hub
    this.#connections = connections
    this.#onMessage = onMessage
    const untyped = { closeTimeout: CLOSE_TIMEOUT_MS } // of ws 8.19, not in its types yet
    this.#server = new WebSocketServer({
      ...untyped,
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: Math.ceil((hub.limits.eventBytesMax * 4) / 3) + MESSAGE_OVERHEAD,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    })
    this.#stopTimer = this.#tickLater()
    hub.onClose(async () => this.#stopTimer())
  }

  /** Completes the handshake, then serves what the URL selects and what the client says. */
  accept(request: IncomingMessage, socket: Socket, head: Buffer, url: UrlSelection): void {
    this.#server.handleUpgrade(request, socket, head, (webSocket) => void this.#serve(webSocket, socket, url))
  }

  async #serve(webSocket: WebSocket, socket: Socket, url: UrlSelection): Promise<void> {
    const isPlain = webSocket.protocol !== SUBPROTOCOL
    const connection = new WebSocketConnection(webSocket, socket, !isPlain, this.#connections)
    if (this.#connections.refusal() !== undefined)
      return connection.end(this.#hub.isClosing ? 'shutting-down' : 'too-many-connections')
    this.#connections.add(connection)
    this.#open.add(connection)
    webSocket.on('close', () => this.#open.delete(connection))
    const parts: SessionParts = { hub: this.#hub, pump: this.#connections.pump, connection }
    webSocket.pause() // what the client says waits until its subscription stands
    readMessages(webSocket, new RateLimited(this.#session(parts, webSocket, isPlain, url), parts))
    try {
      await subscribeByUrl(parts, url, isPlain)
      webSocket.resume()
    } catch (error) {
      this.#hub.report(error)
      parts.pump.disconnect(connection, 'internal-error')
    }
  }

  #session(parts: SessionParts, webSocket: WebSocket, isPlain: boolean, url: UrlSelection): Session {
    const topics = url.selection?.topics ?? []
    if (!isPlain) return new ProtocolSession(parts)
    if (this.#onMessage === undefined) return new PlainSession(parts, topics)
    return new HookSession(parts, this.#onMessage, topics, (data) => webSocket.send(data))
  }

  #tickLater(): () => void {
    return this.#hub.clock.after(this.#hub.limits.heartbeatMs, () => {
      void this.#ping()
      this.#stopTimer = this.#tickLater()
    })
  }

  /** Ends those that did not answer the last ping; pings those that said nothing since. */
  async #ping(): Promise<void> {
    let pinged = 0
    for (const connection of this.#open) {
      if (connection.isStalled) continue // a ping would wait behind what it does not read; `stallMs` ends it
      if (connection.askLife()) this.#hub.counters.heartbeats += 1
      else this.#connections.pump.disconnect(connection, 'unresponsive')
      pinged += 1
      if (pinged % PINGS_PER_TURN === 0) await new Promise<void>((resolve) => this.#hub.clock.defer(resolve))
    }
  }
}

function readMessages(webSocket: WebSocket, session: Session): void {
  let underWay = 0
  webSocket.on('message', (data: RawData, isBinary: boolean) => {
    underWay += 1
    if (underWay >= MESSAGES_UNDER_WAY_MAX) webSocket.pause()
    void session.message(bytesOf(data), isBinary).finally(() => {
      underWay -= 1
      if (webSocket.isPaused) webSocket.resume()
    })
  })
}

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data
}
