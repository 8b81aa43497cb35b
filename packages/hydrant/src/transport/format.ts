// A wire format: how events, and what we say ourselves, become bytes on one kind of connection.

import type { Gap } from 'hydrant-client/wire'
import type { SharedDeflate, SharedFlush } from '../compression/shared-deflate.ts'
import type { LogEvent } from '../hub/event.ts'
import type { Window } from '../hub/window.ts'

/**
 * Everything that goes out in one format. What it makes depends on its arguments alone, so that all subscribers
 * share it.
 */
export interface Format {
  /** Names the format in a feed's key. */
  readonly name: string
  /** Where this format's bytes stand in `LogEvent.encodings`. */
  readonly slot: number
  /** One event. */
  event(event: LogEvent): Uint8Array
  /** Missing events; undefined where the format cannot tell of them, and the connection has to end instead. */
  gap(gap: Gap): Uint8Array | undefined
  /** The state was sent, what follows is live; undefined where the format has no ids. */
  live(id: string): Uint8Array | undefined
  /** A fresher id on a quiet stream; undefined where the format has no ids. */
  position(id: string): Uint8Array | undefined
  /** The last bytes: come back after so many milliseconds, with this id; undefined where a close code says so. */
  bye(id: string, retryMs: number): Uint8Array | undefined
  /** Everything that a subscription selected has ended; undefined where its connection ends with it. */
  ended(label: number): Uint8Array | undefined
  /** A sign of life; undefined where the transport has its own. */
  readonly heartbeat: Uint8Array | undefined
  /** How a flush is compressed once for all; undefined where it never is. */
  readonly sharing?: Sharing
}

/** Compression of a format's flushes. */
export interface Sharing {
  /** A stream of its own for each feed. */
  stream(): SharedDeflate
  /** What is compressed of each part, so that each can be read when it has come. */
  bodies(parts: readonly Uint8Array[]): readonly Uint8Array[]
  /** As it goes to the socket. `parts`: what it was made of. */
  wire(flush: SharedFlush, parts: readonly Uint8Array[]): Uint8Array
}

/** The bytes of a new event: made at most once per format, charged to the window while it holds the event. */
export function encode(event: LogEvent, format: Format, window: Window): Uint8Array {
  const known = event.encodings[format.slot]
  if (known !== undefined) return known
  const bytes = format.event(event)
  keep(event, format, bytes, window)
  return bytes
}

/**
 * The bytes of an event of the past: kept only where there is room. Otherwise one who reads back, in a format that
 * nobody uses, would push events out of the window, and shorten everybody's history: the floor moves by publishing
 * alone. Locked by test/transport/pump-history.test.ts.
 */
export function encodePast(event: LogEvent, format: Format, window: Window): Uint8Array {
  const known = event.encodings[format.slot]
  if (known !== undefined) return known
  const bytes = format.event(event)
  if (window.hasRoom(bytes.length)) keep(event, format, bytes, window)
  return bytes
}

/** The bytes of an event that no window holds: kept as long as the reading that brought it, and charged to nobody. */
export function encodeElsewhere(event: LogEvent, format: Format): Uint8Array {
  return (event.encodings[format.slot] ??= format.event(event))
}

function keep(event: LogEvent, format: Format, bytes: Uint8Array, window: Window): void {
  event.encodings[format.slot] = bytes
  window.charge(event, bytes.length)
}
