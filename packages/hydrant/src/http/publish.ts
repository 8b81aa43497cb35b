// Publishing over HTTP (PROTOCOL.md, 7): what kind of body it is decides how it becomes events.
//
//   POST /events/<topic>   the body is the data of one event
//   POST /events           JSON: an event, or an array; NDJSON: a line per event; CloudEvents: one, or a batch
//
// An event is never partly published; of a batch all or none. An NDJSON stream is no batch: each group of lines that
// has arrived is one, and the answer says how far it came.

import { parseId } from 'hydrant-client/wire'
import { HydrantError } from '../hub/errors.ts'
import type { CheckedEvent, EventInput } from '../hub/event.ts'
import type { Hub, PublishOptions } from '../hub/hub.ts'
import { quote } from '../hub/topic.ts'
import { decodeText, parseJson, readBody, readLines } from './body.ts'
import { cloudEventOfHeaders, parseCloudEvent } from './cloudevents.ts'
import { parseEventJson } from './event-json.ts'
import { jsonReply, PublishStopped, type HttpRequest, type PublishProgress, type Reply } from './exchange.ts'
import { isTextMedia, mediaOf } from './media.ts'
import { checkKeys, mapOne, parseFlag, topicOfPath } from './query.ts'

/** Room for the envelope around the data of an NDJSON line: topic, type and key, and escapes. */
const LINE_OVERHEAD = 4_096

/** Answers `POST /events` and `POST /events/<topic>`. */
export async function publish(hub: Hub, request: HttpRequest): Promise<Reply> {
  checkKeys(request.query, ['type', 'key', 'end', 'ifLast', 'atomic'])
  const encoding = request.header('content-encoding') ?? 'identity'
  if (encoding !== 'identity') {
    throw new HydrantError(
      'unsupported-media-type',
      `Content-Encoding ${quote(encoding)} is not taken; send the body as it is.`,
    )
  }
  const topic = topicOfPath(request.path)
  const media = mediaOf(request.header('content-type'))
  if (isNdjson(media)) return publishLines(hub, request, topic)
  if (media === 'application/cloudevents-batch+json')
    return publishBatch(hub, request, (value) => parseCloudEvent(value, topic))
  if (media === 'application/cloudevents+json')
    return publishOne(hub, request, parseCloudEvent(await jsonOf(hub, request), topic))
  if (request.header('ce-specversion') !== undefined) {
    const event = cloudEventOfHeaders((name) => request.header(name), topic)
    return publishOne(hub, request, { ...event, data: await rawData(hub, request, media) })
  }
  if (topic !== undefined) return publishRaw(hub, request, topic, media)
  if (media === 'application/json') return publishBatch(hub, request, (value) => parseEventJson(value))
  throw new HydrantError(
    'unsupported-media-type',
    `POST /events takes JSON, NDJSON and CloudEvents, not ${quote(media)}. As it is: POST /events/<topic>.`,
  )
}

/** Every media type that NDJSON goes by. */
export function isNdjson(media: string): boolean {
  return media === 'application/x-ndjson' || media === 'application/ndjson' || media === 'application/jsonl'
}

async function publishRaw(hub: Hub, request: HttpRequest, topic: string, media: string): Promise<Reply> {
  const data = await rawData(hub, request, media)
  const { ends = false, ...options } = optionsOf(request)
  if (ends && data.length === 0) return jsonReply(200, { id: await hub.end(topic, options) })
  const type = mapOne(request.query, 'type', (text) => text)
  const key = mapOne(request.query, 'key', (text) => text)
  return publishOne(hub, request, { topic, type, key, data })
}

async function publishOne(hub: Hub, request: HttpRequest, event: EventInput): Promise<Reply> {
  const id = await hub.publish(event, optionsOf(request))
  return jsonReply(200, { id })
}

/** How the request wants its events stored. */
function optionsOf(request: HttpRequest): PublishOptions {
  const { query } = request
  return {
    idempotencyKey: request.header('idempotency-key'),
    ifLast: mapOne(query, 'ifLast', parseIfLast),
    ends: mapOne(query, 'end', (text) => parseFlag('end', text)),
    waitMs: waitOf(request.header('prefer')),
  }
}

/** `Prefer: wait=10` (RFC 7240, 4.3): seconds to wait for a log that cannot be reached. */
function waitOf(prefer: string | undefined): number | undefined {
  const seconds = /(?:^|,)\s*wait\s*=\s*"?(\d{1,6})"?\s*(?:$|[,;])/i.exec(prefer ?? '')?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1_000
}

function parseIfLast(text: string): string {
  if (text === 'none' || parseId(text) !== undefined) return text
  throw new HydrantError('malformed-id', `ifLast is ${quote(text)}; it must be an id like 0123456789ab-42, or none.`)
}

/** A JSON value: one event answers `id`, an array answers `ids`. */
async function publishBatch(hub: Hub, request: HttpRequest, parse: (value: unknown) => EventInput): Promise<Reply> {
  const body = await jsonOf(hub, request)
  if (!Array.isArray(body)) return publishOne(hub, request, parse(body))
  const events = body.map((value: unknown, at) => locate(`Event ${at}`, () => parse(value)))
  const options = optionsOf(request)
  if (mapOne(request.query, 'atomic', (text) => parseFlag('atomic', text)) === false) {
    return jsonReply(200, { results: await publishEach(hub, events, options) })
  }
  const ids = await hub.publishBatch(events, options)
  return jsonReply(200, { ids })
}

/** Each event for itself: an id, or why it was not stored. */
async function publishEach(hub: Hub, events: readonly EventInput[], options: PublishOptions): Promise<unknown[]> {
  if (options.idempotencyKey !== undefined || options.ifLast !== undefined || options.ends === true) {
    throw new HydrantError(
      'malformed-query',
      'Idempotency keys, ifLast and end are for events that are stored as one, not with atomic=false.',
    )
  }
  const stored = await hub.publishEach(events, options)
  return stored.map((one) => ('error' in one ? { error: one.error.problem } : one))
}

/** Lines as they come, each group acknowledged by the log before more is read. */
async function publishLines(hub: Hub, request: HttpRequest, topic: string | undefined): Promise<Reply> {
  const { idempotencyKey, ifLast, ends, waitMs } = optionsOf(request)
  if (idempotencyKey !== undefined || ifLast !== undefined || ends === true) {
    throw new HydrantError(
      'malformed-idempotency-key',
      'An NDJSON stream is many requests in one; idempotency keys, ifLast and end are for single events and batches.',
    )
  }
  const progress: PublishProgress = { published: 0 }
  let line = 1
  try {
    for await (const lines of readLines(request.body, hub.limits.eventBytesMax * 2 + LINE_OVERHEAD)) {
      const { events, fault } = await parseLines(hub, lines, line, topic)
      for (let at = 0; at < events.length; at += hub.limits.batchEventsMax) {
        const group = events.slice(at, at + hub.limits.batchEventsMax)
        for (const stored of await hub.publishChecked(group, { waitMs })) {
          if ('error' in stored) throw stored.error
          progress.published += 1
          progress.lastId = stored.id
        }
      }
      if (fault !== undefined) throw fault
      line += lines.length
    }
  } catch (error) {
    throw error instanceof HydrantError ? new PublishStopped(error, progress) : error
  }
  return jsonReply(200, progress)
}

/** The events of some lines, up to the first that is wrong; empty lines are signs of life. */
async function parseLines(
  hub: Hub,
  lines: readonly Uint8Array[],
  firstLine: number,
  topic: string | undefined,
): Promise<{ readonly events: readonly CheckedEvent[]; readonly fault?: HydrantError }> {
  const events: CheckedEvent[] = []
  for (const [at, bytes] of lines.entries()) {
    try {
      const text = decodeText(bytes).trim()
      if (text === '') continue
      events.push(await hub.check(parseEventJson(parseJson(text), topic))) // here, so that the fault is this line's
    } catch (error) {
      if (!(error instanceof HydrantError)) throw error
      return { events, fault: new HydrantError(error.code, `Line ${firstLine + at}: ${error.message}`) }
    }
  }
  return { events }
}

async function jsonOf(hub: Hub, request: HttpRequest): Promise<unknown> {
  return parseJson(decodeText(await readBody(request.body, hub.limits.batchBytesMax, 'batch-too-large')))
}

async function rawData(hub: Hub, request: HttpRequest, media: string): Promise<string | Uint8Array> {
  const bytes = await readBody(request.body, hub.limits.eventBytesMax, 'event-too-large')
  // The bytes may stand in a piece of the socket's that is many times larger: a copy, so that the window's
  // count is true.
  return isTextMedia(media) ? decodeText(bytes) : Uint8Array.from(bytes)
}

/** Says where in a batch something is wrong. */
function locate<Result>(place: string, run: () => Result): Result {
  try {
    return run()
  } catch (error) {
    throw error instanceof HydrantError ? new HydrantError(error.code, `${place}: ${error.message}`) : error
  }
}
