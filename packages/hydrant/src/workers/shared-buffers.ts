// Buffers over memory that threads share. One is used again when everybody who was given it has read it, and not
// before: who overwrites sooner sends rubbish.

/** The least size; larger ones double. */
const BYTES_MIN = 65_536
/** Buffers larger than this are not kept. */
const KEPT_BYTES_MAX = 4_194_304
/** So many lie ready at most. */
const KEPT_MAX = 8

/** A buffer, with those who have not read it yet. */
export interface SharedBuffer {
  readonly bytes: SharedArrayBuffer
  readers: number
}

/** See the head of the file. */
export class SharedBuffers {
  readonly #free: SharedBuffer[] = []

  /** One with room for so many bytes. It is the caller's until `release` is called with nobody reading. */
  take(bytes: number): SharedBuffer {
    const at = this.#free.findIndex((buffer) => buffer.bytes.byteLength >= bytes)
    const [found] = at === -1 ? [] : this.#free.splice(at, 1)
    if (found !== undefined) return found
    let size = BYTES_MIN
    while (size < bytes) size *= 2
    return { bytes: new SharedArrayBuffer(size), readers: 0 }
  }

  /** Takes it back if nobody reads it any more. */
  release(buffer: SharedBuffer): void {
    const isKept = buffer.readers === 0 && buffer.bytes.byteLength <= KEPT_BYTES_MAX && this.#free.length < KEPT_MAX
    if (isKept) this.#free.push(buffer)
  }
}
