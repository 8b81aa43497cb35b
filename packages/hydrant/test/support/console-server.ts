// A real server with the console in front of its hub, on a free port.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createConsole } from '../../src/console/console.ts'
import { createHub, type HubOptions, type MountedHub } from '../../src/create-hub.ts'

/** A running server. */
export interface ConsoleServer {
  /** With a slash at its end. */
  readonly url: string
  readonly hub: MountedHub
  /** Cuts every connection, as a network would; the server goes on. */
  cut(): void
  close(): Promise<void>
}

/** Starts it. What the console leaves goes to the hub. */
export async function startConsoleServer(options: HubOptions = {}): Promise<ConsoleServer> {
  const hub = createHub(options)
  const page = createConsole(hub, options.basePath)
  const server = createServer((request, response) => {
    if (!page.handle(request, response)) hub.handler(request, response)
  })
  server.on('upgrade', hub.upgrade)
  const sockets = new Set<{ destroy(): void }>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    hub,
    cut,
    close: async () => {
      page.close()
      await hub.close()
      cut()
      await new Promise((resolve) => void server.close(resolve))
    },
  }
}
