// The tail of a stream: an ordered consumer, which sends everything after a place as it is stored.
//
//   messages       counted by the consumer: a hole in its count is a loss on the way, and ends this tail
//   flow control   answered, so that the server sends no more than we take
//   heartbeats     when nothing comes: none for a while, and the tail is broken
//
// A tail ends when it breaks; the engine starts another after the last message that came.

import { deliveredMessage, HEARTBEAT_MS, type NatsLink } from './nats-link.ts'
import type { NatsMessage } from './nats-message.ts'

/** Whom the tail tells. */
export interface NatsTailSink {
  /** What arrived together, in the order of the stream. */
  take(messages: readonly NatsMessage[]): void
  /** It ended without being asked to. */
  broken(reason: string): void
}

/** So many heartbeats may be missed. */
const MISSED_MAX = 3
/** How long the server keeps a consumer whose connection is gone. */
const IDLE_MS = 5_000

type Driven = Parameters<Parameters<NatsLink['listen']>[1]>[0]

/** See the head of the file. */
export class NatsTail {
  readonly #link: NatsLink
  readonly #sink: NatsTailSink
  #arrived: NatsMessage[] = []
  #isFlushDue = false
  #consumer = ''
  #received = 0
  #heardMs = 0
  #stop: () => void = () => {}
  #watch: NodeJS.Timeout | undefined
  #isEnded = false

  constructor(link: NatsLink, sink: NatsTailSink) {
    this.#link = link
    this.#sink = sink
  }

  /** Starts right after a place, with what the filters match, or with everything. */
  async start(after: number, filters: readonly string[] | undefined): Promise<void> {
    const inbox = this.#link.inbox()
    this.#stop = this.#link.listen(inbox, (message) => this.#hear(message))
    this.#heardMs = performance.now()
    const consumer = await this.#link.makeConsumer({ start: { seq: after + 1 }, filters, inbox, idleMs: IDLE_MS })
    this.#consumer = consumer.name
    if (this.#isEnded) return this.#link.dropConsumer(consumer.name)
    this.#watch = setInterval(() => this.#check(), HEARTBEAT_MS).unref()
  }

  /** Nothing is taken any more from here on. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#arrived = []
    clearInterval(this.#watch)
    this.#stop()
    if (this.#consumer !== '') this.#link.dropConsumer(this.#consumer)
  }

  #hear(message: Driven): void {
    if (this.#isEnded) return
    this.#heardMs = performance.now()
    const delivered = deliveredMessage(message)
    if (delivered === undefined) return this.#hearStatus(message)
    this.#received += 1
    if (delivered.consumerSeq !== this.#received) {
      return this.#break(`Message ${this.#received} of the tail did not arrive.`)
    }
    this.#arrived.push(delivered)
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    setImmediate(() => this.#flush()) // what came in one packet is one range
  }

  #hearStatus(message: Driven): void {
    const code = message.headers?.code ?? 0
    if (code !== 100) return this.#break(`The consumer of the tail ended: ${message.headers?.status ?? 'no reason'}.`)
    if (message.reply !== undefined && message.reply !== '') return this.#link.say(message.reply, '') // flow control
    const stalled = message.headers?.get('Nats-Consumer-Stalled') ?? ''
    if (stalled !== '') this.#link.say(stalled, '')
    const sent = message.headers?.get('Nats-Last-Consumer') ?? ''
    if (sent !== '' && Number(sent) !== this.#received) {
      this.#break(`Of ${sent} messages of the tail ${this.#received} arrived.`)
    }
  }

  #flush(): void {
    this.#isFlushDue = false
    const arrived = this.#arrived
    this.#arrived = []
    if (arrived.length > 0) this.#sink.take(arrived)
  }

  #check(): void {
    const silentMs = performance.now() - this.#heardMs
    if (silentMs > MISSED_MAX * HEARTBEAT_MS) this.#break(`The tail has been silent for ${Math.round(silentMs)} ms.`)
  }

  #break(reason: string): void {
    if (this.#isEnded) return
    this.#flush() // what came before is whole
    this.end()
    this.#sink.broken(reason)
  }
}
