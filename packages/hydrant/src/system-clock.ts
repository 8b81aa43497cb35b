// The clock of a running process. Tests and simulations bring their own.

import type { Clock } from './hub/clock.ts'

/** Real time. Timers do not keep the process alive: an open server does that. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  defer: (run) => void setImmediate(run),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
