// A TCP proxy that cuts or freezes connections after so many bytes of the server's: at any byte of any message.

import { connect, createServer, type Server, type Socket } from 'node:net'
import { portOf } from '../../../hydrant/test/support/test-server.ts'

/** What happens to one connection: after so many bytes from the server it is cut, or says nothing any more. */
export interface Fate {
  readonly bytes: number
  readonly end: 'cut' | 'freeze'
}

/** A proxy in front of a port of this machine. */
export class CuttingProxy implements AsyncDisposable {
  /** How many connections came. */
  connections = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #fates: Fate[]

  private constructor(target: number, fates: readonly Fate[]) {
    this.#fates = [...fates]
    this.#server = createServer((client) => this.#serve(client, target))
  }

  /** Starts one. Each connection meets the next fate; those after the last are left alone. */
  static async start(target: number, fates: readonly Fate[]): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target, fates)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return portOf(this.#server)
  }

  /** Where the events are. */
  get url(): string {
    return `http://127.0.0.1:${this.port}/events`
  }

  /** Fates that nobody has met yet. */
  get fatesLeft(): number {
    return this.#fates.length
  }

  #serve(client: Socket, target: number): void {
    this.connections += 1
    const fate = this.#fates.shift()
    const server = connect(target, '127.0.0.1')
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => {}) // its close says it all
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (bytes: Buffer) => server.write(bytes))
    let left = fate?.bytes ?? Number.POSITIVE_INFINITY
    server.on('data', (bytes: Buffer) => {
      const passed = bytes.subarray(0, Math.max(0, left))
      left -= bytes.length
      if (left >= 0) client.write(passed)
      else if (fate?.end === 'freeze') client.write(passed)
      else client.end(passed, () => client.destroy())
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
