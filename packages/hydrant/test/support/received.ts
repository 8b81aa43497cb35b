// What a client received: the bytes of a connection read back, in every format, as far as they came.

import { parseBinary, parseId, type Envelope, type Gap } from 'hydrant-client/wire'
import { parseStream } from './whatwg-parser.ts'

/** One thing that a client was told. `epoch` and `offset` are those of the id that it may come back with. */
export type Received = { readonly sub: number; readonly epoch: string | undefined } & (
  | {
      readonly kind: 'event'
      /** Undefined on a plain WebSocket, which has no ids. */
      readonly offset: number | undefined
      readonly data: string
      /** Undefined where the format has no place for it. */
      readonly type: string | undefined
      readonly topic: string | undefined
    }
  | { readonly kind: 'gap'; readonly offset: number; readonly gap: Gap }
  | { readonly kind: 'open' | 'live' | 'position' | 'bye'; readonly offset: number }
  /** Everything that the subscription selected has ended. */
  | { readonly kind: 'ended'; readonly offset: undefined }
)

/** The formats, by the names that tests give them. */
export type ReceivedFormat = 'sse' | 'sse-envelope' | 'ndjson' | 'websocket' | 'websocket-plain'

/** Reads what arrived on one connection. HTTP streams must be chunked. */
export function decodeReceived(format: ReceivedFormat, bytes: Uint8Array): readonly Received[] {
  if (format === 'websocket' || format === 'websocket-plain') return decodeFrames(bytes, format === 'websocket')
  const text = withoutChunks(Buffer.from(bytes)).toString()
  return format === 'ndjson' ? decodeLines(text) : decodeBlocks(text, format === 'sse-envelope')
}

function decodeBlocks(text: string, isEnveloped: boolean): Received[] {
  return parseStream(text).messages.map(({ type, data, lastEventId }): Received => {
    const id = { sub: 0, ...idOf(lastEventId) }
    if (type === 'hydrant:gap') return { ...id, kind: 'gap', gap: JSON.parse(data) as Gap }
    const control = controlOf(type.replace('hydrant:', ''))
    if (type.startsWith('hydrant:') && control !== undefined) return { ...id, kind: control }
    if (isEnveloped) return eventOf(JSON.parse(data) as Envelope, 0)
    return { ...id, kind: 'event', data, type, topic: undefined }
  })
}

function decodeLines(text: string): Received[] {
  const lines = text.split('\n').slice(0, -1)
  return lines.filter((line) => line !== '').map((line) => messageOf(JSON.parse(line) as Record<string, unknown>, 0))
}

function decodeFrames(bytes: Uint8Array, isEnveloped: boolean): Received[] {
  const received: Received[] = []
  let sub = 0
  for (const { opcode, payload } of framesOf(Buffer.from(bytes))) {
    if (!isEnveloped) {
      const data = payload.toString()
      received.push({ sub, kind: 'event', data, ...PLAIN })
      continue
    }
    const binary = opcode === 2 ? parseBinary(payload) : undefined
    const message = (opcode === 2 ? binary?.header : JSON.parse(payload.toString())) as Record<string, unknown>
    if (typeof message['sub'] === 'number') sub = message['sub']
    else received.push(messageOf(message, sub))
  }
  return received
}

/** What a plain message does not say. */
const PLAIN = { epoch: undefined, offset: undefined, type: undefined, topic: undefined }

function messageOf(message: Record<string, unknown>, sub: number): Received {
  const { gap, open, live, position, bye, subscribed, ended } = message as { [name: string]: unknown; gap?: Gap }
  if (gap !== undefined) return { sub, kind: 'gap', ...idOf(gap.id ?? gap.to), gap }
  if (typeof open === 'string') return { sub, kind: 'open', ...idOf(open) }
  if (typeof live === 'string') return { sub, kind: 'live', ...idOf(live) }
  if (typeof position === 'string') return { sub, kind: 'position', ...idOf(position) }
  if (bye !== undefined) return { sub, kind: 'bye', ...idOf((bye as { id: string }).id) }
  if (ended !== undefined)
    return { sub: (ended as { sub: number }).sub, kind: 'ended', epoch: undefined, offset: undefined }
  if (subscribed !== undefined) {
    const started = subscribed as { sub: number; id: string }
    return { sub: started.sub, kind: 'open', ...idOf(started.id) }
  }
  return eventOf(message as unknown as Envelope, sub)
}

function eventOf(envelope: Envelope, sub: number): Received {
  const { id, data = '', type, topic } = envelope
  return { sub, kind: 'event', ...idOf(id), data, type, topic }
}

function controlOf(name: string): 'open' | 'live' | 'position' | 'bye' | undefined {
  return name === 'open' || name === 'live' || name === 'position' || name === 'bye' ? name : undefined
}

function idOf(text: string): { readonly epoch: string; readonly offset: number } {
  const id = parseId(text)
  if (id === undefined) throw new Error(`${JSON.stringify(text)} is no id`)
  return id
}

/** The body of a chunked response; a chunk that was cut counts as far as it came (RFC 9112, 7.1). */
function withoutChunks(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const headEnd = bytes.indexOf('\r\n', at)
    if (headEnd === -1) break
    const head = bytes.subarray(at, headEnd).toString()
    if (!/^[0-9a-f]+$/.test(head)) throw new Error(`${JSON.stringify(head)} is no chunk size`)
    const begin = headEnd + 2
    const end = begin + Number.parseInt(head, 16)
    parts.push(bytes.subarray(begin, end))
    const close = bytes.subarray(end, end + 2).toString()
    if (!'\r\n'.startsWith(close)) throw new Error(`a chunk ends with ${JSON.stringify(close)}`)
    at = end + 2
  }
  return Buffer.concat(parts)
}

/** Whole, unmasked frames (RFC 6455, 5.2); one that was cut did not happen. */
function framesOf(bytes: Buffer): { readonly opcode: number; readonly payload: Buffer }[] {
  const frames: { opcode: number; payload: Buffer }[] = []
  for (let at = 0; at + 2 <= bytes.length;) {
    const first = bytes.readUInt8(at)
    const short = bytes.readUInt8(at + 1)
    if ((first & 0xf0) !== 0x80 || short > 127) throw new Error('a frame of a server must be whole and unmasked')
    const head = short < 126 ? 2 : short === 126 ? 4 : 10
    if (at + head > bytes.length) break
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
    if (at + head + length > bytes.length) break
    frames.push({ opcode: first & 0xf, payload: bytes.subarray(at + head, at + head + length) })
    at += head + length
  }
  return frames
}
