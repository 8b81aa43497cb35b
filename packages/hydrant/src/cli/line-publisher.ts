// Publishes lines over HTTP: each batch is one request with an idempotency key, made again with the same key until the
// server has acknowledged it. One request is in flight at a time, so lines keep their order; the key keeps a line that
// was stored without an answer from being stored twice.

import { isRecord } from '../http/event-json.ts'
import type { LineBatch } from './line-queue.ts'

/** What every line becomes. */
export interface LineEvent {
  readonly topic: string
  readonly type?: string
  readonly key?: string
}

/** Options of {@link LinePublisher}. */
export interface LinePublisherOptions {
  /** `http://localhost:3000/events`. */
  readonly url: URL
  readonly event: LineEvent
  /** How long the server may take nothing before it is given up. */
  readonly giveUpAfterMs: number
  /** Told once when the server stops taking lines, with the reason. */
  readonly onTrouble: (reason: string) => void
}

/** The server will not take it, or took nothing for too long. */
export class LineRefusal extends Error {
  override readonly name = 'LineRefusal'
}

/** One request, made until it is done. */
interface LineRequest {
  readonly url: URL
  readonly body: string
  /** What it carries, for words to the user. */
  readonly name: string
  /** Knows the answer to a request that was done. */
  readonly isStored: (answer: unknown) => boolean
}

/** What became of one request. */
type Outcome =
  | { readonly kind: 'stored' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'away'; readonly reason: string; readonly waitMs: number }

/** One attempt; a server that takes connections and answers nothing is away. */
const ATTEMPT_MS = 30_000
const BACKOFF_MIN_MS = 100
const BACKOFF_MAX_MS = 5_000

/** See the head of the file. */
export class LinePublisher {
  /** How many lines the server has acknowledged. */
  published = 0
  readonly #options: LinePublisherOptions
  readonly #name = crypto.randomUUID()
  #requests = 0

  constructor(options: LinePublisherOptions) {
    this.#options = options
  }

  /** Resolves when all of a batch is stored. Rejects with a LineRefusal, or the signal's reason. */
  async publish(batch: LineBatch, signal: AbortSignal): Promise<void> {
    const { event, url } = this.#options
    const { length } = batch.lines
    const body = JSON.stringify(batch.lines.map((data) => ({ ...event, data })))
    await this.#send({ url, body, name: nameOf(batch), isStored: (answer) => hasIds(answer, length) }, signal)
    this.published += length
  }

  /** Ends the topic: nothing will follow. Resolves and rejects like `publish`. */
  async end(signal: AbortSignal): Promise<void> {
    const { event, url } = this.#options
    const end = new URL(`${url.href.replace(/\/$/, '')}/${event.topic}?end`)
    await this.#send({ url: end, body: '', name: 'the end was', isStored: hasId }, signal)
  }

  async #send(request: LineRequest, signal: AbortSignal): Promise<void> {
    const { giveUpAfterMs, onTrouble } = this.#options
    this.#requests += 1
    const key = `${this.#name}-${this.#requests}`
    let failures = 0
    let troubleMs: number | undefined
    for (;;) {
      const outcome = await this.#attempt(request, key, signal)
      signal.throwIfAborted()
      if (outcome.kind === 'stored') return
      if (outcome.kind === 'refused') throw new LineRefusal(`${request.name} refused: ${outcome.reason}`)
      if (troubleMs === undefined) onTrouble(outcome.reason)
      troubleMs ??= performance.now()
      const leftMs = troubleMs + giveUpAfterMs - performance.now()
      if (leftMs <= 0)
        throw new LineRefusal(`gave up after ${giveUpAfterMs} ms in which the server took nothing: ${outcome.reason}`)
      failures += 1
      await sleep(Math.min(leftMs, Math.max(outcome.waitMs, backoffMs(failures))), signal)
    }
  }

  async #attempt({ url, body, isStored }: LineRequest, key: string, signal: AbortSignal): Promise<Outcome> {
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body,
        signal: AbortSignal.any([signal, AbortSignal.timeout(ATTEMPT_MS)]),
      })
      return judge(response.status, retryAfterMs(response), await response.text(), isStored)
    } catch (error) {
      return { kind: 'away', reason: reasonOf(error), waitMs: 0 }
    }
  }
}

/** What an answer means; `isStored` knows the answer to a request that was done. */
export function judge(status: number, waitMs: number, text: string, isStored: (answer: unknown) => boolean): Outcome {
  const answer = parse(text)
  if (status === 200) {
    if (isStored(answer)) return { kind: 'stored' }
    return { kind: 'refused', reason: 'the answer is not one of hydrant; is this its URL?' }
  }
  const detail = isRecord(answer) && typeof answer['detail'] === 'string' ? answer['detail'] : 'no reason given'
  const reason = `${detail} (status ${status})`
  const isAway = status === 408 || status === 429 || (status >= 502 && status <= 504)
  return isAway ? { kind: 'away', reason, waitMs } : { kind: 'refused', reason }
}

function hasIds(answer: unknown, count: number): boolean {
  const ids = isRecord(answer) ? answer['ids'] : undefined
  return Array.isArray(ids) && ids.length === count
}

function hasId(answer: unknown): boolean {
  return isRecord(answer) && typeof answer['id'] === 'string'
}

function nameOf({ firstLine, lines }: LineBatch): string {
  return lines.length === 1 ? `line ${firstLine} was` : `lines ${firstLine} to ${firstLine + lines.length - 1} were`
}

/** Grows twofold, at random between half and all of it, so that several publishers do not come back at once. */
function backoffMs(failures: number): number {
  return Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures - 1, 10)) * (0.5 + Math.random() / 2)
}

/** In seconds only; a server that wants us away for longer than a wait of our own may say so once. */
function retryAfterMs(response: Response): number {
  const text = response.headers.get('retry-after') ?? ''
  return /^\d{1,4}$/.test(text) ? Math.min(BACKOFF_MAX_MS, Number(text) * 1_000) : 0
}

/** `fetch failed` says nothing; its cause does. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.cause instanceof AggregateError) return reasonOf(error.cause.errors[0])
  return error.cause instanceof Error ? error.cause.message : error.message
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // a proxy's own words
  }
}

function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', cancel)
      resolve()
    }, delayMs)
    signal.addEventListener('abort', cancel, { once: true })
  })
}
