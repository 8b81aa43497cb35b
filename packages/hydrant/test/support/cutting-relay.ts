// A wire between clients and a server that breaks by itself: each connection after so many bytes from the server.

import { connect, createServer, type Server, type Socket } from 'node:net'
import { closeServerOf, listen, portOf } from './test-server.ts'

/** See the head of the file. */
export class CuttingRelay implements AsyncDisposable {
  /** How many connections were cut. */
  cuts = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(target: number, cutAfterBytes: readonly number[]) {
    let connections = 0
    this.#server = createServer((client) => {
      const bytes = cutAfterBytes[connections] ?? Number.POSITIVE_INFINITY
      connections += 1
      this.#relay(client, connect(target, '127.0.0.1'), bytes)
    })
  }

  /** The nth connection is cut after the nth number of bytes; those beyond the list are not. */
  static async start(target: number, cutAfterBytes: readonly number[]): Promise<CuttingRelay> {
    const relay = new CuttingRelay(target, cutAfterBytes)
    await listen(relay.#server)
    return relay
  }

  /** Where clients connect, on 127.0.0.1. */
  get port(): number {
    return portOf(this.#server)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await closeServerOf(this.#server)
  }

  #relay(client: Socket, upstream: Socket, cutAfterBytes: number): void {
    const hangUp = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket)
      socket.on('error', hangUp)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        hangUp()
      })
    }
    let left = cutAfterBytes
    client.pipe(upstream)
    upstream.on('data', (bytes: Buffer) => {
      client.write(bytes.subarray(0, left))
      left -= bytes.length
      if (left > 0) return
      this.cuts += 1
      upstream.destroy()
      client.end() // what was let through arrives, then the end
      client.resume()
    })
  }
}
