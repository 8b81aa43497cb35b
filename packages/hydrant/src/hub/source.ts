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
  const aborted = abortOf(signal)
  const items = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  let published = 0
  let earliestMs = 0
  let isEnded = false
  try {
    while (!isAborted(signal)) {
      await Promise.race([sleep(earliestMs - clock.monotonicMs(), clock), aborted])
      const item = await Promise.race([items.next(), aborted])
      if (item === 'aborted') break
      if (item.done === true) {
        isEnded = true
        break
      }
      earliestMs = clock.monotonicMs() + throttleMs
      await publish({ topic, type, data: item.value })
      published += 1
    }
  } finally {
    // Not awaited: a source that is stuck in its next item would keep us waiting for ever.
    if (!isEnded) void Promise.resolve(items.return?.()).catch(() => {}) // its end is no longer our affair
  }
  return published
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}

function abortOf(signal: AbortSignal | undefined): Promise<'aborted'> {
  return new Promise((resolve) => {
    if (isAborted(signal)) resolve('aborted')
    signal?.addEventListener('abort', () => resolve('aborted'), { once: true })
  })
}

function sleep(delayMs: number, clock: Clock): Promise<void> {
  if (delayMs <= 0) return Promise.resolve()
  return new Promise((resolve) => void clock.after(delayMs, resolve))
}
