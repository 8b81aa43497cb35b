// What came and was not yet taken by `for await`, bounded.

import type { Delivery } from './delivery.ts'

type Step = IteratorResult<Delivery, undefined>

interface Entry {
  readonly delivery: Delivery
  /** What it was, or a fresher id that came after it: with this delivery everything up to there is taken. */
  id: string
}

/** What an entry costs beside its data, about. */
const ENTRY_BYTES = 256

/**
 * Deliveries in their order. It never refuses one: whoever fills it asks for `room()` and stops when there is none, so
 * it holds at most `bytesMax` and what was on its way.
 */
export class Queue {
  readonly #bytesMax: number
  /** Called with the id up to which everything is taken. */
  readonly #taken: (id: string) => void
  readonly #entries: Entry[] = []
  readonly #takers: PromiseWithResolvers<Step>[] = []
  #bytes = 0
  #waiting: PromiseWithResolvers<void> | undefined
  #isEnded = false
  #error: Error | undefined

  constructor(bytesMax: number, taken: (id: string) => void) {
    this.#bytesMax = bytesMax
    this.#taken = taken
  }

  /** Adds a delivery, or hands it over at once to who waits for it. */
  push(delivery: Delivery): void {
    this.#entries.push({ delivery, id: delivery.id })
    this.#bytes += sizeOf(delivery)
    this.#serve()
  }

  /** There is nothing up to this id but what was pushed. */
  position(id: string): void {
    const last = this.#entries.at(-1)
    if (last === undefined) this.#taken(id)
    else last.id = id
  }

  /** The next delivery; done when the queue has ended and is empty. Rejects once with the error that ended it. */
  next(): Promise<Step> {
    const taker = Promise.withResolvers<Step>()
    this.#takers.push(taker)
    this.#serve()
    return taker.promise
  }

  /** Undefined while there is room; else a promise of the moment when half of it is free, or it does not matter. */
  room(): Promise<void> | undefined {
    if (this.#bytes < this.#bytesMax || this.#isEnded) return undefined
    this.#waiting ??= Promise.withResolvers<void>()
    return this.#waiting.promise
  }

  /** Nothing more comes. What is held can still be taken. */
  end(error?: Error): void {
    this.#isEnded = true
    this.#error = error
    this.#waiting?.resolve()
    this.#serve()
  }

  /** Throws away what is held. */
  clear(): void {
    this.#entries.length = 0
  }

  #serve(): void {
    while (this.#takers.length > 0 && (this.#entries.length > 0 || this.#isEnded)) {
      const taker = this.#takers.shift()
      const entry = this.#entries.shift()
      if (entry !== undefined) {
        this.#free(entry)
        taker?.resolve({ done: false, value: entry.delivery })
      } else if (this.#error === undefined) taker?.resolve({ done: true, value: undefined })
      else {
        taker?.reject(this.#error)
        this.#error = undefined
      }
    }
  }

  #free(entry: Entry): void {
    this.#taken(entry.id)
    this.#bytes -= sizeOf(entry.delivery)
    if (this.#bytes > this.#bytesMax / 2) return
    this.#waiting?.resolve()
    this.#waiting = undefined
  }
}

function sizeOf(delivery: Delivery): number {
  return ENTRY_BYTES + (delivery.gap === undefined ? delivery.data.length : 0)
}
