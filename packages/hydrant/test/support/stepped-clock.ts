// A clock for tests on real sockets: turns of the event loop are real, time passes only when the test says so.

import type { Clock } from '../../src/hub/clock.ts'

interface Timer {
  readonly atMs: number
  readonly run: () => void
}

/** Starts at a fixed date. */
export class SteppedClock implements Clock {
  #elapsedMs = 0
  readonly #timers = new Set<Timer>()

  nowMs(): number {
    return Date.UTC(2026, 0, 1) + this.#elapsedMs
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  defer(run: () => void): void {
    setImmediate(run)
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#elapsedMs + delayMs, run }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  /** Lets time pass: the timers due run in their order, each at its time. */
  advance(delayMs: number): void {
    const endMs = this.#elapsedMs + delayMs
    for (;;) {
      const [next] = [...this.#timers].filter((one) => one.atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#elapsedMs = next.atMs
      next.run()
    }
    this.#elapsedMs = endMs
  }
}
