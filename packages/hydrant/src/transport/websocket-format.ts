// The formats of WebSocket messages: plain data, or envelopes of the subprotocol; each event a whole frame, made once.

import { formatBinary, type Gap } from 'hydrant-client/wire'
import type { LogEvent } from '../hub/event.ts'
import { envelopeText, headerOf } from './envelope.ts'
import type { Format } from './format.ts'
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
}

/** A text frame of a server: final, unmasked (RFC 6455, 5.2). */
export function textFrame(text: string): Uint8Array {
  return frame(TEXT, Buffer.from(text))
}

/** A binary frame of a server. */
export function binaryFrame(bytes: Uint8Array): Uint8Array {
  return frame(BINARY, bytes)
}

function envelopeFrame(event: LogEvent): Uint8Array {
  const { data } = event
  return typeof data === 'string' ? textFrame(envelopeText(event)) : frame(BINARY, formatBinary(headerOf(event), data))
}

/**
 * Header and payload in one Buffer. Same bytes as `ws`'s own sender: locked by
 * test/transport/websocket-format.test.ts.
 */
function frame(opcode: number, payload: Uint8Array): Uint8Array {
  const { length } = payload
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const bytes = Buffer.allocUnsafe(head + length)
  bytes[0] = 0x80 | opcode
  if (head === 2) bytes[1] = length
  else if (head === 4) {
    bytes[1] = 126
    bytes.writeUInt16BE(length, 2)
  } else {
    bytes[1] = 127
    bytes.writeBigUInt64BE(BigInt(length), 2)
  }
  bytes.set(payload, head)
  return bytes
}
