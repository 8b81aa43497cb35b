// A clock that stands still until a test steps it: turns of the event loop and timers are the test's to run.

import type { Clock } from '../../src/hub/clock.ts'

interface Timer {
  readonly atMs: number
  readonly run: () => void
}

/** Turns after which something that should come to rest is taken to be running in circles. */
const TURNS_MAX = 100_000

/** Time that is the test's own. Starts at a fixed date. */
export class VirtualClock implements Clock {
  #elapsedMs = 0
  #deferred: (() => void)[] = []
  readonly #timers = new Set<Timer>()

  nowMs(): number {
    return Date.UTC(2026, 0, 1) + this.#elapsedMs
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  defer(run: () => void): void {
    this.#deferred.push(run)
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#elapsedMs + delayMs, run }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  /** Whether nothing waits for the end of a turn. Timers do not count. */
  get isIdle(): boolean {
    return this.#deferred.length === 0
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size
  }

  /** One turn: runs what was deferred before it, not what that defers in turn; promises settle after each, as in Node. */
  async turn(): Promise<void> {
    const due = this.#deferred
    this.#deferred = []
    for (const run of due) {
      run()
      await settle()
    }
  }

  /** Turns until nothing is deferred any more; answers how many it took. */
  async rest(): Promise<number> {
    await settle()
    for (let turns = 0; turns < TURNS_MAX; turns += 1) {
      if (this.isIdle) return turns
      await this.turn()
    }
    throw new Error(`nothing came to rest in ${TURNS_MAX} turns`)
  }

  /** Lets time pass: timers run in their order, each at its time, promises settle in between. */
  async advance(delayMs: number): Promise<void> {
    const endMs = this.#elapsedMs + delayMs
    for (;;) {
      const next = this.#nextTimer()
      if (next === undefined || next.atMs > endMs) break
      this.#timers.delete(next)
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs)
      next.run()
      await settle()
    }
    this.#elapsedMs = endMs
  }

  #nextTimer(): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) if (next === undefined || timer.atMs < next.atMs) next = timer
    return next
  }
}

/** Lets every promise that can go on go on. */
export function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
