// The handler for `node:http` (and HTTP/2 in its compatible form): translates requests and answers.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { SocketConnection } from '../transport/socket-connection.ts'
import { WritableConnection } from '../transport/writable-connection.ts'
import type { StreamFormats } from '../transport/sse.ts'
import { HydrantError } from '../hub/errors.ts'
import { dispatch, isOurs, type Rooms } from './dispatch.ts'
import { problemReply, type Answer, type HttpRequest, type Reply, type StreamReply } from './exchange.ts'
import { mediaOf } from './media.ts'

/** What Express and its like pass as the third argument. */
export type Next = (error?: unknown) => void

/** Sockets that carry a stream: a further request on one of them could never be answered. */
const streaming = new WeakSet<object>()

/** Makes the handler. Paths that are not ours go to `next`, or are answered 404 where there is none. */
export function nodeHandler(rooms: Rooms, formats: StreamFormats, basePath: string) {
  return (request: IncomingMessage, response: ServerResponse, next?: Next): void => {
    const url = request.url ?? '/'
    const queryAt = url.indexOf('?')
    const fullPath = queryAt === -1 ? url : url.slice(0, queryAt)
    const path = fullPath.startsWith(basePath) ? fullPath.slice(basePath.length) : undefined
    if (next !== undefined && (path === undefined || !isOurs(path))) return next()
    if (streaming.has(request.socket)) return void request.socket.destroy()
    const exchange: HttpRequest = {
      method: request.method ?? 'GET',
      path: path ?? '',
      query: new URLSearchParams(queryAt === -1 ? '' : url.slice(queryAt + 1)),
      header: (name) => headerOf(request, name),
      body: bodyOf(request),
    }
    void dispatch(rooms, exchange).then((answer) => give(rooms, formats, answer, request, response))
  }
}

/** A header as one text. */
export function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = name === 'host' ? (request.headers.host ?? request.headers[':authority']) : request.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

function give(
  rooms: Rooms,
  formats: StreamFormats,
  answer: Answer,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (response.destroyed || response.headersSent) return
  if (answer.kind === 'reply') giveReply(answer, request, response)
  else giveStream(rooms, formats, answer, request, response)
}

function giveReply(reply: Reply, request: IncomingMessage, response: ServerResponse): void {
  const isHttp1 = request.httpVersionMajor === 1
  const length = { 'content-length': String(Buffer.byteLength(reply.body)) }
  const isCut = reply.closes && isHttp1 && !request.complete
  response.writeHead(reply.status, {
    ...reply.headers,
    ...(reply.status === 204 ? {} : length),
    ...(isCut ? { connection: 'close' } : {}),
  })
  response.end(request.method === 'HEAD' ? undefined : reply.body)
  // The rest of a body that nobody will read: the answer goes out, then the socket, lest the client sends for ever.
  if (isCut) response.once('finish', () => request.socket.destroySoon())
}

function giveStream(
  rooms: Rooms,
  formats: StreamFormats,
  answer: StreamReply,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { connections } = rooms
  const transport = answer.stream === 'ndjson' ? 'ndjson' : 'sse'
  if (request.httpVersionMajor !== 1 || response.socket === null || response.socket !== request.socket) {
    response.writeHead(200, answer.headers)
    response.flushHeaders()
    answer.begin(new WritableConnection(response, transport, connections), formats.get(answer.stream, 'bare'))
    return
  }
  const { socket } = request
  const isChunked = request.httpVersionMinor >= 1
  streaming.add(socket)
  response.writeHead(200, {
    ...answer.headers,
    ...(isChunked ? { 'transfer-encoding': 'chunked' } : { connection: 'close' }),
  })
  response.flushHeaders()
  const finish = (): void => {
    streaming.delete(socket)
    response.end()
  }
  answer.begin(
    new SocketConnection(socket, transport, finish, connections),
    formats.get(answer.stream, isChunked ? 'chunked' : 'bare'),
  )
}

/** The body, also when a body parser before us has read it (`request.body` of Express). */
async function* bodyOf(request: IncomingMessage): AsyncGenerator<Uint8Array, void, undefined> {
  const parsed: unknown = 'body' in request ? request.body : undefined
  if (parsed === undefined || !request.readableEnded) {
    try {
      for await (const part of request) if (part instanceof Uint8Array) yield part
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

/** A problem as a plain HTTP/1.1 answer on a socket that `node:http` has given away. */
export function rawProblem(error: unknown): string {
  const { status, headers, body } = problemReply(error)
  const lines = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' })
  return `HTTP/1.1 ${status} Refused\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}
