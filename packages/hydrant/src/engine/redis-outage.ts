// An outage of Redis: since when, and why. Said once when it begins and once when it is over.

import type { Trouble } from './engine.ts'
import { describe, type RedisAddress } from './redis-url.ts'

/** See the head of the file. */
export class RedisOutage {
  readonly #name: string
  readonly #warn: (warning: Error) => void
  #trouble: Trouble | undefined
  #isClosed = false

  constructor(address: RedisAddress, warn: (warning: Error) => void) {
    this.#name = describe(address)
    this.#warn = warn
  }

  /** What there is to suffer from at the moment. */
  get trouble(): Trouble | undefined {
    return this.#trouble
  }

  /** It begins, or goes on. */
  begin(reason: string): void {
    if (this.#isClosed) return
    const text = `${this.#name} cannot be reached: ${reason}.`
    if (this.#trouble === undefined) this.#warn(new Error(`${text} Streams stay open; publishing answers 503.`))
    this.#trouble = { sinceMs: this.#trouble?.sinceMs ?? Date.now(), reason: text }
  }

  /** It is over, if there was one. */
  end(): void {
    if (this.#trouble === undefined) return
    const seconds = ((Date.now() - this.#trouble.sinceMs) / 1_000).toFixed(1)
    this.#trouble = undefined
    if (!this.#isClosed) this.#warn(new Error(`${this.#name} can be reached again, after ${seconds} s.`))
  }

  /** Says no more. */
  close(): void {
    this.#isClosed = true
  }
}
