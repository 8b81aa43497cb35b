// WebSocket connections as a whole: their handshake by `ws`, their sessions, and the pings that find the dead ones.

import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { SUBPROTOCOL } from 'hydrant-client/wire'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Hub } from '../hub/hub.ts'
import type { Connections } from './connections.ts'
import {
  HookSession,
  PlainSession,
  ProtocolSession,
  RateLimited,
  type OnMessage,
  type Session,
  type SessionParts,
  type UrlSelection,
} from './websocket-session.ts'
import { WebSocketInbox } from './websocket-inbox.ts'
import { WebSocketConnection } from './websocket.ts'

/** Pings in one turn of the event loop. */
const PINGS_PER_TURN = 256
/** How long `ws` waits for the other side's close. */
const CLOSE_TIMEOUT_MS = 2_000
/** Around the data of a message: envelope and base64. */
const MESSAGE_OVERHEAD = 4_096

/** What they are made of. */
export interface WebSocketsParts {
  readonly hub: Hub
  readonly connections: Connections
  readonly onMessage: OnMessage | undefined
  /** Whether permessage-deflate (RFC 7692) is offered. */
  readonly compresses: boolean
}

/** Takes upgraded sockets. */
export class WebSockets {
  readonly #hub: Hub
  readonly #connections: Connections
  readonly #onMessage: OnMessage | undefined
  readonly #server: WebSocketServer
  #stopTimer: () => void

  constructor({ hub, connections, onMessage, compresses }: WebSocketsParts) {
    this.#hub = hub
    this.#connections = connections
    this.#onMessage = onMessage
    const untyped = { closeTimeout: CLOSE_TIMEOUT_MS } // of ws 8.19, not in its types yet
    this.#server = new WebSocketServer({
      ...untyped,
      noServer: true,
      clientTracking: false,
      // ws only negotiates, and inflates what clients send; what goes out is compressed once for all, beside it.
      perMessageDeflate: compresses ? { clientNoContextTakeover: true } : false,
      maxPayload: Math.ceil((hub.limits.eventBytesMax * 4) / 3) + MESSAGE_OVERHEAD,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    })
    this.#stopTimer = this.#tickLater()
    hub.onClose(async () => this.#stopTimer())
  }

  /** Hears of handshakes that `ws` refuses; must answer and close the socket. */
  onMalformed(refuse: (error: Error, socket: Duplex) => void): void {
    this.#server.on('wsClientError', refuse)
  }

  /** Completes the handshake, then serves what the URL selects and what the client says. */
  accept(request: IncomingMessage, socket: Socket, head: Buffer, url: UrlSelection): void {
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      void this.#serve(webSocket, socket, url, canShareDeflate(webSocket, request))
    })
  }

  async #serve(webSocket: WebSocket, socket: Socket, url: UrlSelection, canShare: boolean): Promise<void> {
    const isPlain = webSocket.protocol !== SUBPROTOCOL
    const connection = new WebSocketConnection(webSocket, socket, { isLabelled: !isPlain, canShare }, this.#connections)
    if (this.#connections.refusal() !== undefined) {
      return connection.end(this.#hub.isClosing ? 'shutting-down' : 'too-many-connections')
    }
    this.#connections.add(connection)
    const parts: SessionParts = { hub: this.#hub, pump: this.#connections.pump, connection }
    const session = new RateLimited(this.#session(parts, isPlain, url), parts)
    try {
      const inbox = new WebSocketInbox(webSocket, connection, session)
      await session.start(url)
      inbox.begin()
    } catch (error) {
      this.#hub.report(error)
      parts.pump.disconnect(connection, 'internal-error')
    }
  }

  #session(parts: SessionParts, isPlain: boolean, url: UrlSelection): Session {
    const topics = url.selection?.topics ?? []
    if (!isPlain) return new ProtocolSession(parts)
    return this.#onMessage === undefined
      ? new PlainSession(parts, topics)
      : new HookSession(parts, this.#onMessage, topics)
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
    for (const connection of this.#connections) {
      if (!(connection instanceof WebSocketConnection)) continue
      if (connection.isStalled) continue // a ping would wait behind what it does not read; `stallMs` ends it
      if (connection.askLife()) this.#hub.counters.heartbeats += 1
      else this.#connections.pump.disconnect(connection, 'unresponsive')
      pinged += 1
      if (pinged % PINGS_PER_TURN === 0) await new Promise<void>((resolve) => this.#hub.clock.defer(resolve))
    }
  }
}

/**
 * Whether the client can read messages that were compressed for all: with 15 bits of window, and keeping it from
 * message to message (RFC 7692, 7.1). Others get theirs uncompressed.
 */
function canShareDeflate(webSocket: WebSocket, request: IncomingMessage): boolean {
  const offered = request.headers['sec-websocket-extensions'] ?? ''
  return webSocket.extensions !== '' && !/server_(no_context_takeover|max_window_bits)/i.test(offered)
}
