// Time, as the client needs it: given from outside, so that a test can own it.

/** What the client needs of time. */
export interface Clock {
  /** Milliseconds since 1970; may jump. */
  nowMs(): number
  /** Runs after so many milliseconds; the answer takes it back. */
  after(delayMs: number, run: () => void): () => void
}

/** Real time. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}
