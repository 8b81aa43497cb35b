// Publishing from a source: an async iterable becomes events, one after the other.

import type { Clock } from './clock.ts'
import type { EventInput } from './event.ts'

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
  source: AsyncIterable<unknown> | Iterable<unknown>,
  options: PublishFromOptions,
  publish: (event: EventInput) => Promise<unknown>,
  clock: Clock,
): Promise<number> {
  const { topic, type, throttleMs = 0, signal } = options
  const items = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  let published = 0
  let earliestMs = 0
  let isEnded = false
  try {
    while (!isAborted(signal)) {
      await untilAborted(sleep(earliestMs - clock.monotonicMs(), clock), signal)
      const item = await untilAborted(items.next(), signal)
      isEnded = item !== ABORTED && item.done === true
      if (item === ABORTED || item.done === true) break
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

const ABORTED = Symbol('aborted')

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}

/**
 * Waits for something, or for the signal; leaves nothing behind on the signal, which may live longer than many
 * waits.
 */
async function untilAborted<Value>(
  value: Value | PromiseLike<Value>,
  signal: AbortSignal | undefined,
): Promise<Value | typeof ABORTED> {
  if (signal === undefined) return value
  if (isAborted(signal)) return ABORTED
  const { promise, resolve } = Promise.withResolvers<typeof ABORTED>()
  const onAbort = (): void => resolve(ABORTED)
  signal.addEventListener('abort', onAbort)
  try {
    return await Promise.race([value, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function sleep(delayMs: number, clock: Clock): Promise<void> {
  if (delayMs <= 0) return Promise.resolve()
  return new Promise((resolve) => void clock.after(delayMs, resolve, true))
}
