// A hub on a real port whose sockets can be cut, and what reached it can be seen.

import type { Socket } from 'node:net'
import type { HubOptions } from '../../../hydrant/src/index.ts'
import { startServer, type TestServer } from '../../../hydrant/test/support/test-server.ts'

/** A server, and its sockets. */
export class CuttableServer implements AsyncDisposable {
  readonly #server: TestServer
  readonly #sockets = new Set<Socket>()

  constructor(server: TestServer) {
    this.#server = server
    server.server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  get hub(): TestServer['hub'] {
    return this.#server.hub
  }

  get server(): TestServer['server'] {
    return this.#server.server
  }

  /** Where the events are. */
  get url(): string {
    return `${this.#server.url}/events`
  }

  /** Open sockets. */
  get sockets(): ReadonlySet<Socket> {
    return this.#sockets
  }

  /** Destroys every socket, as a network does that goes away: without a word. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
  }
}

/** Starts a hub that asks its clients to come back within milliseconds. */
export async function startCuttable(options: HubOptions = {}): Promise<CuttableServer> {
  return new CuttableServer(await startServer({ ...options, limits: { retryMs: 2, ...options.limits } }))
}
