// Whether a client is in step with a shared stream: whether it can read the next flush as it was compressed for all.

import type { FlushPlace } from './shared-deflate.ts'

/** One for each client that can share. */
export class Step {
  /** Where the last flush stands that it took, undefined while it is out of step. */
  #last: FlushPlace | undefined

  /** Whether it can take this flush: it has had the whole segment, or the segment begins. If so, it has. */
  takes(place: FlushPlace): boolean {
    const isNext = this.#last?.segment === place.segment && this.#last.nth + 1 === place.nth
    const isReadable = place.nth === 0 || isNext
    this.#last = isReadable ? place : undefined
    return isReadable
  }

  /** It got something that nobody else got. */
  leave(): void {
    this.#last = undefined
  }
}
