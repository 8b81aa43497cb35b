// A part of a stream, pulled: a consumer that sends as much as it is asked for.
//
// Where the part ends is looked up, not asked of the consumer: NATS 2.9 counts wrong what a consumer with a filter has
// to send still, and says that there is nothing more where there is.

import { NatsLost } from './nats-errors.ts'
import { deliveredMessage, type ConsumerRequest, type NatsLink } from './nats-link.ts'
import type { NatsMessage } from './nats-message.ts'

/** What came of one request. */
export interface Pulled {
  readonly messages: readonly NatsMessage[]
  /** Nothing more that the filters match was stored when it was asked for. */
  readonly isEnd: boolean
}

/** What is pulled. */
export type PullRequest = Pick<ConsumerRequest, 'start' | 'headersOnly'> & {
  /** Subjects. More than one only where the link `hasManyFilters`. */
  readonly filters: readonly string[]
  /** Whether the filters match everything, so that none are needed. */
  readonly isWhole?: boolean
}

/** How long NATS keeps a consumer that nobody asks. */
const IDLE_MS = 10_000
/** How long NATS waits for more; then it is looked up whether there can be more. */
const WAIT_MS = 250
const NANOS_PER_MS = 1_000_000
/** What a message may have beside its data, with which it has to fit into the bytes of a request. */
const OVERHEAD_BYTES = 65_536

const NO_MESSAGES = 404
const TIMED_OUT = 408
const TOO_LARGE = 409

type Driven = Parameters<Parameters<NatsLink['listen']>[1]>[0]

interface Asking {
  readonly number: number
  readonly wanted: number
  resolve(): void
  reject(error: Error): void
}

/** See the head of the file. */
export class NatsPull {
  readonly #link: NatsLink
  readonly #answerMs: number
  readonly #filters: readonly string[]
  readonly #inbox: string
  readonly #stop: () => void
  readonly #name: string
  /** What arrived and was not answered. */
  #arrived: NatsMessage[] = []
  /** The last that arrived. */
  #at: number
  /** The last that the filters match. */
  #last: number
  #asked = 0
  #asking: Asking | undefined

  private constructor(
    link: NatsLink,
    answerMs: number,
    place: { name: string; filters: readonly string[]; at: number; last: number },
  ) {
    this.#link = link
    this.#answerMs = answerMs
    this.#name = place.name
    this.#filters = place.filters
    this.#at = place.at
    this.#last = place.last
    this.#inbox = link.inbox()
    this.#stop = link.listen(`${this.#inbox}.*`, (message) => this.#hear(message))
    void link.closed.then((reason) => this.#asking?.reject(new NatsLost(reason)))
  }

  /** Makes the consumer. */
  static async open(link: NatsLink, answerMs: number, request: PullRequest): Promise<NatsPull> {
    const { start, filters, isWhole = false, headersOnly = false } = request
    const last = await link.lastSeqOf(filters)
    const { name } = await link.makeConsumer({
      start,
      headersOnly,
      filters: isWhole ? undefined : filters,
      idleMs: IDLE_MS,
    })
    const at = typeof start === 'object' && 'seq' in start ? start.seq - 1 : 0
    return new NatsPull(link, answerMs, { name, filters, at, last })
  }

  /**
   * At most so many messages, and about so many bytes, but at least one when there is one. Not while one is under way.
   */
  async next(messagesMax: number, bytesMax: number): Promise<Pulled> {
    for (;;) {
      if (this.#arrived.length === 0 && this.#at >= this.#last) this.#last = await this.#link.lastSeqOf(this.#filters)
      if (this.#arrived.length === 0 && this.#at >= this.#last) return { messages: [], isEnd: true }
      if (this.#arrived.length === 0) await this.#ask(messagesMax, bytesMax)
      const messages = this.#arrived.splice(0, messagesMax)
      if (messages.length > 0) return { messages, isEnd: this.#arrived.length === 0 && this.#at >= this.#last }
      this.#last = await this.#link.lastSeqOf(this.#filters) // what was to come may be trimmed
    }
  }

  /** It is not needed any more. */
  close(): void {
    this.#stop()
    this.#link.dropConsumer(this.#name)
  }

  /** Resolves when everything is there that was asked for, or all there is, or when nothing comes for a while. */
  async #ask(wanted: number, bytesMax: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#asked += 1
    this.#asking = { number: this.#asked, wanted, resolve, reject }
    const late = setTimeout(() => reject(new NatsLost('NATS does not answer: history did not come.')), this.#answerMs)
    const max_bytes = bytesMax + this.#link.payloadBytesMax + OVERHEAD_BYTES
    const request = JSON.stringify({ batch: wanted, max_bytes, expires: WAIT_MS * NANOS_PER_MS })
    this.#link.say(this.#link.pullSubject(this.#name), request, `${this.#inbox}.${this.#asked}`)
    try {
      await promise
    } finally {
      clearTimeout(late)
      this.#asking = undefined
    }
  }

  #hear(message: Driven): void {
    const delivered = deliveredMessage(message)
    if (delivered === undefined) return this.#hearStatus(message)
    this.#arrived.push(delivered)
    this.#at = delivered.seq
    if (this.#at >= this.#last || this.#arrived.length >= (this.#asking?.wanted ?? Infinity)) this.#asking?.resolve()
  }

  #hearStatus(message: Driven): void {
    const number = Number(message.subject.slice(this.#inbox.length + 1))
    if (number !== this.#asking?.number) return // of a request that has its answer
    const code = message.headers?.code ?? 0
    // What does not fit into the bytes comes with the next request.
    if (code === NO_MESSAGES || code === TIMED_OUT || code === TOO_LARGE) return this.#asking.resolve()
    this.#asking.reject(new NatsLost(`NATS does not read on: ${message.headers?.status ?? 'no reason'}.`))
  }
}
