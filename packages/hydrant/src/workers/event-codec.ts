// Events as bytes, to travel between threads: made once in one buffer, however many threads read it.
//
//   offset  time  epoch  flags  lengths of topic, type, key and data   then these four, one event after the other
//   f64     f64   u16    u16    u32 each
//
// An object for each event would be copied for each thread, and copying costs by the object.

import { LogEvent } from '../hub/event.ts'

/** Some events, in log order, as they travel. */
export interface PackedEvents<Bytes extends ArrayBufferLike = ArrayBufferLike> {
  readonly bytes: Bytes
  readonly count: number
  /** The names of the epochs that they are of. */
  readonly epochs: readonly string[]
}

const HEAD_BYTES = 36
const IS_BINARY = 1
/** The data has one byte for each character: it is read four times as fast. */
const IS_ASCII = 2
const HAS_KEY = 4
/** What most are: it takes no bytes. */
const USUAL_TYPE = 'message'

/** How many bytes they take. */
export function sizeOf(events: readonly LogEvent[]): number {
  let bytes = 0
  for (const { topic, type, key = '', data } of events) {
    bytes += HEAD_BYTES + Buffer.byteLength(topic) + Buffer.byteLength(typeText(type)) + Buffer.byteLength(key)
    bytes += typeof data === 'string' ? Buffer.byteLength(data) : data.length
  }
  return bytes
}

/** Writes them to the start of a buffer that is large enough. */
export function packEvents<Bytes extends ArrayBufferLike>(
  events: readonly LogEvent[],
  bytes: Bytes,
): PackedEvents<Bytes> {
  const epochs: string[] = []
  const writer = new Writer(bytes)
  for (const event of events) {
    let epoch = epochs.lastIndexOf(event.epoch)
    if (epoch === -1) epoch = epochs.push(event.epoch) - 1
    writer.add(event, epoch)
  }
  return { bytes, count: events.length, epochs }
}

/** Makes events of them that share nothing with the buffer. */
export function unpackEvents({ bytes, count, epochs }: PackedEvents): LogEvent[] {
  const buffer = Buffer.from(bytes)
  const view = new DataView(bytes)
  const events: LogEvent[] = []
  let at = 0
  const text = (length: number): string => buffer.toString('utf8', at, (at += length))
  for (let event = 0; event < count; event += 1) {
    const head = at
    at += HEAD_BYTES
    const flags = view.getUint16(head + 18)
    const topic = text(view.getUint32(head + 20))
    const type = text(view.getUint32(head + 24)) || USUAL_TYPE
    const keyText = text(view.getUint32(head + 28))
    const end = at + view.getUint32(head + 32)
    const data =
      (flags & IS_BINARY) === 0
        ? buffer.toString((flags & IS_ASCII) === 0 ? 'utf8' : 'latin1', at, end)
        : Uint8Array.from(buffer.subarray(at, end))
    at = end
    const key = (flags & HAS_KEY) === 0 ? undefined : keyText
    const epoch = epochs[view.getUint16(head + 16)] ?? ''
    events.push(new LogEvent(epoch, view.getFloat64(head), view.getFloat64(head + 8), { topic, type, key, data }))
  }
  return events
}

class Writer {
  readonly #buffer: Buffer
  readonly #view: DataView
  #at = 0

  constructor(bytes: ArrayBufferLike) {
    this.#buffer = Buffer.from(bytes)
    this.#view = new DataView(bytes)
  }

  add({ offset, timeMs, topic, type, key, data }: LogEvent, epoch: number): void {
    const head = this.#at
    this.#at += HEAD_BYTES
    const view = this.#view
    view.setFloat64(head, offset)
    view.setFloat64(head + 8, timeMs)
    view.setUint16(head + 16, epoch)
    view.setUint32(head + 20, this.#text(topic))
    view.setUint32(head + 24, this.#text(typeText(type)))
    view.setUint32(head + 28, this.#text(key ?? ''))
    const length = typeof data === 'string' ? this.#text(data) : this.#bytes(data)
    view.setUint32(head + 32, length)
    const isAscii = typeof data === 'string' && length === data.length
    const flags = (typeof data === 'string' ? 0 : IS_BINARY) | (isAscii ? IS_ASCII : 0)
    view.setUint16(head + 18, flags | (key === undefined ? 0 : HAS_KEY))
  }

  #text(text: string): number {
    const length = this.#buffer.write(text, this.#at, 'utf8')
    this.#at += length
    return length
  }

  #bytes(data: Uint8Array): number {
    this.#buffer.set(data, this.#at)
    this.#at += data.length
    return data.length
  }
}

function typeText(type: string): string {
  return type === USUAL_TYPE ? '' : type
}
