// Publishing over the WebSocket of a stream: numbered, acknowledged, and sent again over the next connection when the
// acknowledgement did not come, under the same idempotency key.

import { backoffMs, type Backoff } from './backoff.ts'
import type { Clock } from './clock.ts'
import { StreamError } from './error.ts'
import {
  isRetryable,
  newKey,
  PUBLISH_MS_MAX,
  PUBLISH_TRIES_MAX,
  requestOf,
  type Publisher,
  type PublishEvent,
} from './publisher.ts'
import { formatBinary, type Problem } from './wire/index.ts'

/** Publishes that wait for their acknowledgement, or for a connection. */
const PENDING_MAX = 1_000
/** Sent and not acknowledged: as many as the server works on at once. */
const UNDER_WAY_MAX = 32
/** Sent in any one window of a second: half of what a server takes by default, so that two windows in a row pass. */
const PER_WINDOW_MAX = 100
const WINDOW_MS = 1_000

/** A message of the protocol: text, or a binary frame. */
export type Frame = string | Uint8Array<ArrayBuffer>

interface Pending {
  readonly frame: Frame
  readonly promise: PromiseWithResolvers<string>
  readonly cancelDeadline: () => void
  tries: number
  isSent: boolean
}

/** What the publisher is made of. */
export interface WebSocketPublisherParts {
  readonly clock: Clock
  readonly random: () => number
  readonly backoff: Backoff
}

/** See the head of the file. Events go out, and again, in the order of the calls. */
export class WebSocketPublisher implements Publisher {
  readonly #parts: WebSocketPublisherParts
  readonly #pending = new Map<number, Pending>()
  #send: ((frame: Frame) => void) | undefined
  #lastAck = 0
  #underWay = 0
  #windowStartMs = 0
  #sentInWindow = 0
  #endPause: (() => void) | undefined
  #isClosed = false

  constructor(parts: WebSocketPublisherParts) {
    this.#parts = parts
  }

  async publish(event: PublishEvent): Promise<string> {
    if (this.#isClosed) throw new StreamError('closed', 'The stream is closed.')
    if (this.#pending.size >= PENDING_MAX)
      throw new StreamError('overloaded', `${PENDING_MAX} publishes wait for their acknowledgement.`)
    const ack = (this.#lastAck = (this.#lastAck + 1) % 2 ** 31)
    const frame = frameOf(event, ack)
    const cancelDeadline = this.#parts.clock.after(PUBLISH_MS_MAX, () => this.#giveUp(ack))
    const promise = Promise.withResolvers<string>()
    this.#pending.set(ack, { frame, promise, cancelDeadline, tries: 0, isSent: false })
    this.#flush()
    return promise.promise
  }

  close(): void {
    this.#isClosed = true
    this.#send = undefined
    this.#endPause?.()
    for (const ack of this.#pending.keys())
      this.#fail(ack, new StreamError('closed', 'The stream was closed before the acknowledgement came.'))
  }

  /** A connection is open: what waits goes out over it. */
  connected(send: (frame: Frame) => void): void {
    this.#send = send
    this.#flush()
  }

  /** It is gone, and with it the acknowledgements under way. */
  disconnected(): void {
    this.#send = undefined
    this.#underWay = 0
    for (const [ack, pending] of this.#pending) {
      pending.isSent = false
      if (pending.tries === PUBLISH_TRIES_MAX) this.#giveUp(ack)
    }
  }

  /** The log has stored the event. */
  acknowledged(ack: number, id: string): void {
    this.#settle(ack)?.resolve(id)
    this.#flush()
  }

  /** The server did not take it. */
  refused(ack: number, problem: Problem): void {
    const pending = this.#pending.get(ack)
    if (pending?.isSent !== true) return
    if (isRetryable(problem.status) && pending.tries < PUBLISH_TRIES_MAX) {
      const { backoff, random } = this.#parts
      this.#underWay -= 1
      pending.isSent = false
      this.#pause(backoffMs(pending.tries, backoff, random()))
    } else this.#fail(ack, new StreamError(problem.code, problem.detail, problem))
    this.#flush()
  }

  #flush(): void {
    for (const pending of this.#pending.values()) {
      if (this.#send === undefined || this.#endPause !== undefined || this.#underWay >= UNDER_WAY_MAX) return
      if (pending.isSent) continue
      pending.isSent = true
      pending.tries += 1
      this.#underWay += 1
      this.#send(pending.frame)
      this.#pace()
    }
  }

  /** A server ends connections that send too much at once. */
  #pace(): void {
    const elapsedMs = this.#parts.clock.nowMs() - this.#windowStartMs
    if (elapsedMs < 0 || elapsedMs >= WINDOW_MS) {
      this.#windowStartMs += elapsedMs
      this.#sentInWindow = 0
    }
    this.#sentInWindow += 1
    if (this.#sentInWindow === PER_WINDOW_MAX) this.#pause(WINDOW_MS)
  }

  #pause(delayMs: number): void {
    this.#endPause?.()
    const cancel = this.#parts.clock.after(delayMs, () => {
      this.#endPause = undefined
      this.#flush()
    })
    this.#endPause = cancel
  }

  #giveUp(ack: number): void {
    this.#fail(ack, new StreamError('unreachable', 'No acknowledgement came.'))
  }

  #fail(ack: number, error: StreamError): void {
    this.#settle(ack)?.reject(error)
  }

  #settle(ack: number): PromiseWithResolvers<string> | undefined {
    const pending = this.#pending.get(ack)
    if (pending === undefined) return undefined
    this.#pending.delete(ack)
    pending.cancelDeadline()
    if (pending.isSent) this.#underWay -= 1
    return pending.promise
  }
}

function frameOf(event: PublishEvent, ack: number): Frame {
  const { request, bytes } = requestOf(event)
  const message = { publish: request, ack, idempotencyKey: newKey() }
  return bytes === undefined ? JSON.stringify(message) : formatBinary(message, bytes)
}
