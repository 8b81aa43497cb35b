// Publishing from a source: an async iterable becomes events, one after the other.

import type { Clock } from './clock.ts'
import type { EventInput, JsonValue } from './event.ts'

/** Options of `hub.publishFrom`. */
export interface PublishFromOptions {
  /** The topic of every item. */
  readonly topic: string
  readonly type?: string
  /** At least so many milliseconds between two events; the source waits meanwhile. Default 0. */
  readonly throttleMs?: number
  /** Stops it; the source is told by its `return()`. */
  readonly signal?: AbortSignal
}

/**
 * Publishes each item and awaits its acknowledgement before it asks the source for the next: a source is never read
 * faster than the log takes it, and never faster than the throttle. Answers how many were published, once the source
 * ends or the signal fires; rejects with the first error of either side, after closing the source.
 */
export async function publishFrom(
  source: AsyncIterable<JsonValue | Uint8Array> | Iterable<JsonValue | Uint8Array>,
  options: PublishFromOptions,
  publish: (event: EventInput) => Promise<unknown>,
  clock: Clock,
): Promise<number> {
  const { topic, type, throttleMs = 0, signal } = options
  let published = 0
  let earliestMs = 0
  for await (const data of source) {
    if (throttleMs > 0) await sleep(earliestMs - clock.monotonicMs(), clock, signal)
    if (signal?.aborted === true) break
    earliestMs = clock.monotonicMs() + throttleMs
    await publish({ topic, type, data })
    published += 1
  }
  return published
}

function sleep(delayMs: number, clock: Clock, signal: AbortSignal | undefined): Promise<void> {
  if (delayMs <= 0 || signal?.aborted === true) return Promise.resolve()
  return new Promise((resolve) => {
    const wake = (): void => {
      cancel()
      signal?.removeEventListener('abort', wake)
      resolve()
    }
    const cancel = clock.after(delayMs, wake)
    signal?.addEventListener('abort', wake)
  })
}
