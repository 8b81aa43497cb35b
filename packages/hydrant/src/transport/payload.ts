// A payload: bytes for one or many sockets, and how many of them are stuck with it.

import type { FlushPlace } from '../compression/shared-deflate.ts'

/** The same bytes, compressed for those who are in step. */
export interface Shared {
  readonly place: FlushPlace
  /** As they go to the socket. */
  readonly bytes: Uint8Array
}

/** One Buffer, written to every subscriber that stands at its start. */
export class Payload {
  readonly bytes: Uint8Array
  /** The offset at which a subscriber stands once it was sent. */
  readonly to: number
  /** How many events it holds. */
  readonly events: number
  /** Undefined where nobody, or too few, can read it. */
  readonly shared: Shared | undefined
  /** The same bytes for gzip streams that are not in step, made by the first of them. */
  stored: Uint8Array | undefined
  /** How many stalled connections hold on to it. */
  holders = 0
  /** What it counts for while it is held: see `pins.ts`. */
  pinnedBytes = 0

  constructor(bytes: Uint8Array, to: number, events: number, shared?: Shared) {
    this.bytes = bytes
    this.to = to
    this.events = events
    this.shared = shared
  }

  /** What all its forms take in memory. */
  get sizeBytes(): number {
    return this.bytes.length + (this.shared?.bytes.length ?? 0) + (this.stored?.length ?? 0)
  }
}

/** Joins what was encoded into one Buffer. */
export function join(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, bytes)
}
