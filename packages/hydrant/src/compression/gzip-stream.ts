// A client's gzip stream (RFC 1952), put together from what it alone gets and what all get.
//
//   header │ stored blocks … │ shared flush │ shared flush │ … │ stored blocks │ … │ last block, CRC, length
//           └ of its own ───┘ └ from the begin of a segment ┘   └ of its own ─┘
//
// Stored blocks move what deflate looks back upon, so after bytes of its own a client is out of step until the next
// segment. Any gzip decoder reads it: locked by test/compression/gzip-stream.test.ts.

import { addBytes, join, NOTHING, since, type Sum } from './crc.ts'
import type { SharedFlush } from './shared-deflate.ts'
import { Step } from './step.ts'

/** Deflate, no name, no time, unknown system. */
const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff)
const STORED_BYTES_MAX = 65_535
/** An empty block with fixed codes, flagged as the last. */
const LAST_BLOCK = [0x03, 0x00] as const

/** See the head of the file. */
export class GzipStream {
  #isBegun = false
  /** What it got alone, and what it shared in earlier runs. */
  #own: Sum = NOTHING
  /** Where the run began that it is in, in sums of the feed; undefined while it is out of step. */
  #joined: Sum | undefined
  readonly #step = new Step()

  /** Bytes for this client alone; they take it out of step. */
  alone(bytes: Uint8Array): Uint8Array {
    this.#leave()
    this.#own = addBytes(this.#own, bytes)
    const blocks = Math.max(1, Math.ceil(bytes.length / STORED_BYTES_MAX))
    const head = this.#head()
    const stored = Buffer.allocUnsafe(head.length + blocks * 5 + bytes.length)
    stored.set(head)
    let to = head.length
    for (let at = 0; at === 0 || at < bytes.length; at += STORED_BYTES_MAX) {
      const length = Math.min(STORED_BYTES_MAX, bytes.length - at)
      stored[to] = 0 // not the last; stored
      stored.writeUInt16LE(length, to + 1)
      stored.writeUInt16LE(length ^ 0xffff, to + 3)
      stored.set(bytes.subarray(at, at + length), to + 5)
      to += 5 + length
    }
    return stored
  }

  /** Takes a flush that all get, if this client can read it: it has had the whole segment, or begins with it now. */
  takes(flush: SharedFlush): boolean {
    const before = this.#step.last
    if (!this.#isBegun || (before !== undefined && before.after !== flush.before)) this.#leave() // it missed some
    if (!this.#isBegun || !this.#step.takes(flush)) return false
    this.#joined ??= flush.before
    return true
  }

  /** The end of the stream. */
  end(): Uint8Array {
    this.#leave()
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

  #leave(): void {
    const { last } = this.#step
    if (this.#joined !== undefined && last !== undefined) this.#own = join(this.#own, since(this.#joined, last.after))
    this.#joined = undefined
    this.#step.leave()
  }
}
