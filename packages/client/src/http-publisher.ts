// Publishing by POST, for streams over SSE.

import { backoffMs, type Backoff } from './backoff.ts'
import type { Clock } from './clock.ts'
import { jsonOf } from './delivery.ts'
import { detailOf, isProblem, isRecord, StreamError } from './error.ts'
import { isRetryable, newKey, PUBLISH_TRIES_MAX, requestOf, type Publisher, type PublishEvent } from './publisher.ts'
import { retryAfterMs, type HeadersOf } from './sse-source.ts'
import { WAIT_MS_MAX } from './state.ts'

/** How long one try may take. */
const TRY_MS_MAX = 30_000

/** What the publisher is made of. */
export interface HttpPublisherParts {
  readonly url: URL
  readonly headers: HeadersOf
  readonly fetch: typeof globalThis.fetch
  readonly clock: Clock
  readonly random: () => number
  readonly backoff: Backoff
}

/** What a failed try means: the error to give up with, and after which wait another try makes sense, if it does. */
interface Failure {
  readonly error: StreamError
  readonly againAfterMs?: number
}

/** Each publish is a request of its own: those that are not awaited may be stored in another order. */
export class HttpPublisher implements Publisher {
  readonly #parts: HttpPublisherParts
  readonly #closed = new AbortController()

  constructor(parts: HttpPublisherParts) {
    this.#parts = parts
  }

  async publish(event: PublishEvent): Promise<string> {
    const { clock, random, backoff } = this.#parts
    const { request, bytes } = requestOf(event)
    const body = JSON.stringify(bytes === undefined ? request : { ...request, dataBase64: base64(bytes) })
    const key = newKey()
    for (let tries = 1; ; tries += 1) {
      const outcome = await this.#try(body, key)
      if (typeof outcome === 'string') return outcome
      if (this.#closed.signal.aborted) throw new StreamError('closed', 'The stream was closed.')
      const { error, againAfterMs } = outcome
      if (againAfterMs === undefined || tries === PUBLISH_TRIES_MAX) throw error
      const delayMs = Math.max(backoffMs(tries, backoff, random()), Math.min(againAfterMs, WAIT_MS_MAX))
      await this.#orClosed((done) => clock.after(delayMs, done))
    }
  }

  close(): void {
    this.#closed.abort()
  }

  async #try(body: string, key: string): Promise<string | Failure> {
    const abort = new AbortController()
    const giveUp = (): void => abort.abort()
    const { signal } = this.#closed
    const cancel = this.#parts.clock.after(TRY_MS_MAX, giveUp)
    signal.addEventListener('abort', giveUp)
    if (signal.aborted) giveUp()
    try {
      return await this.#post(body, key, abort.signal)
    } catch (error) {
      return { error: new StreamError('unreachable', detailOf(error)), againAfterMs: 0 }
    } finally {
      cancel()
      signal.removeEventListener('abort', giveUp)
    }
  }

  async #post(body: string, key: string, signal: AbortSignal): Promise<string | Failure> {
    const { url, headers, fetch } = this.#parts
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...(await headers()), 'content-type': 'application/json', 'idempotency-key': key },
      body,
      signal,
    })
    const text = await response.text()
    const { status } = response
    if (isRetryable(status)) return { ...failure(status, text), againAfterMs: retryAfterMs(response) }
    const answer = status === 200 ? jsonOf(text) : undefined
    return isRecord(answer) && typeof answer['id'] === 'string' ? answer['id'] : failure(status, text)
  }

  /** Waits for a timer, or for the end of all. */
  async #orClosed(start: (done: () => void) => () => void): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = start(resolve)
    this.#closed.signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    cancel()
  }
}

function failure(status: number, text: string): Failure {
  const problem = jsonOf(text)
  return isProblem(problem)
    ? { error: new StreamError(problem.code, problem.detail, problem) }
    : { error: new StreamError('malformed', `The server answers a publish with status ${status}, in words not ours.`) }
}

/** In pieces: a call has room for so many arguments only. */
function base64(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += 8_192) binary += String.fromCharCode(...bytes.subarray(at, at + 8_192))
  return btoa(binary)
}
