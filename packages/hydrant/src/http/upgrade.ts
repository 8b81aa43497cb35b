// The handler of `upgrade` events: a WebSocket on the same URLs as the streams.

import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { SUBPROTOCOL } from 'hydrant-client/wire'
import { count } from '../hub/counters.ts'
import { HydrantError, problemOf } from '../hub/errors.ts'
import { checkStart } from '../hub/start.ts'
import type { UrlSelection } from '../transport/websocket-session.ts'
import type { WebSockets } from '../transport/websockets.ts'
import type { Rooms } from './dispatch.ts'
import { headerOf, rawProblem, targetOf } from './node.ts'
import { isEventsPath, parseSubscribe } from './query.ts'

/** A handler of `upgrade` events of `node:http`. */
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Makes the handler. `needsTopic`: whether a plain WebSocket without a topic has nothing to say or hear. */
export function upgradeHandler(
  rooms: Rooms,
  webSockets: WebSockets,
  basePath: string,
  needsTopic: boolean,
): UpgradeHandler {
  const refuse = (socket: Duplex, error: unknown): void => {
    count(rooms.hub.counters.refused, problemOf(error).code)
    if (!(error instanceof HydrantError)) rooms.hub.report(error)
    socket.end(rawProblem(error))
  }
  webSockets.onMalformed((error, socket) => refuse(socket, new HydrantError('malformed-upgrade', `${error.message}.`)))
  return (request, socket, head) => {
    // A client that vanishes in its handshake is no error of ours; `ws` listens for itself later.
    socket.on('error', destroy)
    try {
      const url = checkUpgrade(rooms, request, basePath, needsTopic)
      if (!(socket instanceof Socket)) {
        throw new HydrantError('malformed-upgrade', 'Only a TCP or TLS socket can become a WebSocket here.')
      }
      webSockets.accept(request, socket, head, url)
    } catch (error) {
      refuse(socket, error)
    }
  }
}

function destroy(this: Duplex): void {
  this.destroy()
}

function checkUpgrade(rooms: Rooms, request: IncomingMessage, basePath: string, needsTopic: boolean): UrlSelection {
  const { hub, origins } = rooms
  const { path, query: parameters } = targetOf(request, basePath)
  if (path === undefined || !isEventsPath(path)) {
    throw new HydrantError('not-found', 'WebSockets are at /events/<topic>.')
  }
  if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
    throw new HydrantError('malformed-upgrade', 'Only an upgrade to websocket is possible here.')
  }
  origins.check(headerOf(request, 'origin'), request.headers.host)
  const query = parseSubscribe(path, parameters, headerOf(request, 'last-event-id'), hub.clock.nowMs())
  if (query.limit !== undefined || query.format !== 'plain') {
    throw new HydrantError(
      'malformed-query',
      `limit and format are not for WebSockets; envelopes come with the subprotocol ${SUBPROTOCOL}.`,
    )
  }
  checkStart(query.start)
  const isOptional = !needsTopic || (request.headers['sec-websocket-protocol'] ?? '').includes(SUBPROTOCOL)
  const selection = query.topics.length === 0 && isOptional ? undefined : hub.select(query.topics, query.types)
  return { selection, start: query.start, lag: query.lag }
}
