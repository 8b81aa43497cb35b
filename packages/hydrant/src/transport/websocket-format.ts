// The formats of WebSocket messages: plain data, or envelopes of the subprotocol; each event a whole frame, made once.

import { formatBinary, type Gap } from 'hydrant-client/wire'
import { SharedDeflate } from '../compression/shared-deflate.ts'
import type { LogEvent } from '../hub/event.ts'
import { envelopeText, headerOf } from './envelope.ts'
import type { Format, Sharing } from './format.ts'
import { allocate } from './slab.ts'
import { STREAM_SLOTS } from './sse.ts'

const TEXT = 0x1
const BINARY = 0x2

/** Messages are the events' data, as text or binary frames. No ids, so neither gaps nor positions can be told. */
export const plainMessages: Format = {
  name: 'websocket',
  slot: STREAM_SLOTS,
  event: ({ data }) => (typeof data === 'string' ? textFrame(data) : binaryFrame(data)),
  gap: () => undefined,
  live: () => undefined,
  position: () => undefined,
  bye: () => undefined,
  ended: () => undefined,
  heartbeat: undefined,
  sharing: deflatedMessages(),
}

/** Messages of the subprotocol `hydrant.v1`: JSON envelopes; bytes as binary frames with a JSON header. */
export const envelopeMessages: Format = {
  name: 'websocket hydrant.v1',
  slot: STREAM_SLOTS + 1,
  event: envelopeFrame,
  gap: (gap: Gap) => textFrame(JSON.stringify({ gap })),
  live: (id) => textFrame(JSON.stringify({ live: id })),
  position: (id) => textFrame(JSON.stringify({ position: id })),
  bye: () => undefined,
  ended: (label) => textFrame(JSON.stringify({ ended: { sub: label } })),
  heartbeat: undefined,
  sharing: deflatedMessages(),
}

/** A text frame of a server: final, unmasked (RFC 6455, 5.2). */
export function textFrame(text: string): Uint8Array {
  const length = Buffer.byteLength(text)
  const bytes = frame(TEXT, length)
  bytes.write(text, bytes.length - length, 'utf8')
  return bytes
}

/** A binary frame of a server. */
export function binaryFrame(bytes: Uint8Array): Uint8Array {
  const framed = frame(BINARY, bytes.length)
  framed.set(bytes, framed.length - bytes.length)
  return framed
}

function envelopeFrame(event: LogEvent): Uint8Array {
  const { data } = event
  return typeof data === 'string' ? textFrame(envelopeText(event)) : binaryFrame(formatBinary(headerOf(event), data))
}

/**
 * A frame's header, and room for its payload. Same bytes as `ws`'s own sender: locked by
 * test/transport/websocket-format.test.ts.
 */
function frame(opcode: number, length: number): Buffer {
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const bytes = allocate(head + length)
  bytes[0] = 0x80 | opcode
  if (head === 2) bytes[1] = length
  else if (head === 4) {
    bytes[1] = 126
    bytes.writeUInt16BE(length, 2)
  } else {
    bytes[1] = 127
    bytes.writeBigUInt64BE(BigInt(length), 2)
  }
  return bytes
}

/** The first of the reserved bits: the message is compressed (RFC 7692, 6). */
const COMPRESSED = 0x40
/** What every sync flush ends with, and every message leaves out. */
const FLUSH_TAIL_BYTES = 4
/** A message of nothing (RFC 7692, 7.2.3.6). */
const EMPTY = Uint8Array.of(0)

/** Messages compressed with one context for all who have had them all. Those of one client alone are not compressed. */
function deflatedMessages(): Sharing {
  return {
    stream: () => new SharedDeflate(),
    bodies: (parts) => parts.map(bodyOf),
    wire: (flush, parts) => {
      const frames = flush.parts.map((part, at) => {
        const body = part.length > FLUSH_TAIL_BYTES ? part.subarray(0, part.length - FLUSH_TAIL_BYTES) : EMPTY
        const bytes = frame((parts[at]?.[0] ?? 0) | COMPRESSED, body.length)
        bytes.set(body, bytes.length - body.length)
        return bytes
      })
      return Buffer.concat(frames)
    },
  }
}

/** The payload of one of our frames. */
function bodyOf(bytes: Uint8Array): Uint8Array {
  const length = bytes[1] ?? 0
  return bytes.subarray(length < 126 ? 2 : length === 126 ? 4 : 10)
}
