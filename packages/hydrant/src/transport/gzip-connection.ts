// A connection whose bytes are one gzip stream: compressed once for all where the client is in step, stored otherwise.
//
// It stands before the connection that has the socket, and is what the pump knows.

import { GzipStream } from '../compression/gzip-stream.ts'
import type { EndReason, Transport } from '../hub/counters.ts'
import { Connection, type ConnectionOwner } from './connection.ts'
import type { Payload } from './payload.ts'
import { framed, type Coding, type Framing } from './sse.ts'

/** See the head of the file. */
export class GzipConnection extends Connection {
  readonly transport: Transport
  readonly #inner: Connection
  readonly #stream = new GzipStream()
  readonly #frame: (bytes: Uint8Array) => Uint8Array

  /** `open` makes the connection with the socket; `frame` puts what goes to it into the transport's framing. */
  constructor(
    open: (owner: ConnectionOwner) => Connection,
    frame: (bytes: Uint8Array) => Uint8Array,
    owner: ConnectionOwner,
  ) {
    super(owner)
    this.#inner = open({ drained: () => this.#onDrained(), closed: () => this.closed() })
    this.transport = this.#inner.transport
    this.#frame = frame
  }

  get heldBytes(): number {
    return this.#inner.heldBytes
  }

  override get canShare(): boolean {
    return true
  }

  send(bytes: Uint8Array): boolean {
    return this.isClosed || this.#pass(this.#frame(this.#stream.alone(bytes)))
  }

  override deliver({ bytes, shared }: Payload): boolean {
    if (shared !== undefined && this.#stream.takes(shared.flush)) return this.#pass(shared.bytes)
    return this.send(bytes)
  }

  end(reason: EndReason | undefined): void {
    if (this.isClosed) return
    this.#pass(this.#frame(this.#stream.end()))
    this.#inner.end(reason)
  }

  destroy(): void {
    this.#inner.destroy()
  }

  #pass(bytes: Uint8Array): boolean {
    const isTaken = this.#inner.send(bytes)
    if (!isTaken) this.#inner.isStalled = true
    return isTaken
  }

  #onDrained(): void {
    this.#inner.isStalled = false
    this.drained()
  }
}

/** The connection of a stream in a content coding; `open` makes the one that has the socket. */
export function connectionOf(
  coding: Coding,
  framing: Framing,
  open: (owner: ConnectionOwner) => Connection,
  owner: ConnectionOwner,
): Connection {
  return coding === 'gzip' ? new GzipConnection(open, (bytes) => framed(bytes, framing), owner) : open(owner)
}
