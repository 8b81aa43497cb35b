// A publisher of a fleet: sends event after event over HTTP, sends each again until it knows what became of it, and
// keeps a record of that.

import { Agent, request } from 'node:http'
import type { PublishRecord } from '../../src/testing/testing.ts'
import { itemsOf, recordOf } from './record.ts'

/** What one is. */
export interface FleetPublisherOptions {
  readonly name: string
  readonly url: string
  readonly topics: readonly string[]
  /**
   * Whether each request has an idempotency key, and is sent again under it when no answer came. Without one the
   * outcome is unknown then, and the next event follows.
   */
  readonly hasKeys: boolean
  /** It gives up a request that is not answered for so long. */
  readonly patienceMs: number
  /** The longest data of its events, about, in characters. Default 200. */
  readonly dataLengthMax?: number
  /** The most events of one request. Default 5. */
  readonly batchMax?: number
  readonly random: (below: number) => number
}

interface Draft {
  readonly topic: string
  readonly type: string
  readonly key?: string
  readonly data: string
}

/** What a request came to. */
type Answer =
  | { readonly kind: 'stored'; readonly ids: readonly string[] }
  | { readonly kind: 'refused' }
  | { readonly kind: 'later'; readonly afterMs: number }
  | { readonly kind: 'silence' }

const RETRY_MS = 30
const BATCH_MAX = 5

/** See the head of the file. */
export class FleetPublisher {
  readonly records: PublishRecord[] = []
  /** What should never have been answered. */
  readonly complaints: string[] = []
  acknowledged = 0
  /** Requests that no answer came to. */
  silences = 0
  /** Answers of 503. */
  unavailable = 0
  readonly #options: FleetPublisherOptions
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  #sent = 0
  #requests = 0
  #isStopping = false
  #isClosed = false
  #running: Promise<void> | undefined

  constructor(options: FleetPublisherOptions) {
    this.#options = options
  }

  /** Goes on until it is stopped. */
  start(): void {
    this.#running = this.#run()
  }

  /** Sends nothing new; resolves when it knows what became of the last. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#running
  }

  /** Publishes an event for each of these data, all in one request, until it knows that they are stored. */
  async publish(topic: string, ...data: readonly string[]): Promise<readonly string[]> {
    const outcomes = await this.#settle(data.map((one) => ({ topic, type: 'message', data: one })))
    return outcomes.map((outcome) => (typeof outcome === 'string' ? outcome : outcome.id))
  }

  /** Nothing more is sent or waited for. */
  close(): void {
    this.#isStopping = true
    this.#isClosed = true
    this.#agent.destroy()
  }

  async #run(): Promise<void> {
    const { random, batchMax = BATCH_MAX } = this.#options
    while (!this.#isStopping) {
      const size = random(3) === 0 ? 1 + random(batchMax) : 1
      await this.#settle(Array.from({ length: size }, () => this.#draft()))
      await pause(random(4))
    }
  }

  #draft(): Draft {
    const { name, topics, random, dataLengthMax = 200 } = this.#options
    this.#sent += 1
    const topic = topics[random(topics.length)] ?? ''
    const type = random(3) === 0 ? 'price' : 'message'
    const keyed = random(2) === 0 ? { key: `${random(20)}` } : {}
    return { topic, type, ...keyed, data: `${name} ${this.#sent}\nis “this” ${'x'.repeat(random(dataLengthMax))}` }
  }

  async #settle(drafts: readonly Draft[]): Promise<readonly PublishRecord['outcome'][]> {
    const outcomes = await this.#outcomes(drafts)
    for (const [at, draft] of drafts.entries()) this.records.push({ ...draft, outcome: outcomes[at] ?? 'unknown' })
    return outcomes
  }

  async #outcomes(drafts: readonly Draft[]): Promise<readonly PublishRecord['outcome'][]> {
    const { name, hasKeys } = this.#options
    this.#requests += 1
    const key = hasKeys ? { 'idempotency-key': `${name} ${this.#requests}` } : {}
    for (;;) {
      const answer = await this.#ask(drafts, key)
      if (answer.kind === 'stored') {
        this.acknowledged += drafts.length
        return answer.ids.map((id) => ({ id }))
      }
      if (answer.kind === 'refused') return drafts.map(() => 'failed')
      await pause(answer.kind === 'later' ? answer.afterMs : RETRY_MS)
      if (!hasKeys || this.#isClosed) return drafts.map(() => 'unknown')
    }
  }

  async #ask(drafts: readonly Draft[], key: Readonly<Record<string, string>>): Promise<Answer> {
    const body = JSON.stringify(drafts.length === 1 ? drafts[0] : drafts)
    try {
      const { status, retryAfter, text } = await this.#post(body, key)
      if (status === 200) return { kind: 'stored', ids: this.#ids(text, drafts.length) }
      if (status === 503) return this.#later(retryAfter, text)
      this.complaints.push(`${this.#options.name}: ${status} ${text}`)
      return { kind: 'refused' }
    } catch {
      this.silences += 1 // no answer, or half of one
      return { kind: 'silence' }
    }
  }

  #ids(text: string, count: number): readonly string[] {
    const { id, ids = [id] } = recordOf(JSON.parse(text))
    const found = itemsOf(ids).filter((one) => typeof one === 'string')
    if (found.length !== count) this.complaints.push(`${this.#options.name}: ${text} in answer to ${count} events`)
    return found
  }

  #later(retryAfter: string | undefined, text: string): Answer {
    this.unavailable += 1
    if (!/^[1-9]\d*$/.test(retryAfter ?? ''))
      this.complaints.push(`${this.#options.name}: a 503 with Retry-After ${retryAfter}: ${text}`)
    return { kind: 'later', afterMs: Number(retryAfter) * 1_000 }
  }

  #post(
    body: string,
    key: Readonly<Record<string, string>>,
  ): Promise<{ readonly status: number; readonly retryAfter: string | undefined; readonly text: string }> {
    const { url, patienceMs } = this.#options
    return new Promise((resolve, reject) => {
      const outgoing = request(`${url}/events`, {
        method: 'POST',
        agent: this.#agent,
        headers: { 'content-type': 'application/json', ...key },
        signal: AbortSignal.timeout(patienceMs),
      })
      outgoing.on('error', reject)
      outgoing.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
        response.on('error', reject)
        response.on('close', () => {
          if (!response.complete) return reject(new Error('the answer was cut'))
          resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'], text })
        })
      })
      outgoing.end(body)
    })
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
