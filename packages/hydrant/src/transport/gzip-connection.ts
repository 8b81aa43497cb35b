// A connection whose bytes are one gzip stream: compressed once for all where the client is in step, stored otherwise.
//
// It stands before the connection that has the socket, and is what the pump knows.

import { GzipStream, storedBlocks } from '../compression/gzip-stream.ts'
import type { EndReason, Transport } from '../hub/counters.ts'
import { Connection, type ConnectionOwner } from './connection.ts'
import type { Payload } from './payload.ts'
import { framed, type Coding, type Framing } from './sse.ts'

/** See the head of the file. */
export class GzipConnection extends Connection {
  readonly transport: Transport
  readonly #inner: Connection
  readonly #stream = new GzipStream()
  readonly #framing: Framing

  /** `open` makes the connection with the socket, whose bytes stand in `framing`. */
  constructor(open: (owner: ConnectionOwner) => Connection, framing: Framing, owner: ConnectionOwner) {
    super(owner)
    this.#inner = open(new Ears(this))
    this.transport = this.#inner.transport
    this.#framing = framing
  }

  get heldBytes(): number {
    return this.#inner.heldBytes
  }

  override get canShare(): boolean {
    return true
  }

  send(bytes: Uint8Array): boolean {
    return this.isClosed || this.#pass(framed(this.#stream.alone(bytes), this.#framing))
  }

  /** Whoever is not in step gets the same stored blocks: neither copied for each, nor pinned by each. */
  override deliver(payload: Payload): boolean {
    const { bytes, shared } = payload
    if (this.isClosed) return true
    if (shared !== undefined && this.#stream.takes(shared.place)) return this.#pass(shared.bytes)
    if (!this.#stream.isBegun) return this.send(bytes)
    this.#stream.tookStored(bytes)
    payload.stored ??= framed(storedBlocks(bytes), this.#framing)
    return this.#pass(payload.stored)
  }

  end(reason: EndReason | undefined): void {
    if (this.isClosed) return
    this.#pass(framed(this.#stream.end(), this.#framing))
    this.#inner.end(reason)
  }

  destroy(): void {
    this.#inner.destroy()
  }

  /** @internal */
  onDrained(): void {
    this.#inner.isStalled = false
    this.drained()
  }

  /** @internal */
  onClosed(): void {
    this.closed()
  }

  #pass(bytes: Uint8Array): boolean {
    const isTaken = this.#inner.send(bytes)
    if (!isTaken) this.#inner.isStalled = true
    return isTaken
  }
}

/** Hears of the inner connection: an object, for two closures would take more for each client. */
class Ears implements ConnectionOwner {
  readonly #outer: GzipConnection

  constructor(outer: GzipConnection) {
    this.#outer = outer
  }

  drained(): void {
    this.#outer.onDrained()
  }

  closed(): void {
    this.#outer.onClosed()
  }
}

/** The connection of a stream in a content coding; `open` makes the one that has the socket. */
export function connectionOf(
  coding: Coding,
  framing: Framing,
  open: (owner: ConnectionOwner) => Connection,
  owner: ConnectionOwner,
): Connection {
  return coding === 'gzip' ? new GzipConnection(open, framing, owner) : open(owner)
}
