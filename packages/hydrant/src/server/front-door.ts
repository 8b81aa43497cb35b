// The front door: whoever asks for an event stream in the plainest way is answered on the socket itself.
//
//   a connection's first bytes ──┬─ the head of a plain GET of a stream ─► answered here: no parser, request, response
//                                └─ anything else ─► handed over unread to `node:http`, which never knows
//
// A stream needs nothing of `node:http` once its head is sent, but would keep a parser, a request and a response for
// as long as it is open: 10 of the 14 KB that an idle client took. After a stream, or a short answer in its place, the
// connection is back at the door.
//
// What is plain is decided before anything is done, by request-head.ts and by what is asked for; from there on it is
// the same `dispatch` that answers. Locked by test/server/front-door.test.ts and test/server/doors.test.ts.

import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { dispatch, type Rooms } from '../http/dispatch.ts'
import type { HttpRequest, Reply, StreamReply } from '../http/exchange.ts'
import { chooseMedia } from '../http/media.ts'
import { targetOf } from '../http/node.ts'
import { isEventsPath } from '../http/query.ts'
import type { Connection, ConnectionOwner } from '../transport/connection.ts'
import { connectionOf } from '../transport/gzip-connection.ts'
import { SocketConnection } from '../transport/socket-connection.ts'
import type { StreamFormats } from '../transport/sse.ts'
import { answerHead } from './answer-head.ts'
import { parseHead, type RequestHead } from './request-head.ts'
import type { Sockets } from './sockets.ts'

/** What is behind the door. */
export interface FrontDoorParts {
  readonly rooms: Rooms
  readonly formats: StreamFormats
  readonly basePath: string
  /** Hears of every socket, and ends those that say nothing. */
  readonly sockets: Sockets
}

/** A request that is answered here. */
interface PlainRequest {
  readonly exchange: HttpRequest
  readonly closes: boolean
}

/** The end of a body in chunks. */
const LAST_CHUNK = '0\r\n\r\n'

const NO_BODY: AsyncIterable<Uint8Array> = {
  [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }),
}

/** Opens the door before a server that does not listen yet. */
export function openFrontDoor(http: Server, parts: FrontDoorParts): void {
  const door = new FrontDoor(http, parts)
  http.removeAllListeners('connection')
  http.on('connection', (socket: Socket) => door.accept(socket))
}

/** Its few functions are common to all sockets: none has one of its own for longer than a request. */
class FrontDoor {
  readonly #http: Server
  readonly #parts: FrontDoorParts
  readonly #ordinary: readonly Function[]
  readonly #onHead: (this: Socket, bytes: Buffer) => void
  readonly #keep = (socket: Socket): void => this.#finish(socket, false)
  readonly #close = (socket: Socket): void => this.#finish(socket, true)

  constructor(http: Server, parts: FrontDoorParts) {
    this.#http = http
    this.#parts = parts
    this.#ordinary = http.listeners('connection')
    const hear = (socket: Socket, bytes: Buffer): void => this.#hear(socket, bytes)
    this.#onHead = function onHead(this: Socket, bytes: Buffer) {
      hear(this, bytes)
    }
  }

  /** A connection has come. */
  accept(socket: Socket): void {
    this.#parts.sockets.add(socket, performance.now())
    socket.allowHalfOpen = false // a client that ends its half has ended its stream
    socket.on('error', onError)
    socket.on('data', this.#onHead)
  }

  #hear(socket: Socket, bytes: Buffer): void {
    const head = parseHead(bytes)
    const request = head === undefined ? undefined : this.#requestOf(head)
    if (request === undefined) this.#handOver(socket, bytes)
    else void this.#answer(socket, request)
  }

  /** Takes everything back that was done to the socket. All in one go: nothing may arrive in between. */
  #handOver(socket: Socket, bytes: Buffer): void {
    this.#parts.sockets.mark(socket, 'idle')
    socket.off('data', this.#onHead)
    socket.off('error', onError)
    socket.allowHalfOpen = true
    socket.unshift(bytes)
    for (const listener of this.#ordinary) Reflect.apply(listener, this.#http, [socket])
  }

  #requestOf({ target, headers, closes }: RequestHead): PlainRequest | undefined {
    const { path, query } = targetOf({ url: target }, this.#parts.basePath)
    if (path === undefined || !isEventsPath(path) || !isForStream(headers.get('accept'))) return undefined
    return { exchange: { method: 'GET', path, query, header: (name) => headers.get(name), body: NO_BODY }, closes }
  }

  async #answer(socket: Socket, request: PlainRequest): Promise<void> {
    const { rooms, sockets } = this.#parts
    sockets.mark(socket, 'open')
    let behind: Buffer | undefined
    const onEarly = (bytes: Buffer): void => {
      behind = bytes
      socket.pause()
    }
    socket.off('data', this.#onHead)
    socket.on('data', onEarly)
    const answer = await dispatch(rooms, request.exchange)
    socket.off('data', onEarly)
    if (socket.destroyed || socket.writableEnded) return
    const closes = request.closes || sockets.isFinishing
    if (answer.kind === 'reply') this.#giveReply(socket, answer, closes, behind)
    else if (behind === undefined) this.#giveStream(socket, answer, closes)
    else socket.destroy() // what waits behind a stream waits for ever
  }

  #giveStream(socket: Socket, answer: StreamReply, closes: boolean): void {
    const { rooms, formats } = this.#parts
    socket.on('data', onExtra)
    socket.write(this.#head(200, { ...answer.headers, 'transfer-encoding': 'chunked' }, closes), 'latin1')
    const finish = closes ? this.#close : this.#keep
    const open = (owner: ConnectionOwner): Connection => new SocketConnection(socket, 'sse', finish, owner)
    const connection = connectionOf(answer.coding, 'chunked', open, rooms.connections)
    answer.begin(connection, formats.get(answer.stream, 'chunked', answer.coding))
  }

  #giveReply(socket: Socket, { status, headers, body }: Reply, closes: boolean, behind: Buffer | undefined): void {
    const length = status === 204 ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    socket.write(this.#head(status, { ...headers, ...length }, closes) + body)
    this.#next(socket, closes)
    if (socket.destroyed || behind === undefined) return
    socket.resume()
    this.#hear(socket, behind)
  }

  #head(status: number, headers: Readonly<Record<string, string>>, closes: boolean): string {
    return answerHead({ status, headers, keepAliveMs: closes ? undefined : this.#http.keepAliveTimeout })
  }

  /** A stream has come to its end. */
  #finish(socket: Socket, closes: boolean): void {
    if (socket.destroyed || socket.writableEnded) return
    socket.write(LAST_CHUNK, 'latin1')
    socket.off('data', onExtra)
    this.#next(socket, closes)
  }

  /** The answer is given: the connection ends, or waits for the next request. */
  #next(socket: Socket, closes: boolean): void {
    const { sockets } = this.#parts
    if (closes || sockets.isFinishing) return socket.destroySoon()
    sockets.mark(socket, 'kept')
    socket.on('data', this.#onHead)
  }
}

/** Whether it is answered with an event stream. What cannot be answered at all is for others to say. */
function isForStream(accept: string | undefined): boolean {
  try {
    return chooseMedia(accept) === 'text/event-stream'
  } catch {
    return false // not acceptable
  }
}

/** Behind the request of a stream nothing can be answered. */
function onExtra(this: Socket): void {
  this.destroy()
}

/** A reset is a close as well, and that is heard. */
function onError(): void {}
