// Idempotency keys: the same request stored once, however often a publisher that saw no answer makes it.

import { HydrantError } from '../hub/errors.ts'
import type { Limits } from '../hub/limits.ts'
import type { Idempotency } from './engine.ts'

/** The first answer to a request, or the wait for it. */
interface Answer {
  readonly fingerprint: string
  readonly ids: Promise<readonly string[]>
  readonly atMs: number
}

/** Remembers the answers of the last ten minutes; a retry joins an append that is still under way. */
export class IdempotencyKeys {
  readonly #limits: Limits
  readonly #nowMs: () => number
  /** In the order of their first use. */
  readonly #answers = new Map<string, Answer>()

  constructor(limits: Limits, nowMs: () => number) {
    this.#limits = limits
    this.#nowMs = nowMs
  }

  /**
   * Appends by `append`, or answers what the first request with this key was answered. A request that failed is
   * forgotten, so that its retry is a first one. Rejects with `idempotency-conflict` when the body differs.
   */
  once(request: Idempotency, append: () => Promise<readonly string[]>): Promise<readonly string[]> {
    this.#expire()
    const known = this.#answers.get(request.key)
    if (known !== undefined) {
      if (known.fingerprint === request.fingerprint) return known.ids
      return Promise.reject(
        new HydrantError(
          'idempotency-conflict',
          'This idempotency key stands for a request with another body. Use a new key for a new event.',
        ),
      )
    }
    const ids = append()
    this.#answers.set(request.key, { fingerprint: request.fingerprint, ids, atMs: this.#nowMs() })
    ids.catch(() => this.#answers.delete(request.key))
    return ids
  }

  #expire(): void {
    const oldestMs = this.#nowMs() - this.#limits.idempotencyMs
    for (const [key, answer] of this.#answers) {
      if (answer.atMs > oldestMs && this.#answers.size < this.#limits.idempotencyKeysMax) return
      this.#answers.delete(key)
    }
  }
}
