// Ports of this machine: one that nobody has, and whether somebody listens on one.

import { createServer } from 'node:http'
import { connect } from 'node:net'
import { closeServer, listen, portOf } from './test-server.ts'

/** A port that was free a moment ago, for a program that has to be told its own. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await listen(server)
  const port = portOf(server)
  await closeServer(server)
  return port
}

/** Whether a connection to a port is taken. */
export function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const answer = (can: boolean): void => {
      socket.destroy()
      resolve(can)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}
