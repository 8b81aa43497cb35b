// A WebSocket of the subprotocol `hydrant.v1`, with one subscription. It is asked for by a message, not by the URL: a
// browser hides why a handshake was refused, while a message is answered with a problem.

import { jsonOf } from './delivery.ts'
import { detailOf, isProblem, isRecord } from './error.ts'
import type { Connection, Listener, Source, Wanted } from './source.ts'
import type { Why, WhyCode } from './state.ts'
import type { WebSocketPublisher } from './websocket-publisher.ts'
import { isReconnectable, parseBinary, SUBPROTOCOL } from './wire/index.ts'

/** What the source is made of. */
export interface WebSocketSourceParts {
  readonly url: URL
  readonly publisher: WebSocketPublisher
  readonly WebSocket: typeof globalThis.WebSocket
}

/** The number of the only subscription. */
const SUB = 1
const OPEN = 1

/** See the head of the file. */
export class WebSocketSource implements Source {
  readonly #parts: WebSocketSourceParts

  constructor(parts: WebSocketSourceParts) {
    this.#parts = parts
  }

  open(wanted: Wanted, listener: Listener): Connection {
    const { url, publisher, WebSocket } = this.#parts
    try {
      return new SocketConnection(new WebSocket(url, SUBPROTOCOL), publisher, listener, wanted)
    } catch (error) {
      // A page on https may not open ws: that is thrown, not told by an event.
      queueMicrotask(() => listener.ended({ why: { code: 'refused', detail: detailOf(error) } }))
      return { close: () => {} }
    }
  }
}

/** One socket. */
class SocketConnection implements Connection {
  readonly #socket: WebSocket
  readonly #publisher: WebSocketPublisher
  readonly #listener: Listener
  readonly #wanted: Wanted
  #isClosed = false
  #pings = 0

  constructor(socket: WebSocket, publisher: WebSocketPublisher, listener: Listener, wanted: Wanted) {
    this.#socket = socket
    this.#publisher = publisher
    this.#listener = listener
    this.#wanted = wanted
    socket.binaryType = 'arraybuffer'
    socket.addEventListener('open', () => this.#opened())
    socket.addEventListener('message', ({ data }: MessageEvent<unknown>) => this.#message(data))
    socket.addEventListener('error', () => {}) // says nothing; `close` follows it
    socket.addEventListener('close', ({ code, reason }) =>
      this.#end(codeOf(code), `The socket closed: ${code} ${reason}`),
    )
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#publisher.disconnected()
    this.#socket.close(1000)
  }

  probe(): void {
    this.#pings = (this.#pings + 1) % 2 ** 31
    if (this.#socket.readyState === OPEN) this.#tell({ ping: this.#pings })
  }

  #tell(message: object): void {
    this.#socket.send(JSON.stringify(message))
  }

  #opened(): void {
    if (this.#isClosed) return
    if (this.#socket.protocol !== SUBPROTOCOL)
      return this.#end('malformed', `The server does not speak ${SUBPROTOCOL}.`)
    this.#listener.heard()
    // Without topics the stream is there to publish.
    if (this.#wanted.topics.length === 0) this.#listener.opened()
    else this.#tell({ subscribe: { sub: SUB, ...this.#wanted } })
    this.#publisher.connected((frame) => this.#socket.send(frame))
  }

  #end(code: WhyCode, detail: string, problem?: Why['problem']): void {
    if (this.#isClosed) return
    this.#listener.ended({ why: { code, detail, ...(problem && { problem }) } })
    this.close()
  }

  #message(data: unknown): void {
    if (this.#isClosed) return
    this.#listener.heard()
    const binary = data instanceof ArrayBuffer ? parseBinary(new Uint8Array(data)) : undefined
    const message = typeof data === 'string' ? jsonOf(data) : binary?.header
    if (!isRecord(message)) this.#end('malformed', 'A message could not be read.')
    else if ('topic' in message) this.#event(message, binary?.bytes)
    else this.#notice(message)
  }

  #event(message: object, bytes: Uint8Array | undefined): void {
    this.#listener.event(message, bytes)
    // A socket cannot be told to wait: what it brings would pile up.
    if (this.#listener.room() !== undefined) this.#end('behind', 'The program reads more slowly than events come.')
  }

  /** Other messages are of a newer server, for those who know them; and `sub`, for there is only one. */
  #notice({
    subscribed,
    position,
    gap,
    published,
    error,
    ended,
    live,
    ack,
    sub,
  }: Readonly<Record<string, unknown>>): void {
    if (isRecord(subscribed)) this.#subscribed(subscribed['id'])
    else if (isRecord(published)) this.#published(published)
    else if (isProblem(error)) this.#refused(error, ack, sub)
    else if (isRecord(ended)) this.#end('ended', 'The server has said all there is to say.')
    else if (typeof position === 'string') this.#listener.position(position)
    else if (typeof live === 'string') this.#listener.position(live)
    else if (gap !== undefined) this.#listener.gap(gap)
  }

  #subscribed(id: unknown): void {
    if (this.#wanted.lastEventId !== undefined) this.#listener.opened()
    else if (typeof id === 'string') this.#listener.opened(id)
  }

  #published({ ack, ids }: Readonly<Record<string, unknown>>): void {
    const id: unknown = Array.isArray(ids) ? ids[0] : undefined
    if (typeof ack === 'number' && typeof id === 'string') this.#publisher.acknowledged(ack, id)
  }

  /** Errors that name neither a publish nor our subscription concern neither. */
  #refused(problem: NonNullable<Why['problem']>, ack: unknown, sub: unknown): void {
    const { status, detail } = problem
    if (typeof ack === 'number') this.#publisher.refused(ack, problem)
    else if (sub === SUB) this.#end(status < 500 && status !== 429 ? 'refused' : 'unreachable', detail, problem)
  }
}

function codeOf(closeCode: number): WhyCode {
  if (closeCode === 1000) return 'ended'
  if (!isReconnectable(closeCode)) return 'refused'
  return closeCode === 1005 || closeCode === 1006 ? 'cut' : 'farewell'
}
