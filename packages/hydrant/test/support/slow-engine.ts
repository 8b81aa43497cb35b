// A memory engine whose readings take time, as those of a log on a disk or a network do.

import type { History, ReadRequest } from '../../src/engine/engine.ts'
import { MemoryEngine, type MemoryEngineOptions } from '../../src/engine/memory.ts'
import type { Clock } from '../../src/hub/clock.ts'

/** Answers as the memory engine does, later. */
export class SlowEngine extends MemoryEngine {
  /** How many readings are under way. */
  reading = 0
  /** The most that were under way at once. */
  readingMost = 0
  readonly #clock: Clock
  readonly #delayMs: () => number

  /** `delayMs` is asked for each reading; the history is that of its start. */
  constructor(options: MemoryEngineOptions, clock: Clock, delayMs: () => number) {
    super(options)
    this.#clock = clock
    this.#delayMs = delayMs
  }

  override async read(request: ReadRequest): Promise<History> {
    this.reading += 1
    this.readingMost = Math.max(this.readingMost, this.reading)
    const history = await super.read(request)
    await new Promise<void>((resolve) => void this.#clock.after(this.#delayMs(), resolve))
    this.reading -= 1
    return history
  }
}
