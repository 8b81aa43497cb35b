// A connection without a socket: the test says when it is full, when it drains, and where it is cut.

import type { EndReason, Transport } from '../../src/hub/counters.ts'
import { Connection, type ConnectionOwner } from '../../src/transport/connection.ts'
import type { Subscriber } from '../../src/transport/subscriber.ts'
import { textFrame } from '../../src/transport/websocket-format.ts'

/** What a fake connection is made of. */
export interface FakeConnectionOptions {
  readonly transport?: Transport
  /** Whether subscriptions are told apart, as on a WebSocket of the subprotocol. */
  readonly isLabelled?: boolean
  /** Called for each `send`, before the bytes are taken. */
  readonly onSend?: (bytes: Uint8Array) => void
  /** Called when bytes reach the client. */
  readonly onArrive?: (bytes: Uint8Array) => void
}

/** See the head of the file. */
export class FakeConnection extends Connection {
  readonly transport: Transport
  /** What was handed over, write by write. */
  readonly writes: Uint8Array[] = []
  /** Writes that came although an earlier one was still held: the port forbids them. */
  forbidden = 0
  /** Why the server ended it, once it did: `destroyed` when at once. */
  ended: EndReason | 'destroyed' | 'done' | undefined
  /** When set, the next write is held. */
  isFull = false
  /** Set while writes may come although the connection holds bytes: answers, and what belongs to them. */
  mayHold = false
  readonly #options: FakeConnectionOptions
  readonly #held: Uint8Array[] = []
  #speaker: Subscriber | undefined
  /** A label and what follows it are one. */
  #isLabelSent = false

  constructor(owner: ConnectionOwner, options: FakeConnectionOptions = {}) {
    super(owner)
    this.#options = options
    this.transport = options.transport ?? 'sse'
  }

  send(bytes: Uint8Array): boolean {
    if (this.isClosed) return true
    this.#options.onSend?.(bytes)
    this.writes.push(bytes)
    if (this.#held.length > 0 && !this.mayHold && !this.#isLabelSent) this.forbidden += 1
    this.#isLabelSent = false
    if (this.#held.length > 0 || this.isFull) {
      this.#held.push(bytes)
      return false
    }
    this.#options.onArrive?.(bytes)
    return true
  }

  override turnTo(subscriber: Subscriber): void {
    if (this.#options.isLabelled !== true || this.#speaker === subscriber) return
    this.#speaker = subscriber
    const label = textFrame(JSON.stringify({ sub: subscriber.label }))
    this.send(label)
    this.#isLabelSent = true
  }

  end(reason: EndReason | undefined): void {
    if (this.isClosed) return
    this.ended = reason ?? 'done'
    this.#arrive()
    this.closed()
  }

  destroy(): void {
    if (this.isClosed) return
    this.ended = 'destroyed'
    this.closed()
  }

  /** How many bytes it holds. */
  get heldBytes(): number {
    return this.#held.reduce((sum, bytes) => sum + bytes.length, 0)
  }

  /** The client reads again. */
  drain(): void {
    this.isFull = false
    this.#arrive()
    this.drained()
  }

  /** The network goes: of the bytes that are held, so much arrives; 0 is nothing, 1 is all. */
  cut(arriving: number): void {
    if (this.isClosed) return
    const held = Buffer.concat(this.#held)
    const arrived = held.subarray(0, Math.floor(held.length * arriving))
    if (arrived.length > 0) this.#options.onArrive?.(arrived)
    this.#held.length = 0
    this.closed()
  }

  #arrive(): void {
    const held = this.#held.splice(0)
    for (const bytes of held) this.#options.onArrive?.(bytes)
  }
}
