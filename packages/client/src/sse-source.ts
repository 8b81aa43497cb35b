// Server-Sent Events over fetch: unlike EventSource it can send headers, read why it was refused, and stop reading
// while the program has enough. Blocks hold whole envelopes (`format=envelope`).

import { jsonOf } from './delivery.ts'
import { detailOf, isProblem } from './error.ts'
import type { Connection, Listener, Source, Wanted } from './source.ts'
import type { End, WhyCode } from './state.ts'
import { CONTROL_TYPES, SseParser, type SseMessage } from './wire/index.ts'

/** What to send with each request; asked anew each time, so that a token can be a fresh one. */
export type HeadersOf = () => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>

/** What the source is made of. */
export interface SseSourceParts {
  readonly url: URL
  readonly headers: HeadersOf
  readonly fetch: typeof globalThis.fetch
}

/** Statuses that will not change by coming back. */
const FINAL_STATUSES = [400, 401, 403, 404]

/** See the head of the file. */
export class SseSource implements Source {
  readonly #parts: SseSourceParts

  constructor(parts: SseSourceParts) {
    this.#parts = parts
  }

  open(wanted: Wanted, listener: Listener): Connection {
    const abort = new AbortController()
    void this.#follow(wanted, listener, abort.signal).then((end) => listener.ended(end))
    return { close: () => abort.abort() }
  }

  /** Resolves when the connection is over, never rejects. */
  async #follow(wanted: Wanted, listener: Listener, signal: AbortSignal): Promise<End> {
    const { url, headers, fetch } = this.#parts
    let response: Response
    try {
      response = await fetch(urlOf(url, wanted), {
        headers: { ...(await headers()), accept: 'text/event-stream' },
        cache: 'no-store',
        signal,
      })
    } catch (error) {
      return endOf('unreachable', detailOf(error))
    }
    listener.heard()
    if (response.status !== 200) return refusal(response)
    const media = response.headers.get('content-type') ?? 'nothing'
    if (response.body === null || !media.startsWith('text/event-stream'))
      return endOf('malformed', `The answer is not an event stream, but ${media}.`)
    const { lastEventId, since, last, earliest } = wanted
    const knowsItsPlace = lastEventId !== undefined || (since ?? last ?? earliest) === undefined
    return read(response.body.getReader(), new Blocks(listener, knowsItsPlace), listener)
  }
}

/** The id stands in the query, not in a header, which would cost pages of other origins a preflight. */
function urlOf(base: URL, wanted: Wanted): URL {
  const url = new URL(base)
  const { topics, types = [], ...others } = wanted
  const single = Object.entries({ ...others, format: 'envelope' })
  const all = [
    ...topics.map((topic) => ['topic', topic] as const),
    ...types.map((type) => ['type', type] as const),
    ...single,
  ]
  for (const [key, value] of all) if (value !== undefined) url.searchParams.append(key, String(value))
  return url
}

async function refusal(response: Response): Promise<End> {
  const { status } = response
  if (status === 204) return endOf('ended', 'The server has said all there is to say.')
  const problem: unknown = await response.json().catch(() => undefined) // proxies answer in HTML
  const code = FINAL_STATUSES.includes(status) ? 'refused' : 'unreachable'
  return {
    why: isProblem(problem)
      ? { code, detail: problem.detail, problem }
      : { code, detail: `The server answers with status ${status}.` },
    waitMs: retryAfterMs(response),
  }
}

/** What `Retry-After` asks for; 0 when it does not, or names a date. */
export function retryAfterMs(response: Response): number {
  return (Number(response.headers.get('retry-after')) || 0) * 1_000
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>, blocks: Blocks, listener: Listener): Promise<End> {
  const parser = new SseParser(blocks)
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true }) // the parser knows what to do with it
  try {
    for (;;) {
      const { value: bytes } = await reader.read()
      if (bytes === undefined) return endOf('cut', 'The server ended the answer.')
      listener.heard()
      parser.feed(decoder.decode(bytes, { stream: true }))
      if (blocks.end !== undefined) return blocks.end
      await listener.room()
      listener.heard()
    }
  } catch (error) {
    return endOf(error instanceof RangeError ? 'malformed' : 'cut', detailOf(error)) // RangeErrors are the parser's
  }
}

/** Tells a listener what the blocks of a stream say. */
class Blocks {
  /** Set by a farewell: nothing counts after it. */
  end: End | undefined
  readonly #listener: Listener
  /** Whether a farewell's id means that everything before it was sent. */
  #knowsItsPlace: boolean
  #retryMs: number | undefined

  constructor(listener: Listener, knowsItsPlace: boolean) {
    this.#listener = listener
    this.#knowsItsPlace = knowsItsPlace
  }

  message({ type, data, lastEventId }: SseMessage): void {
    if (this.end !== undefined) return
    const listener = this.#listener
    const retryMs = this.#retryMs
    this.#retryMs = undefined
    if (type === CONTROL_TYPES.bye) return this.#bye(lastEventId, retryMs)
    if (retryMs !== undefined) listener.retry(retryMs)
    if (type === CONTROL_TYPES.open) listener.opened(lastEventId)
    else if (type === CONTROL_TYPES.gap) listener.gap(jsonOf(data))
    else if (type.startsWith('hydrant:') && type !== CONTROL_TYPES.end) listener.position(lastEventId)
    else listener.event(jsonOf(data))
    this.#knowsItsPlace = true
  }

  retry(retryMs: number): void {
    this.#retryMs = retryMs // its block may be a farewell
  }

  comment(): void {
    this.#listener.opened()
  }

  /** Where a stream was to start in the past, a refusal names the head: going on from there would lose that past. */
  #bye(id: string, waitMs = 0): void {
    if (this.#knowsItsPlace) this.#listener.position(id)
    this.end = { ...endOf('farewell', 'The server asks to come back later.'), waitMs }
  }
}

function endOf(code: WhyCode, detail: string): End {
  return { why: { code, detail } }
}
