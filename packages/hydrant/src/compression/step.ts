// Whether a client is in step with a shared stream: whether it can read the next flush as it was compressed for all.

import type { SharedFlush } from './shared-deflate.ts'

/** One for each client that can share. */
export class Step {
  #last: SharedFlush | undefined

  /** The last flush that it took, undefined while it is out of step. */
  get last(): SharedFlush | undefined {
    return this.#last
  }

  /** Whether it can take this flush: it has had the whole segment, or the segment begins. If so, it has. */
  takes(flush: SharedFlush): boolean {
    const isNext = this.#last?.segment === flush.segment && this.#last.place + 1 === flush.place
    if (flush.place > 0 && !isNext) {
      this.#last = undefined
      return false
    }
    this.#last = flush
    return true
  }

  /** It got something that nobody else got. */
  leave(): void {
    this.#last = undefined
  }
}
