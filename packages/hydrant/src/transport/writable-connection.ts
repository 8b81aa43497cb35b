// A stream on anything that Node can write to: an HTTP/2 stream, a response wrapped by a framework.

import type { Writable } from 'node:stream'
import type { EndReason, Transport } from '../hub/counters.ts'
import { Connection, type ConnectionOwner } from './connection.ts'

/** Bytes go through the Writable's own `write`; framing is its business. */
export class WritableConnection extends Connection {
  readonly transport: Transport
  readonly #writable: Writable

  constructor(writable: Writable, transport: Transport, owner: ConnectionOwner) {
    super(owner)
    this.#writable = writable
    this.transport = transport
    writable.on('drain', () => this.drained())
    writable.on('close', () => this.closed())
    writable.on('error', () => this.destroy())
    if (writable.destroyed) queueMicrotask(() => this.closed())
  }

  get heldBytes(): number {
    return this.#writable.writableLength
  }

  send(bytes: Uint8Array): boolean {
    const writable = this.#writable
    if (this.isClosed || writable.destroyed || writable.writableEnded) return true
    return writable.write(bytes) || writable.writableLength === 0
  }

  end(_reason: EndReason | undefined): void {
    if (!this.#writable.writableEnded) this.#writable.end()
    this.closed()
  }

  destroy(): void {
    this.#writable.destroy()
    this.closed()
  }
}
