// The clock of a running process. Tests and simulations bring their own.

import type { Clock } from './hub/clock.ts'

/** Real time. Its timers keep no process alive unless asked to: an open server does that. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  defer: (run) => void setImmediate(run),
  after: (delayMs, run, keepsAlive = false) => {
    const timer = setTimeout(run, delayMs)
    if (!keepsAlive) timer.unref()
    return () => clearTimeout(timer)
  },
}
