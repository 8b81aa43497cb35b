// The handler for `node:http` (and HTTP/2 in its compatible form): translates requests and answers.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { HydrantError } from '../hub/errors.ts'
import type { Connection, ConnectionOwner } from '../transport/connection.ts'
import { connectionOf } from '../transport/gzip-connection.ts'
import { SocketConnection } from '../transport/socket-connection.ts'
import type { StreamFormats } from '../transport/sse.ts'
import { WritableConnection } from '../transport/writable-connection.ts'
import { dispatch, isOurs, type Rooms } from './dispatch.ts'
import { problemReply, type Answer, type HttpRequest, type Reply, type StreamReply } from './exchange.ts'
import { mediaOf } from './media.ts'

/** What Express and its like pass as the third argument. */
export type Next = (error?: unknown) => void

/** A request handler of `node:http`. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse, next?: Next) => void

/** How long the rest of a refused body is read and thrown away, so that the client comes to read the answer. */
const DISCARD_MS = 2_000

/** Sockets that carry a stream: a further request on one of them could never be answered. */
const streaming = new WeakSet<Socket>()

/** How many pipelined requests wait on a socket for the answer before theirs. */
const waiting = new WeakMap<Socket, number>()

/** What the answer to a request needs of it. */
interface Call {
  readonly rooms: Rooms
  readonly formats: StreamFormats
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Kept from the start: Node takes it from a request that is destroyed. */
  readonly socket: Socket
}

/** Makes the handler. Paths that are not ours go to `next`, or are answered 404 where there is none. */
export function nodeHandler(rooms: Rooms, formats: StreamFormats, basePath: string): NodeHandler {
  return (request, response, next) => {
    const { socket } = request
    const { path, query } = targetOf(request, basePath)
    if (next !== undefined && (path === undefined || !isOurs(path))) return next()
    if (streaming.has(socket)) return void socket.destroy()
    const exchange: HttpRequest = {
      method: request.method ?? 'GET',
      path: path ?? '',
      query,
      header: (name) => headerOf(request, name),
      body: bodyOf(request),
    }
    const call: Call = { rooms, formats, request, response, socket }
    const begin = (): void => void dispatch(rooms, exchange).then((answer) => give(call, answer))
    if (request.httpVersionMajor !== 1 || response.socket !== null) return begin()
    // Pipelined: done only when the answers before it are given. Behind a stream that is never, and nothing happens.
    waiting.set(socket, (waiting.get(socket) ?? 0) + 1)
    response.once('socket', () => {
      waiting.set(socket, (waiting.get(socket) ?? 1) - 1)
      begin()
    })
  }
}

/** Path below the base path, undefined when it is not below it, and query of a request. */
export function targetOf(
  request: Pick<IncomingMessage, 'url'>,
  basePath: string,
): { readonly path: string | undefined; readonly query: URLSearchParams } {
  const target = (request.url ?? '/').replace(/^https?:\/\/[^/?]*/i, '') // the absolute form: RFC 9112, 3.2.2
  const queryAt = target.indexOf('?')
  const path = queryAt === -1 ? target : target.slice(0, queryAt)
  return {
    path: path.startsWith(basePath) ? path.slice(basePath.length) : undefined,
    query: new URLSearchParams(queryAt === -1 ? '' : target.slice(queryAt + 1)),
  }
}

/** A header as one text. */
export function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = name === 'host' ? (request.headers.host ?? request.headers[':authority']) : request.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

function give(call: Call, answer: Answer): void {
  const { response } = call
  if (response.destroyed || response.headersSent) return
  if (answer.kind === 'reply') giveReply(call, answer)
  else giveStream(call, answer)
}

function giveReply({ request, response, socket }: Call, reply: Reply): void {
  const length = reply.status === 204 ? {} : { 'content-length': String(Buffer.byteLength(reply.body)) }
  response.writeHead(reply.status, { ...reply.headers, ...length })
  response.end(request.method === 'HEAD' ? undefined : reply.body)
  if (!reply.closes || request.complete) return
  // Node reads on and throws away. To close at once would reset the connection and lose the answer on its way; to
  // read for ever would let a refused client keep us busy.
  const timer = setTimeout(() => {
    if (!request.complete) socket.destroy()
  }, DISCARD_MS)
  timer.unref()
}

function giveStream(call: Call, answer: StreamReply): void {
  const { rooms, formats, request, response, socket } = call
  const transport = answer.stream === 'ndjson' ? 'ndjson' : 'sse'
  if ((waiting.get(socket) ?? 0) > 0) return void socket.destroy() // what waits behind a stream waits for ever
  if (request.httpVersionMajor !== 1) {
    response.writeHead(200, answer.headers)
    response.flushHeaders()
    const open = (owner: ConnectionOwner): Connection => new WritableConnection(response, transport, owner)
    const connection = connectionOf(answer.coding, 'bare', open, rooms.connections)
    return answer.begin(connection, formats.get(answer.stream, 'bare', answer.coding))
  }
  const isChunked = request.httpVersionMinor >= 1
  const framing = isChunked ? { 'transfer-encoding': 'chunked' } : { connection: 'close' }
  streaming.add(socket)
  response.writeHead(200, { ...answer.headers, ...framing })
  response.flushHeaders()
  const finish = (): void => {
    streaming.delete(socket)
    response.end()
  }
  const around = isChunked ? 'chunked' : 'bare'
  const open = (owner: ConnectionOwner): Connection => new SocketConnection(socket, transport, finish, owner)
  const connection = connectionOf(answer.coding, around, open, rooms.connections)
  answer.begin(connection, formats.get(answer.stream, around, answer.coding))
}

/** The body, also when a body parser before us has read it (`request.body` of Express). */
async function* bodyOf(request: IncomingMessage): AsyncGenerator<Uint8Array, void, undefined> {
  const parsed: unknown = 'body' in request ? request.body : undefined
  if (parsed === undefined && request.readableEnded && hasBody(request)) {
    throw new HydrantError('malformed-body', 'The body was read before it came here, and is not in request.body.')
  }
  if (parsed === undefined || !request.readableEnded) {
    try {
      // Not destroyed when we stop reading: that would take the socket with it, and the answer.
      for await (const part of request.iterator({ destroyOnReturn: false })) if (part instanceof Uint8Array) yield part
    } catch (error) {
      throw new HydrantError('malformed-body', 'The body did not arrive whole.', { cause: error })
    }
    return
  }
  if (typeof parsed === 'string') yield Buffer.from(parsed)
  else if (parsed instanceof Uint8Array) yield parsed
  else if (mediaOf(request.headers['content-type']) === 'application/x-www-form-urlencoded') {
    throw new HydrantError(
      'malformed-body',
      'The body was parsed as a form before it came here. Mount hydrant before the form parser, or send text/plain.',
    )
  } else yield Buffer.from(JSON.stringify(parsed))
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** A problem as a plain HTTP/1.1 answer on a socket that `node:http` has given away. */
export function rawProblem(error: unknown): string {
  const { status, headers, body } = problemReply(error)
  const lines = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' })
  return `HTTP/1.1 ${status} Refused\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}
