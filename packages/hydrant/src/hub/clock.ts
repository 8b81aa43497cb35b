// Time comes into the core from outside, so that a test or a simulation can own it.

/** What the core needs of time. */
export interface Clock {
  /** Milliseconds since 1970, as people count them; may jump. */
  nowMs(): number
  /** Milliseconds that only ever grow. */
  monotonicMs(): number
  /** Runs once this turn of the event loop has ended and new input had its chance. */
  defer(run: () => void): void
  /**
   * Runs after so many milliseconds; the answer takes it back. A process that has nothing else to do ends before,
   * unless `keepsAlive`.
   */
  after(delayMs: number, run: () => void, keepsAlive?: boolean): () => void
}
