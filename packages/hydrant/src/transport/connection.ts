// A connection: the port behind which a socket, a response or a stream of fetch takes bytes.

import type { EndReason, Transport } from '../hub/counters.ts'
import type { Payload } from './payload.ts'
import type { Subscriber } from './subscriber.ts'

/** Who hears of a connection. */
export interface ConnectionOwner {
  /** It can take more, after a `send` that answered false. */
  drained(connection: Connection): void
  /** It is gone, for whatever reason; called once. */
  closed(connection: Connection): void
}

const NONE: readonly Subscriber[] = []

/**
 * One open SSE response, NDJSON response or WebSocket.
 *
 * An implementation MUST
 * - keep the order of what is sent, and never alter, join or delay the bytes;
 * - answer false when it holds bytes that the kernel did not take, and then call `drained` once it took them;
 * - call `closed` exactly once, also when it was ended or destroyed from this side, and never `drained` after it;
 * - not throw, whatever the state of its socket: sending on a dead connection answers true and does nothing.
 *
 * Locked by test/contract/connection.ts, which runs for each of them.
 */
export abstract class Connection {
  abstract readonly transport: Transport
  /** The cursors that it serves: one, but for a WebSocket with several subscriptions. Never changed in place. */
  subscribers: readonly Subscriber[] = NONE
  /** True from a `send` that answered false until `drained`. */
  isStalled = false
  /** What it holds meanwhile. */
  pinned: Payload | undefined
  /** When it stalled, by the monotonic clock. */
  stalledMs = 0
  protected readonly owner: ConnectionOwner
  #closed = false

  constructor(owner: ConnectionOwner) {
    this.owner = owner
  }

  /** Bytes handed over that the kernel has not taken. */
  abstract get heldBytes(): number
  /** Hands bytes over. False: it holds them, and should be given no more until `drained`. */
  abstract send(bytes: Uint8Array): boolean
  /** Ends in an orderly way: what was sent arrives, then the reason in the transport's own words where it has some. */
  abstract end(reason: EndReason | undefined): void
  /** Ends at once. */
  abstract destroy(): void

  /** Hands over what many get; in the form that is compressed for all, where this connection can read it. */
  deliver(payload: Payload): boolean {
    return this.send(payload.bytes)
  }

  /** Whether `deliver` may use a payload's shared form. */
  get canShare(): boolean {
    return false
  }

  /** Says whose events come next, on a connection with several subscriptions. */
  turnTo(_subscriber: Subscriber): void {}

  /** Whether it is gone. */
  get isClosed(): boolean {
    return this.#closed
  }

  /** For implementations: the socket can take more. */
  protected drained(): void {
    if (this.isStalled && !this.#closed) this.owner.drained(this)
  }

  /** For implementations: the socket is gone. */
  protected closed(): void {
    if (this.#closed) return
    this.#closed = true
    this.owner.closed(this)
  }
}
