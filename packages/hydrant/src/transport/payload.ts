// A payload: bytes for one or many sockets, and how many of them are stuck with it.

/** One Buffer, written to every subscriber that stands at its start. */
export class Payload {
  readonly bytes: Uint8Array
  /** The offset at which a subscriber stands once it was sent. */
  readonly to: number
  /** How many events it holds. */
  readonly events: number
  /** How many stalled connections hold on to it. */
  holders = 0

  constructor(bytes: Uint8Array, to: number, events: number) {
    this.bytes = bytes
    this.to = to
    this.events = events
  }
}

/** Joins what was encoded into one Buffer. */
export function join(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, bytes)
}
