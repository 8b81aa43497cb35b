// The memory of encodings: slabs that hold nothing else.
//
// An encoding lives as long as the window holds its event. In Node's own pool it would stand between bytes that are
// garbage a moment later, and keep those too: a window of 64 MB was measured to hold 150 MB in that way. Here
// neighbours are made one after the other, and so are let go one after the other.

/** Large enough to make the cost of an ArrayBuffer small, small enough to be held by one encoding alone. */
const SLAB_BYTES = 16 * 1024
/** Above this an encoding has a slab of its own: what is left over at the end of a shared one stays small. */
const SHARED_BYTES_MAX = 2 * 1024

let slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
let used = 0

/** Room for so many bytes, to be filled by the caller at once. */
export function allocate(bytes: number): Buffer {
  if (bytes > SHARED_BYTES_MAX) return Buffer.allocUnsafeSlow(bytes)
  if (used + bytes > SLAB_BYTES) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    used = 0
  }
  const room = slab.subarray(used, used + bytes)
  used += bytes
  return room
}
