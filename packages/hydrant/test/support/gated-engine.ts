// A memory engine whose appends wait at a gate, or fail, when the test says so.

import type { ProblemCode } from 'hydrant-client/wire'
import type { Idempotency } from '../../src/engine/engine.ts'
import type { CheckedEvent } from '../../src/hub/event.ts'
import { HydrantError, MemoryEngine } from '../../src/index.ts'

/** See the head of the file. */
export class GatedEngine extends MemoryEngine {
  /** Appends that wait at the gate. */
  waiting = 0
  #gate: Promise<void> | undefined
  #open: () => void = () => {}
  #failure: ProblemCode | undefined

  /** From now on appends wait. */
  shut(): void {
    this.#gate = new Promise((resolve) => (this.#open = resolve))
  }

  /** Lets all through. */
  unlock(): void {
    this.#gate = undefined
    this.#open()
  }

  /** From now on appends fail. */
  fail(code: ProblemCode): void {
    this.#failure = code
  }

  override async append(batch: readonly CheckedEvent[], idempotency?: Idempotency): Promise<readonly string[]> {
    if (this.#failure !== undefined) throw new HydrantError(this.#failure, 'The engine was told to fail.')
    if (this.#gate !== undefined) {
      this.waiting += 1
      await this.#gate
      this.waiting -= 1
    }
    return super.append(batch, idempotency)
  }
}
