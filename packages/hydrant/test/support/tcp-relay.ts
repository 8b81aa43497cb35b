// A wire between clients and a server that a test can cut.

import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A running relay. */
export interface TcpRelay {
  /** Where clients connect, on 127.0.0.1. */
  readonly port: number
  /** On the connections of now, what the server says goes into the void from here on; what clients say arrives. */
  mute(): void
  /** Cuts every connection, in both directions and without a farewell; new ones are taken. */
  cut(): void
  close(): Promise<void>
}

/** Starts a relay to a server, on a free port or on the one it is given. */
export async function startTcpRelay(
  target: { readonly host: string; readonly port: number },
  port = 0,
): Promise<TcpRelay> {
  const sockets = new Set<Socket>()
  const upstreams = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(target)
    upstreams.add(upstream)
    upstream.on('close', () => upstreams.delete(upstream))
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream).pipe(client)
  })
  await once(server.listen(port, '127.0.0.1'), 'listening')
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    mute: () => {
      for (const upstream of upstreams) upstream.unpipe().resume()
    },
    cut,
    close: async () => {
      cut()
      await new Promise((resolve) => void server.close(resolve))
    },
  }
}
