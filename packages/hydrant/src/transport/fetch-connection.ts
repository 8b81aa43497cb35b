// A stream as the body of a fetch `Response`: for Hono, Bun, Deno and every framework that speaks Request and Response.

import type { EndReason, Transport } from '../hub/counters.ts'
import { Connection, type ConnectionOwner } from './connection.ts'

/** Bytes that a body holds before its reader counts as slow: as much as a socket of Node holds. */
const HIGH_WATER_BYTES = 65_536

/** A connection whose socket is a ReadableStream. */
export class FetchConnection extends Connection {
  readonly transport: Transport
  /** For the Response. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined

  constructor(transport: Transport, owner: ConnectionOwner) {
    super(owner)
    this.transport = transport
    this.body = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () => this.drained(),
        cancel: () => this.#over(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER_BYTES }),
    )
  }

  get heldBytes(): number {
    return HIGH_WATER_BYTES - (this.#controller?.desiredSize ?? HIGH_WATER_BYTES)
  }

  send(bytes: Uint8Array): boolean {
    const controller = this.#controller
    if (controller === undefined) return true
    // A copy: whoever reads the body may detach or overwrite what it is given, and these bytes belong to everybody.
    controller.enqueue(Uint8Array.from(bytes))
    return (controller.desiredSize ?? 0) > 0
  }

  end(_reason: EndReason | undefined): void {
    this.#controller?.close()
    this.#over()
  }

  destroy(): void {
    this.#controller?.error(new Error('the stream was ended by the server'))
    this.#over()
  }

  #over(): void {
    this.#controller = undefined
    this.closed()
  }
}
