// Subscribing over HTTP (PROTOCOL.md, 4 and 5): a stream as SSE or NDJSON, or a page of history as JSON.

import { HydrantError } from '../hub/errors.ts'
import type { LogEvent } from '../hub/event.ts'
import { gapOf, newGap, withId } from '../hub/gap.ts'
import type { Hub } from '../hub/hub.ts'
import type { Selection } from '../hub/selection.ts'
import { checkStart, isStartNamed, type Start } from '../hub/start.ts'
import { quote } from '../hub/topic.ts'
import type { Connections } from '../transport/connections.ts'
import { envelopeOf } from '../transport/envelope.ts'
import { farewellMs } from '../transport/pump.ts'
import type { Coding, StreamKind } from '../transport/sse.ts'
import { jsonReply, textReply, type Answer, type HttpRequest, type Reply, type StreamReply } from './exchange.ts'
import { acceptsGzip, chooseMedia } from './media.ts'
import { parseSubscribe, type SubscribeQuery } from './query.ts'

/** What proxies need so that events arrive at once: not stored, not compressed again, not buffered by nginx. */
const STREAM_HEADERS = {
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
  vary: 'accept',
} as const

/** What a subscription is answered with. */
export interface SubscribeParts {
  readonly hub: Hub
  readonly connections: Connections
  /** Whether streams are compressed for those who accept it. */
  readonly compresses: boolean
}

/** Answers `GET /events…`. */
export async function subscribe(parts: SubscribeParts, request: HttpRequest): Promise<Answer> {
  const { hub } = parts
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
  const coding = parts.compresses && acceptsGzip(request.header('accept-encoding')) ? 'gzip' : 'identity'
  return stream(parts, { kind, coding, headers: headersOf(kind, coding, parts) }, selection, query)
}

/** What kind of stream it is, and its head. */
type Kind = Pick<StreamReply, 'coding' | 'headers'> & { readonly kind: StreamKind }

function headersOf(kind: StreamKind, coding: Coding, { compresses }: SubscribeParts): Record<string, string> {
  return {
    'content-type': kind === 'ndjson' ? 'application/x-ndjson' : 'text/event-stream',
    ...STREAM_HEADERS,
    ...(compresses ? { vary: 'accept, accept-encoding' } : {}),
    ...(coding === 'identity' ? {} : { 'content-encoding': coding }),
  }
}

async function stream(
  { hub, connections }: SubscribeParts,
  kind: Kind,
  selection: Selection,
  query: SubscribeQuery,
): Promise<Answer> {
  const isEvents = kind.kind !== 'ndjson'
  const refusal = connections.refusal()
  if (refusal !== undefined) {
    if (!isEvents) throw refusal
    return farewell(hub, kind, await comebackId(hub, selection, query))
  }
  let start: Start
  try {
    start = await hub.start(query.start, selection)
  } catch (error) {
    if (!isEvents || !isUnavailable(error)) throw error
    return farewell(hub, kind, unsoughtId(hub, query))
  }
  const isOver = start.resumed && start.gap === undefined && start.after >= (hub.endOf(selection) ?? Infinity)
  if (isOver) return { ...textReply(204, ''), headers: {} } // the one status that makes an EventSource stay away
  return {
    ...kind,
    kind: 'stream',
    stream: kind.kind,
    begin: (connection, format) => {
      connections.add(connection)
      const opening = start.resumed ? format.resumed : format.open(hub.idAt(start.after), hub.limits.retryMs)
      connections.pump.send(connection, opening)
      const lag = query.lag ?? hub.lagOf(selection)
      connections.pump.subscribe({ connection, selection, format, start, lag, label: 0 })
    },
  }
}

/** Whether the log cannot be reached at the moment, though it was open before. */
function isUnavailable(error: unknown): boolean {
  return error instanceof HydrantError && error.code === 'unavailable'
}

/**
 * A refusal for now. Not a status: an EventSource never comes back from one (WHATWG HTML, 9.2.2). A stream that says
 * when to come back, keeps the client's id, and ends.
 */
function farewell(hub: Hub, kind: Kind, id: string): StreamReply {
  return {
    ...kind,
    kind: 'stream',
    stream: kind.kind,
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

/** The same where the log cannot be asked: from before everything, rather than from after what was asked for. */
function unsoughtId(hub: Hub, { start }: SubscribeQuery): string {
  return start.lastEventId ?? hub.idAt(isStartNamed(start) ? 0 : hub.window.head)
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
  for (;;) {
    const { undone } = hub
    const reply = await readPage(hub, selection, query, limit)
    if (undone === hub.undone) return reply // else the places that it was made from may be no part of the log
  }
}

async function readPage(hub: Hub, selection: Selection, query: SubscribeQuery, limit: number): Promise<Reply> {
  const isNamed = Object.values(query.start).some((value) => value !== undefined)
  const start = await hub.start(isNamed ? query.start : { earliest: true }, selection)
  let { gap, goneTo } = start
  let gapTo = start.after
  const events: LogEvent[] = []
  let after = start.after
  const { head } = hub.engine.bounds()
  let bytesLeft = hub.limits.batchBytesMax
  while (events.length < limit && bytesLeft > 0 && after < head) {
    const request = { after, selection, eventsMax: limit - events.length, bytesMax: bytesLeft }
    const history = await hub.engine.read(request)
    const missing = newGap(history, goneTo)
    if (missing !== undefined) {
      const more = gapOf(missing, after, 'trimmed', (offset) => hub.idAt(offset))
      // One gap stands for all of the page: also for what went while it was read.
      gap = gap === undefined ? more : { ...gap, to: more.to, certain: gap.certain && more.certain }
      goneTo = gapTo = missing.to
    }
    for (const event of history.events) {
      events.push(event)
      bytesLeft -= event.sizeBytes
    }
    after = history.to
  }
  const id = hub.idAt(after)
  const [first] = events
  if (gap !== undefined && first !== undefined && first.offset <= gapTo) gap = withId(gap, hub.idAt(first.offset - 1))
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
