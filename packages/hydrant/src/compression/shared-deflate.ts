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
// of the event loop, and a WebSocket flush holds many messages. What is as large as all that deflate looks back upon
// gains nothing from earlier flushes, and is compressed by Node: in 1.2 instead of 5 ms for 256 KB.

import { constants, deflateRawSync } from 'node:zlib'
import { Deflate } from 'pako'
import { addBytes, NOTHING, type Sum } from './crc.ts'

const SYNC_FLUSH = 2
const FULL_FLUSH = 3
const LEVEL = 6
/** What deflate looks back upon. */
const WINDOW_BYTES = 32 * 1024
/** What is asked of the allocator at a time: a small flush fits in one. */
const OUTPUT_BYTES = 2048

/** How long a segment is at most: so long a joiner waits for compressed bytes. */
export interface SegmentBounds {
  readonly flushes: number
  readonly bytes: number
}

/**
 * Price updates of 190 bytes, one a flush, shrink to 1/5.9 with 64 flushes, 1/6.5 with 128, 1/7.1 with 512, 1/7.3 with
 * 4,096. The bytes are four times what deflate looks back upon, so that little is lost by forgetting it.
 */
const SEGMENT_BOUNDS: SegmentBounds = { flushes: 512, bytes: 4 * WINDOW_BYTES }

/** Where in its stream a flush stands. */
export interface FlushPlace {
  readonly segment: number
  /** Which of the segment it is; with 0 everybody can step in. */
  readonly nth: number
  /** All that was compressed before it, and with it. */
  readonly before: Sum
  readonly after: Sum
}

/** What a flush was compressed to. */
export interface SharedFlush {
  /** Compressed parts, as many as were given. Each ends at a byte. */
  readonly parts: readonly Uint8Array[]
  /** Clients keep it to know where they are: without the bytes, which would be pinned by whoever is slow. */
  readonly place: FlushPlace
}

/** Segments have names of their own, over all streams: a feed may drop its stream and begin another. */
let segments = 0

/** See the head of the file. */
export class SharedDeflate {
  readonly #deflate: Deflate
  readonly #bounds: SegmentBounds
  #output: Uint8Array[] = []
  #segment = (segments += 1)
  #flushes = 0
  #bytes = 0
  #sum = NOTHING

  constructor(bounds: SegmentBounds = SEGMENT_BOUNDS) {
    this.#bounds = bounds
    this.#deflate = new Deflate({ raw: true, level: LEVEL, chunkSize: OUTPUT_BYTES })
    this.#deflate.onData = (chunk) => void this.#output.push(chunk)
  }

  /** Compresses the parts of a flush, each so that it can be read when it has come. */
  add(parts: readonly Uint8Array[]): SharedFlush {
    const before = this.#sum
    let bytes = 0
    for (const part of parts) {
      bytes += part.length
      this.#sum = addBytes(this.#sum, part)
    }
    const after = this.#sum
    if (isLarge(parts, bytes)) this.restart() // it is a segment of its own
    const place: FlushPlace = { segment: this.#segment, nth: this.#flushes, before, after }
    return { parts: this.#compress(parts, bytes), place }
  }

  /** Something that was compressed will not be sent: whoever is in step can go on only from the next segment. */
  restart(): void {
    if (this.#flushes === 0) return
    this.#push(new Uint8Array(0), true)
    this.#begin()
  }

  #compress(parts: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
    if (isLarge(parts, bytes)) {
      this.#begin()
      return parts.map((part) => deflateRawSync(part, { level: LEVEL, finishFlush: constants.Z_SYNC_FLUSH }))
    }
    this.#flushes += 1
    this.#bytes += bytes
    const isLast = this.#flushes >= this.#bounds.flushes || this.#bytes >= this.#bounds.bytes
    const compressed = parts.map((part, at) => this.#push(part, isLast && at === parts.length - 1))
    if (isLast) this.#begin()
    return compressed
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

/** Whether each part, by and large, is as large as what deflate looks back upon. */
function isLarge(parts: readonly Uint8Array[], bytes: number): boolean {
  return parts.length > 0 && bytes >= WINDOW_BYTES * parts.length
}
