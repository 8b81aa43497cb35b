// An event: what a publisher sends, checked; and what the log makes of it.

import { EVENTSOURCE_TYPES, formatId } from 'hydrant-client/wire'
import { HydrantError } from './errors.ts'
import type { Limits } from './limits.ts'
import { jsonOf as valueOf } from './schema.ts'
import { parseTopic, quote } from './topic.ts'

/** A value that JSON can say. */
export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue | undefined }

/** What a publisher sends. */
export interface EventInput<Data = unknown> {
  /** Where it goes: `stocks/AAPL`. */
  readonly topic: string
  /** What it is; SSE's event name. Default `message`. */
  readonly type?: string | undefined
  /** What it is about: the newest event of a key stands for the key's state. */
  readonly key?: string | undefined
  /** Text goes as it is, bytes as bytes, everything else as JSON. Default: empty text. */
  readonly data?: Data | undefined
}

/** An event that passed every check, before the log gave it its place. */
export interface CheckedEvent {
  readonly topic: string
  readonly type: string
  readonly key: string | undefined
  readonly data: string | Uint8Array
}

/** What an event costs in memory beside its texts: the object, its place in the window and in its topic's index. */
const OVERHEAD_BYTES = 256

/** An event of the log. Immutable but for its encodings, made when first needed, and what the window notes of it. */
export class LogEvent {
  readonly epoch: string
  readonly offset: number
  /** Milliseconds since 1970; never less than the event before it. */
  readonly timeMs: number
  readonly topic: string
  readonly type: string
  readonly key: string | undefined
  readonly data: string | Uint8Array
  /**
   * The event's bytes in each wire format, by the format's slot: made at most once, by whoever needs them first, and
   * shared by every subscriber. They do not depend on who gets them.
   */
  readonly encodings: (Uint8Array | undefined)[] = []

  /**
   * The offset of the next event of the same topic and key in the window, of whatever type; 0 while this is the newest.
   * What that means to a selection: `window.isSuperseded`.
   */
  supersededBy = 0

  constructor(epoch: string, offset: number, timeMs: number, event: CheckedEvent) {
    this.epoch = epoch
    this.offset = offset
    this.timeMs = timeMs
    this.topic = event.topic
    this.type = event.type
    this.key = event.key
    this.data = event.data
  }

  /** `<epoch>-<offset>`. */
  get id(): string {
    return formatId(this.epoch, this.offset)
  }

  /** The JSON of the data, as a value; the data itself where it is none. Parsed anew each time it is asked for. */
  get value(): unknown {
    return typeof this.data === 'string' ? (valueOf(this.data) ?? this.data) : this.data
  }

  /** What it costs in memory before it is encoded, about. */
  get sizeBytes(): number {
    return OVERHEAD_BYTES + this.topic.length + (this.key?.length ?? 0) + this.data.length
  }
}

/** Checks what a publisher sent. Throws a HydrantError that says what is wrong and leaves nothing behind. */
export function checkEvent(input: EventInput, limits: Limits): CheckedEvent {
  const data = textOf(input.data)
  const bytes = typeof data === 'string' ? utf8Length(data, limits.eventBytesMax) : data.length
  if (bytes > limits.eventBytesMax) {
    throw new HydrantError(
      'event-too-large',
      `The data has more than ${limits.eventBytesMax} bytes. Publish a link to it, or raise eventBytesMax.`,
    )
  }
  if (typeof data === 'string' && !data.isWellFormed()) {
    throw new HydrantError('malformed-utf8', 'The data has half of a surrogate pair, which UTF-8 cannot say.')
  }
  return {
    topic: parseTopic(input.topic),
    type: input.type === undefined || input.type === 'message' ? 'message' : checkPublishedType(input.type),
    key: input.key === undefined ? undefined : checkKey(input.key, limits),
    data,
  }
}

/** Returns the type when it can stand in an SSE field: not empty, one line, no NUL, at most 255 characters. */
export function checkType(type: string): string {
  if (type === '' || type.length > 255 || LINE_BREAKERS.test(type) || !type.isWellFormed()) {
    throw new HydrantError(
      'malformed-type',
      `The type ${quote(type)} must be 1 to 255 characters without CR, LF and NUL.`,
    )
  }
  return type
}

// A line break in a type would let a publisher write fields of its own into everybody's stream; a NUL makes clients
// ignore the field.
const LINE_BREAKERS = /[\r\n\0]/

function checkPublishedType(type: string): string {
  if (EVENTSOURCE_TYPES.includes(type)) {
    throw new HydrantError(
      'reserved-type',
      `The type ${quote(type)} is EventSource's own: listeners could not tell your event from a broken connection.`,
    )
  }
  if (type.startsWith('hydrant:')) {
    throw new HydrantError(
      'reserved-type',
      `Types that begin with "hydrant:" are the server's own; ${quote(type)} cannot be published.`,
    )
  }
  return checkType(type)
}

function checkKey(key: string, limits: Limits): string {
  if (key === '' || key.length > limits.nameBytesMax || LINE_BREAKERS.test(key) || !key.isWellFormed()) {
    throw new HydrantError(
      'malformed-key',
      `The key ${quote(key)} must be 1 to ${limits.nameBytesMax} characters without CR, LF and NUL.`,
    )
  }
  return key
}

function textOf(data: unknown): string | Uint8Array {
  if (data === undefined) return ''
  if (typeof data === 'string' || data instanceof Uint8Array) return data
  const json = jsonOf(data)
  if (json === undefined) throw new HydrantError('malformed-event', 'The data is nothing that JSON can say.')
  return json
}

function jsonOf(data: unknown): string | undefined {
  try {
    return JSON.stringify(data)
  } catch {
    return undefined // a circle, a BigInt, a toJSON that throws
  }
}

/** Bytes of a text in UTF-8; encodes only when the number of characters leaves it open. */
function utf8Length(text: string, bytesMax: number): number {
  return text.length > bytesMax || text.length * 3 <= bytesMax ? text.length : new TextEncoder().encode(text).length
}
