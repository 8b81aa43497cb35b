// Two nodes on one broker: hydrant with its engine, and Socket.IO with its Redis streams adapter.

import { fileURLToPath } from 'node:url'
import { type RunningServer, startServer } from '../running-server.ts'
import { HYDRANT, type Server } from '../servers.ts'
import type { Protocol } from '../servers.ts'
import type { Broker } from './broker.ts'

/** What makes nodes. */
export interface Kind {
  readonly name: string
  /** A node on this address. */
  nodeOf(url: string): Server
  /** Where a topic is followed; one that is missing is not measured. */
  readonly paths: { readonly [P in Protocol]?: (topic: string) => string }
  /** What a WebSocket says first. */
  readonly hello?: string
  /** Where a topic is published to. */
  publishPath(topic: string): string
  /** Whether it takes an NDJSON stream at `/events`. */
  readonly takesLines: boolean
  /** The brokers that it can be on. */
  isFor(broker: Broker): boolean
}

const PEER = fileURLToPath(new URL('../peers/socket-io-redis.ts', import.meta.url))

/** What this repository makes. */
export const HYDRANT_NODES: Kind = {
  name: 'hydrant',
  nodeOf: (url) => ({ ...HYDRANT, command: commandWith(url), healthPath: '/readyz' }),
  paths: { sse: (topic) => `/events/${topic}`, ws: (topic) => `/events/${topic}` },
  publishPath: (topic) => `/events/${topic}`,
  takesLines: true,
  isFor: () => true,
}

/** The peer. On Redis without a file: the adapter does not wait for its answers, so that a file changes nothing. */
export const SOCKET_IO_NODES: Kind = {
  name: 'Socket.IO',
  nodeOf: (url) => ({
    name: 'socket-io-redis',
    about: '',
    command: (port) => [process.execPath, PEER, String(port), url],
    subscribePath: {},
    publishPath: '',
  }),
  paths: { ws: (topic) => `/socket.io/?EIO=4&transport=websocket&topic=${topic}` },
  hello: '40',
  publishPath: (topic) => `/publish/${topic}`,
  takesLines: false,
  isFor: ({ name }) => name === 'redis',
}

/** Starts so many nodes. */
export async function startNodes(kind: Kind, url: string, count: number): Promise<readonly RunningServer[]> {
  const started = await Promise.allSettled(Array.from({ length: count }, async () => startServer(kind.nodeOf(url), [])))
  const nodes = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const failed = started.find((one) => one.status === 'rejected')
  if (failed === undefined) return nodes
  await stopNodes(nodes)
  throw failed.reason
}

/** Stops them. */
export async function stopNodes(nodes: readonly RunningServer[]): Promise<void> {
  await Promise.all(nodes.map(async (node) => node.stop()))
}

function commandWith(engine: string): Server['command'] {
  return (port) => {
    const [file, ...args] = HYDRANT.command(port)
    return [file, ...args.with(args.indexOf('--engine') + 1, engine)]
  }
}
