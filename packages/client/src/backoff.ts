// How long to wait before the next try: exponential, with full jitter.
//
// A server that restarts sends thousands of clients away in one moment; with full jitter they come back spread over
// the whole wait instead of in waves (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

/** Between which bounds waits grow. */
export interface Backoff {
  /** The longest first wait; each further one may be twice as long. */
  readonly baseMs: number
  /** No wait is longer, unless the server asks for it. */
  readonly maxMs: number
}

/** Doublings that matter: 2^30 times anything is over every `maxMs`. */
const DOUBLINGS_MAX = 30

/** The wait after so many failures in a row, at least 1. `random` is from 0 up to, not including, 1. */
export function backoffMs(failures: number, backoff: Backoff, random: number): number {
  const { baseMs, maxMs } = backoff
  const longestMs = baseMs * 2 ** Math.min(failures - 1, DOUBLINGS_MAX)
  return Math.floor(random * Math.min(longestMs, Math.max(baseMs, maxMs)))
}
