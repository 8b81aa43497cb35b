// One deflate stream for everybody who follows the same: each flush is compressed once, and sent to all.
//
//   segment 7: │ flush │ flush │ … │ flush, full │  segment 8: │ flush │ …
//
// Within a segment a flush refers to earlier ones, so only who has had the whole segment can read it. After a full
// flush (RFC 1951 allows it, zlib calls it Z_FULL_FLUSH) nothing refers to anything earlier: everybody can step in.
// Until then whoever joins or comes back gets what anybody can read: stored blocks, or messages that are not
// compressed.
//
// `pako`, for Node's own zlib has no stream that compresses at once: through its threads a flush costs 80 µs and a turn
// of the event loop, and a WebSocket flush holds many messages.

import { Deflate } from 'pako'
import { addBytes, NOTHING, type Sum } from './crc.ts'

const SYNC_FLUSH = 2
const FULL_FLUSH = 3
const ANY_CODES = 0
const FIXED_CODES = 4
/**
 * How many flushes a joiner waits at most before it gets compressed bytes. Price updates of 190 bytes, one a flush,
 * shrink to 1/5.9 with 64, 1/6.5 with 128, 1/7.1 with 512, 1/7.3 with 4,096.
 */
const SEGMENT_FLUSHES = 512
/** The same in bytes: four times what deflate looks back, so that little is lost by forgetting it. */
const SEGMENT_BYTES = 128 * 1024
/** What is asked of the allocator at a time: a small flush fits in one. */
const OUTPUT_BYTES = 2048

/** What a flush was compressed to, and where in its stream it stands. */
export interface SharedFlush {
  /** Compressed parts, as many as were given. Each ends at a byte. */
  readonly parts: readonly Uint8Array[]
  readonly segment: number
  /** Its place in the segment; at 0 everybody can step in. */
  readonly place: number
  /** All that was compressed before it, and with it. */
  readonly before: Sum
  readonly after: Sum
}

/** Segments have names of their own, over all streams: a feed may drop its stream and begin another. */
let segments = 0

/** See the head of the file. */
export class SharedDeflate {
  readonly #deflate: Deflate
  #output: Uint8Array[] = []
  #segment = (segments += 1)
  #flushes = 0
  #bytes = 0
  #sum = NOTHING

  /** `codes`: `fixed` for many small parts, 8 instead of 25 µs each; `best` for few or large ones. */
  constructor(codes: 'fixed' | 'best') {
    this.#deflate = new Deflate({
      raw: true,
      level: 6,
      strategy: codes === 'fixed' ? FIXED_CODES : ANY_CODES,
      chunkSize: OUTPUT_BYTES,
    })
    this.#deflate.onData = (chunk) => void this.#output.push(chunk)
  }

  /** Compresses the parts of a flush, each so that it can be read when it has come. */
  add(parts: readonly Uint8Array[]): SharedFlush {
    const segment = this.#segment
    const place = this.#flushes
    const before = this.#sum
    this.#flushes += 1
    for (const part of parts) {
      this.#bytes += part.length
      this.#sum = addBytes(this.#sum, part)
    }
    const isLast = this.#flushes >= SEGMENT_FLUSHES || this.#bytes >= SEGMENT_BYTES
    const compressed = parts.map((part, at) => this.#push(part, isLast && at === parts.length - 1))
    if (isLast) this.#begin()
    return { parts: compressed, segment, place, before, after: this.#sum }
  }

  /** Something that was compressed will not be sent: whoever is in step can go on only from the next segment. */
  restart(): void {
    if (this.#flushes === 0) return
    this.#push(new Uint8Array(0), true)
    this.#begin()
  }

  #begin(): void {
    this.#segment = segments += 1
    this.#flushes = 0
    this.#bytes = 0
  }

  #push(part: Uint8Array, isFull: boolean): Uint8Array {
    this.#output = []
    this.#deflate.push(part, isFull ? FULL_FLUSH : SYNC_FLUSH)
    return this.#output.length === 1 ? (this.#output[0] ?? new Uint8Array(0)) : Buffer.concat(this.#output)
  }
}
