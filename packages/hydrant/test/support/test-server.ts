// A hub on a real port, closed with the block that opened it: `await using server = await startServer()`.

import { createServer, type Server, type ServerOptions } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createHub, type HubOptions, type MountedHub } from '../../src/index.ts'
import { openFrontDoor } from '../../src/server/front-door.ts'
import { PATIENCE } from '../../src/server/patience.ts'
import { Sockets } from '../../src/server/sockets.ts'

/** Which door tests go through; doors.test.ts says `front` to some, so that what they prove holds for both. */
export type Door = 'ordinary' | 'front'

const DOOR: Door = process.env['HYDRANT_TEST_DOOR'] === 'front' ? 'front' : 'ordinary'

/** A running server. */
export class TestServer implements AsyncDisposable {
  readonly hub: MountedHub
  readonly server: Server
  readonly port: number
  readonly #sockets: Sockets | undefined

  /** `sockets`: those at the front door, if there is one. */
  constructor(hub: MountedHub, server: Server, sockets?: Sockets) {
    this.hub = hub
    this.server = server
    this.port = portOf(server)
    this.#sockets = sockets
  }

  /** `http://127.0.0.1:<port>`. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** `ws://127.0.0.1:<port>`. */
  get wsUrl(): string {
    return `ws://127.0.0.1:${this.port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hub.close()
    this.#sockets?.destroy()
    await closeServer(this.server)
  }
}

/** Starts a hub on a port of its own. */
export async function startServer(
  options: HubOptions = {},
  serverOptions: ServerOptions = {},
  door: Door = DOOR,
): Promise<TestServer> {
  const hub = createHub(options)
  const server = createServer(serverOptions, hub.handler)
  const sockets = door === 'front' ? new Sockets(PATIENCE) : undefined
  if (sockets !== undefined) openFrontDoor(server, { ...hub.doors, sockets })
  server.on('upgrade', hub.upgrade)
  await hub.ready
  await listen(server)
  return new TestServer(hub, server, sockets)
}

/** Servers of node:http, node:https, node:http2 and node:net. */
export interface Listening {
  listen(port: number, host: string, done: () => void): unknown
}

/** Listens on a free port of the loopback. */
export async function listen(server: Listening): Promise<void> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
}

/** The port a server listens on. */
export function portOf(server: { address(): string | AddressInfo | null }): number {
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the server does not listen on a port')
  return address.port
}

/** Closes a server that nobody is connected to any more. */
export function closeServerOf(server: { close(done: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()))
}

/** Closes a server and whatever is still connected. */
export async function closeServer(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeAllConnections()
  await closed
}
