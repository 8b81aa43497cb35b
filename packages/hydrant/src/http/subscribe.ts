// Subscribing over HTTP (PROTOCOL.md, 4 and 5): a stream as SSE or NDJSON, or a page of history as JSON.

import { HydrantError } from '../hub/errors.ts'
import type { LogEvent } from '../hub/event.ts'
import type { Hub } from '../hub/hub.ts'
import type { Selection } from '../hub/selection.ts'
import { checkStart } from '../hub/start.ts'
import { quote } from '../hub/topic.ts'
import type { Connections } from '../transport/connections.ts'
import { envelopeOf } from '../transport/envelope.ts'
import { farewellMs } from '../transport/pump.ts'
import type { StreamKind } from '../transport/sse.ts'
import { jsonReply, textReply, type Answer, type HttpRequest, type Reply, type StreamReply } from './exchange.ts'
import { chooseMedia } from './media.ts'
import { parseSubscribe, type SubscribeQuery } from './query.ts'

/** What proxies need so that events arrive at once: not stored, not compressed again, not buffered by nginx. */
const STREAM_HEADERS = {
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
  vary: 'accept',
} as const

/** Answers `GET /events…`. */
export async function subscribe(hub: Hub, connections: Connections, request: HttpRequest): Promise<Answer> {
  const media = chooseMedia(request.header('accept'))
  const query = parseSubscribe(request.path, request.query, request.header('last-event-id'), hub.clock.nowMs())
  const selection = hub.select(query.topics, query.types)
  checkStart(query.start)
  if (media === 'application/json') return page(hub, selection, query)
  if (query.limit !== undefined)
    throw new HydrantError(
      'malformed-query',
      'limit is for a page of history: ask for it with Accept: application/json.',
    )
  const kind: StreamKind =
    media === 'application/x-ndjson' ? 'ndjson' : query.format === 'envelope' ? 'sse-envelope' : 'sse'
  return stream(hub, connections, kind, selection, query)
}

async function stream(
  hub: Hub,
  connections: Connections,
  kind: StreamKind,
  selection: Selection,
  query: SubscribeQuery,
): Promise<Answer> {
  const isEvents = kind !== 'ndjson'
  const headers = { 'content-type': isEvents ? 'text/event-stream' : 'application/x-ndjson', ...STREAM_HEADERS }
  const refusal = connections.refusal()
  if (refusal !== undefined) {
    if (!isEvents) throw refusal
    return farewell(hub, kind, headers, await comebackId(hub, selection, query))
  }
  const start = await hub.start(query.start, selection)
  const isOver = start.resumed && start.gap === undefined && start.after >= (hub.endOf(selection) ?? Infinity)
  if (isOver) return { ...textReply(204, ''), headers: {} } // the one status that makes an EventSource stay away
  return {
    kind: 'stream',
    headers,
    stream: kind,
    begin: (connection, format) => {
      connections.add(connection)
      const opening = start.resumed ? format.resumed : format.open(hub.idAt(start.after), hub.limits.retryMs)
      connections.pump.send(connection, opening)
      connections.pump.subscribe({ connection, selection, format, start, lag: query.lag ?? hub.lag, label: 0 })
    },
  }
}

/**
 * A refusal for now. Not a status: an EventSource never comes back from one (WHATWG HTML, 9.2.2). A stream that says
 * when to come back, keeps the client's id, and ends.
 */
function farewell(hub: Hub, kind: StreamKind, headers: Readonly<Record<string, string>>, id: string): StreamReply {
  return {
    kind: 'stream',
    headers,
    stream: kind,
    begin: (connection, format) => {
      connection.send(format.bye(id, farewellMs(hub.limits.retryMs)))
      connection.end(undefined)
    },
  }
}

/** The client's own id, or where its stream would have started: what it asked for must not be lost by being refused. */
async function comebackId(hub: Hub, selection: Selection, { start }: SubscribeQuery): Promise<string> {
  return start.lastEventId ?? hub.idAt((await hub.start(start, selection)).after)
}

/** History, oldest first: from the start that the query names, by default the earliest. */
async function page(hub: Hub, selection: Selection, query: SubscribeQuery): Promise<Reply> {
  if (query.start.state !== undefined) throw new HydrantError('malformed-query', 'state is for streams, not for pages.')
  const limit = Math.min(query.limit ?? 100, hub.limits.pageEventsMax)
  if (query.limit !== undefined && query.limit > limit) {
    throw new HydrantError(
      'malformed-query',
      `limit is ${quote(String(query.limit))}; at most ${limit} events fit a page.`,
    )
  }
  const isNamed = Object.values(query.start).some((value) => value !== undefined)
  const start = await hub.start(isNamed ? query.start : { earliest: true }, selection)
  let gap = start.gap
  const events: LogEvent[] = []
  let after = start.after
  const { head } = hub.engine.bounds()
  let bytesLeft = hub.limits.batchBytesMax
  while (events.length < limit && bytesLeft > 0 && after < head) {
    const request = { after, selection, eventsMax: limit - events.length, bytesMax: bytesLeft }
    const history = await hub.engine.read(request)
    if (history.gap !== undefined) {
      const { to, certain } = history.gap
      gap ??= { from: hub.idAt(after), to: hub.idAt(to), reason: 'trimmed', certain }
    }
    for (const event of history.events) {
      events.push(event)
      bytesLeft -= event.sizeBytes
    }
    after = history.to
  }
  const id = hub.idAt(after)
  return jsonReply(
    200,
    {
      events: events.map(envelopeOf),
      ...(gap === undefined ? {} : { gap }),
      id,
      more: after < hub.engine.bounds().head,
    },
    { 'cache-control': 'no-store', vary: 'accept' },
  )
}
