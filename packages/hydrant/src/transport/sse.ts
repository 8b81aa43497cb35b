// The formats of HTTP streams: SSE plain, SSE with envelopes, NDJSON; each with and without HTTP chunks around.
//
// Every event is a chunk of its own (RFC 9112, 7.1), so that joined events need no framing of their own:
//
//   1f CRLF  id, event, data …  CRLF   1c CRLF  …  CRLF
//   └ head ┘ └─── the middle ──┘ └┘
//
// HTTP/1.0, HTTP/2 and fetch take the middle of the same Buffer.

import { CONTROL_TYPES, formatSse, formatSseComment, type Gap } from 'hydrant-client/wire'
import { SharedDeflate } from '../compression/shared-deflate.ts'
import type { LogEvent } from '../hub/event.ts'
import { base64, envelopeText } from './envelope.ts'
import type { Format, Sharing } from './format.ts'
import { allocate } from './slab.ts'

/** A format of a stream that opens and ends with words of its own. */
export interface StreamFormat extends Format {
  /** The first bytes of a stream that starts at this id (PROTOCOL.md, 5.2). */
  open(id: string, retryMs: number): Uint8Array
  /** The first bytes of a stream that was resumed: nothing new, but the head must leave the proxies. */
  readonly resumed: Uint8Array
  bye(id: string, retryMs: number): Uint8Array
}

/** What the bodies of the formats differ in. */
interface Body {
  readonly name: string
  event(event: LogEvent): string
  control(type: string, data: string, id: string, retryMs?: number): string
  comment(text: string): string
}

const ssePlain: Body = {
  name: 'sse',
  event: ({ type, data, id }) => formatSse({ type, data: typeof data === 'string' ? data : base64(data), id }),
  control: sseControl,
  comment: formatSseComment,
}

const sseEnvelope: Body = {
  name: 'sse-envelope',
  event: (event) => formatSse({ type: event.type, data: envelopeText(event), id: event.id }),
  control: sseControl,
  comment: formatSseComment,
}

const ndjson: Body = {
  name: 'ndjson',
  event: (event) => `${envelopeText(event)}\n`,
  control: (type, data, id, retryMs) => {
    const name = type.slice('hydrant:'.length)
    if (name === 'gap') return `{"gap":${data}}\n`
    return `${JSON.stringify(name === 'bye' ? { bye: { id, retryMs } } : { [name]: id })}\n`
  },
  // An empty line: readers of NDJSON skip it.
  comment: () => '\n',
}

function sseControl(type: string, data: string, id: string, retryMs?: number): string {
  return formatSse({ type, data, id, ...(retryMs === undefined ? {} : { retryMs }) })
}

/** Whether HTTP chunks stand around the bytes. */
export type Framing = 'chunked' | 'bare'

/** The content codings that streams can have (RFC 9110, 8.4.1). */
export type Coding = 'identity' | 'gzip'

/** The name of a stream's body. */
export type StreamKind = 'sse' | 'sse-envelope' | 'ndjson'

/** All stream formats of a hub: `heartbeat` is the text of its comments. */
export class StreamFormats {
  readonly #formats = new Map<string, StreamFormat>()

  constructor(heartbeat: string) {
    for (const [at, body] of [ssePlain, sseEnvelope, ndjson].entries()) {
      const chunked = chunkedFormat(body, 2 * at, heartbeat)
      const bare = bareFormat(chunked, 2 * at + 1)
      this.#formats.set(`${body.name} chunked identity`, chunked)
      this.#formats.set(`${body.name} bare identity`, bare)
      this.#formats.set(`${body.name} chunked gzip`, gzipFormat(bare, 'chunked'))
      this.#formats.set(`${body.name} bare gzip`, gzipFormat(bare, 'bare'))
    }
  }

  /** The format of a kind in a framing. */
  get(kind: StreamKind, framing: Framing, coding: Coding = 'identity'): StreamFormat {
    const format = this.#formats.get(`${kind} ${framing} ${coding}`)
    if (format === undefined) throw new RangeError(`there is no stream format ${kind} ${framing} ${coding}`)
    return format
  }
}

/** How many slots of `LogEvent.encodings` the stream formats use, from 0. */
export const STREAM_SLOTS = 6

function chunkedFormat(body: Body, slot: number, heartbeat: string): StreamFormat {
  return {
    name: `${body.name} chunked`,
    slot,
    event: (event) => chunk(body.event(event)),
    gap: (gap: Gap) => chunk(body.control(CONTROL_TYPES.gap, JSON.stringify(gap), gap.id ?? gap.to)),
    live: (id) => chunk(body.control(CONTROL_TYPES.live, '{}', id)),
    position: (id) => chunk(body.control(CONTROL_TYPES.position, '{}', id)),
    heartbeat: chunk(body.comment(heartbeat)),
    open: (id, retryMs) => chunk(body.control(CONTROL_TYPES.open, '{}', id, retryMs)),
    resumed: chunk(body.comment('resumed')),
    ended: () => undefined,
    bye: (id, retryMs) => chunk(body.control(CONTROL_TYPES.bye, '{}', id, retryMs)),
  }
}

function bareFormat(chunked: StreamFormat, slot: number): StreamFormat {
  const bareOf = (bytes: Uint8Array | undefined): Uint8Array | undefined =>
    bytes === undefined ? undefined : middle(bytes)
  return {
    name: chunked.name.replace('chunked', 'bare'),
    slot,
    event: (event) => middle(chunked.event(event)),
    gap: (gap) => bareOf(chunked.gap(gap)),
    live: (id) => bareOf(chunked.live(id)),
    position: (id) => bareOf(chunked.position(id)),
    heartbeat: bareOf(chunked.heartbeat),
    open: (id, retryMs) => middle(chunked.open(id, retryMs)),
    resumed: middle(chunked.resumed),
    ended: () => undefined,
    bye: (id, retryMs) => middle(chunked.bye(id, retryMs)),
  }
}

/** Its events are the bare format's own encodings; a flush of them is compressed as one. */
function gzipFormat(bare: StreamFormat, framing: Framing): StreamFormat {
  const sharing: Sharing = {
    stream: () => new SharedDeflate(),
    bodies: (parts) => (parts.length === 1 ? parts : [Buffer.concat(parts)]),
    wire: ({ parts: [only] }) => framed(only ?? new Uint8Array(0), framing),
  }
  return { ...bare, name: bare.name.replace('bare', `${framing} gzip`), sharing }
}

/** Bytes in a framing. */
export function framed(bytes: Uint8Array, framing: Framing): Uint8Array {
  if (framing === 'bare') return bytes
  const head = Buffer.from(`${bytes.length.toString(16)}\r\n`, 'latin1')
  return Buffer.concat([head, bytes, CRLF])
}

const CRLF = Buffer.from('\r\n')
const LF = 0x0a

function chunk(text: string): Uint8Array {
  const length = Buffer.byteLength(text)
  const head = `${length.toString(16)}\r\n`
  const bytes = allocate(head.length + length + 2)
  bytes.write(head, 'latin1')
  bytes.write(text, head.length, 'utf8')
  bytes.write('\r\n', head.length + length, 'latin1')
  return bytes
}

function middle(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(bytes.indexOf(LF) + 1, bytes.length - 2)
}
