// The handler in fetch style: a Request in, a Response out. For Hono, Next, Deno, Bun and service workers.

import type { StreamFormats } from '../transport/sse.ts'
import type { Connection, ConnectionOwner } from '../transport/connection.ts'
import { connectionOf } from '../transport/gzip-connection.ts'
import { FetchConnection } from '../transport/fetch-connection.ts'
import { HydrantError } from '../hub/errors.ts'
import { dispatch, type Rooms } from './dispatch.ts'
import type { HttpRequest } from './exchange.ts'

/** Makes the handler. WebSockets need `upgrade`: fetch has no way to say them. */
export function fetchHandler(rooms: Rooms, formats: StreamFormats, basePath: string) {
  return async (request: Request): Promise<Response> => {
    const url = new URL(request.url) // made by the runtime, so it parses
    const exchange: HttpRequest = {
      method: request.method,
      path: url.pathname.startsWith(basePath) ? url.pathname.slice(basePath.length) : '',
      query: url.searchParams,
      header: (name) => (name === 'host' ? url.host : (request.headers.get(name) ?? undefined)),
      body: bodyOf(request),
    }
    const answer = await dispatch(rooms, exchange)
    if (answer.kind === 'reply') {
      const hasBody = answer.status !== 204 && request.method !== 'HEAD'
      return new Response(hasBody ? answer.body : null, { status: answer.status, headers: answer.headers })
    }
    if (request.signal.aborted) throw request.signal.reason
    const { stream, coding, headers } = answer
    let body: FetchConnection['body'] | undefined
    const open = (owner: ConnectionOwner): Connection => {
      const inner = new FetchConnection(stream === 'ndjson' ? 'ndjson' : 'sse', owner)
      body = inner.body
      return inner
    }
    const connection = connectionOf(coding, 'bare', open, rooms.connections)
    request.signal.addEventListener('abort', () => connection.destroy(), { once: true })
    answer.begin(connection, formats.get(stream, 'bare', coding))
    return new Response(body, { status: 200, headers })
  }
}

async function* bodyOf(request: Request): AsyncGenerator<Uint8Array, void, undefined> {
  if (request.body === null) return
  const reader = request.body.getReader()
  try {
    for (let part = await next(reader); part !== undefined; part = await next(reader)) yield part
  } finally {
    reader.cancel().catch(() => {}) // of a body that nobody will read on; one that was read to its end does not mind
  }
}

async function next(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    return (await reader.read()).value
  } catch (error) {
    throw new HydrantError('malformed-body', 'The body did not arrive whole.', { cause: error })
  }
}
