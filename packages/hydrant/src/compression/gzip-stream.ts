// A client's gzip stream (RFC 1952), put together from what it alone gets and what all get.
//
//   header │ stored blocks … │ shared flush │ shared flush │ … │ stored blocks │ … │ last block, CRC, length
//           └ of its own ───┘ └ from the begin of a segment ┘   └ of its own ─┘
//
// Stored blocks move what deflate looks back upon, so after bytes of its own a client is out of step until the next
// segment. Any gzip decoder reads it: locked by test/compression/gzip-stream.test.ts.

import { addBytes, join, NOTHING, since, type Sum } from './crc.ts'
import type { FlushPlace } from './shared-deflate.ts'
import { Step } from './step.ts'

/** Deflate, no name, no time, unknown system. */
const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff)
const STORED_BYTES_MAX = 65_535
/** An empty block with fixed codes, flagged as the last. */
const LAST_BLOCK = [0x03, 0x00] as const

/**
 * Bytes as stored blocks: every client can read them, wherever it stands. An empty one stands at the end, as after each
 * flush of zlib: Go's decoder holds back what it has read until it sees one.
 */
export function storedBlocks(bytes: Uint8Array): Uint8Array {
  const blocks = Math.ceil(bytes.length / STORED_BYTES_MAX) + 1
  const stored = Buffer.allocUnsafe(blocks * 5 + bytes.length)
  let to = 0
  for (let at = 0, block = 0; block < blocks; at += STORED_BYTES_MAX, block += 1) {
    const length = Math.max(0, Math.min(STORED_BYTES_MAX, bytes.length - at))
    stored[to] = 0 // not the last; stored
    stored.writeUInt16LE(length, to + 1)
    stored.writeUInt16LE(length ^ 0xffff, to + 3)
    stored.set(bytes.subarray(at, at + length), to + 5)
    to += 5 + length
  }
  return stored
}

/** See the head of the file. */
export class GzipStream {
  #isBegun = false
  /** What it got alone, and what it shared in earlier runs. */
  #own: Sum = NOTHING
  /** From where to where it shares the feed's stream, in sums of the feed; undefined while it is out of step. */
  #runFrom: Sum | undefined
  #runTo: Sum | undefined
  readonly #step = new Step()

  /** Whether its header was sent: from then on `storedBlocks` that others get as well can be sent to it. */
  get isBegun(): boolean {
    return this.#isBegun
  }

  /** Bytes for this client alone, with the header where they are the first; they take it out of step. */
  alone(bytes: Uint8Array): Uint8Array {
    this.tookStored(bytes)
    return Buffer.concat([this.#head(), storedBlocks(bytes)])
  }

  /** It is sent the stored blocks of these bytes; they take it out of step. */
  tookStored(bytes: Uint8Array): void {
    this.#endRun()
    this.#step.leave()
    this.#own = addBytes(this.#own, bytes)
  }

  /** Takes a flush that all get, if this client can read it: it has had the whole segment, or begins with it now. */
  takes(place: FlushPlace): boolean {
    if (!this.#isBegun) return false
    if (this.#runTo !== place.before) this.#endRun() // it missed some
    if (!this.#step.takes(place)) return false
    this.#runFrom ??= place.before
    this.#runTo = place.after
    return true
  }

  /** The end of the stream. */
  end(): Uint8Array {
    this.#endRun()
    const head = this.#head()
    const trailer = Buffer.alloc(head.length + LAST_BLOCK.length + 8)
    trailer.set(head)
    trailer.set(LAST_BLOCK, head.length)
    trailer.writeUInt32LE(this.#own.crc, trailer.length - 8)
    trailer.writeUInt32LE(this.#own.length % 2 ** 32, trailer.length - 4)
    return trailer
  }

  #head(): Uint8Array {
    if (this.#isBegun) return new Uint8Array(0)
    this.#isBegun = true
    return HEADER
  }

  #endRun(): void {
    if (this.#runFrom === undefined || this.#runTo === undefined) return
    this.#own = join(this.#own, since(this.#runFrom, this.#runTo))
    this.#runFrom = this.#runTo = undefined
  }
}
