// From a request to the room that answers it.

import { count } from '../hub/counters.ts'
import { HydrantError, problemOf } from '../hub/errors.ts'
import type { Hub } from '../hub/hub.ts'
import type { Connections } from '../transport/connections.ts'
import { MethodNotAllowed, problemReply, textReply, type Answer, type HttpRequest } from './exchange.ts'
import { livez, readyz } from './health.ts'
import type { Origins } from './origin.ts'
import { publish } from './publish.ts'
import { isEventsPath } from './query.ts'
import { subscribe } from './subscribe.ts'

/** What answers requests. */
export interface Rooms {
  readonly hub: Hub
  readonly connections: Connections
  readonly origins: Origins
  /** Whether streams are compressed for those who accept it. */
  readonly compresses: boolean
  /** What `/metrics` answers. */
  readonly metrics: () => string | Promise<string>
}

/** Whether a path is one of ours; others are left to the application around. */
export function isOurs(path: string): boolean {
  return isEventsPath(path) || path === '/livez' || path === '/readyz' || path === '/metrics'
}

/** Answers a request. Never rejects: what is wrong becomes a problem. */
export async function dispatch(rooms: Rooms, request: HttpRequest): Promise<Answer> {
  const origin = request.header('origin')
  try {
    const answer = await route(rooms, request, origin)
    return { ...answer, headers: { ...answer.headers, ...rooms.origins.headers(origin) } }
  } catch (error) {
    const { code } = problemOf(error)
    count(rooms.hub.counters.refused, code)
    if (!(error instanceof HydrantError)) rooms.hub.report(error)
    const reply = problemReply(error)
    return { ...reply, headers: { ...reply.headers, ...rooms.origins.headers(origin) } }
  }
}

async function route(rooms: Rooms, request: HttpRequest, origin: string | undefined): Promise<Answer> {
  const { hub, origins } = rooms
  const { method, path } = request
  if (isEventsPath(path)) {
    if (method === 'GET') return subscribe(rooms, request)
    if (method === 'OPTIONS')
      return { ...textReply(204, ''), headers: { allow: 'GET, POST, OPTIONS', ...origins.preflight(origin) } }
    if (method !== 'POST') throw new MethodNotAllowed(method, 'GET, POST, OPTIONS')
    origins.check(origin, request.header('host'))
    return publish(hub, request)
  }
  if (!isOurs(path))
    throw new HydrantError('not-found', 'There is nothing at this path; events are at /events/<topic>.')
  if (method !== 'GET' && method !== 'HEAD') throw new MethodNotAllowed(method, 'GET, HEAD')
  if (path === '/livez') return livez()
  if (path === '/readyz') return readyz(hub)
  return textReply(200, await rooms.metrics(), 'text/plain; version=0.0.4; charset=utf-8')
}
