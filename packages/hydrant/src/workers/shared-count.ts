// Open connections of all workers, in memory that they share: each has a place of its own, so that what a thread that
// died had open can be taken off again.

import type { ConnectionCount } from '../transport/connections.ts'

/** See the head of the file. */
export class SharedCount implements ConnectionCount {
  readonly #places: Int32Array
  readonly #place: number

  constructor(memory: SharedArrayBuffer, place: number) {
    this.#places = new Int32Array(memory)
    this.#place = place
  }

  add(change: 1 | -1): void {
    Atomics.add(this.#places, this.#place, change)
  }

  get total(): number {
    let total = 0
    for (let place = 0; place < this.#places.length; place += 1) total += Atomics.load(this.#places, place)
    return total
  }

  /** Nothing is open at its place any more. */
  clear(): void {
    Atomics.store(this.#places, this.#place, 0)
  }
}

/** Memory for so many places. */
export function sharedPlaces(count: number): SharedArrayBuffer {
  return new SharedArrayBuffer(count * Int32Array.BYTES_PER_ELEMENT)
}
