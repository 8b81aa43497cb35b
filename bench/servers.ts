// The servers that are measured: how each is started, and where it takes and gives events.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from './build.ts'

/** What subscribers speak. */
export type Protocol = 'sse' | 'ws'

/** One server of the table. Paths are those of the topic that the benchmark uses. */
export interface Server {
  readonly name: string
  readonly about: string
  /** The command line that makes it listen on this port of 127.0.0.1. */
  command(port: number): [string, ...string[]]
  /** Where subscribers of each protocol connect; one that is missing is not measured. */
  readonly subscribePath: { readonly [P in Protocol]?: string }
  /** Where a POST publishes its body as one event. */
  readonly publishPath: string
  /** Where a POST publishes each of its lines, and the line that holds an event. Without it: a POST for each event. */
  readonly publishLines?: { readonly path: string; readonly line: string }
  /** A path that answers below 500 once the server is ready. Without it: ready is who accepts a connection. */
  readonly healthPath?: string
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PACKAGE = `${ROOT}packages/hydrant/`

/** The row that all others are divided by; it is measured in every round. */
export const FLOOR: Server = {
  name: 'floor',
  about: 'C, one thread, one `send()` for each subscriber and turn of the event loop; no features at all',
  command: (port) => [build('floor'), String(port)],
  subscribePath: { sse: '/events', ws: '/ws' },
  publishPath: '/publish',
}

/** What this repository makes. */
export const HYDRANT: Server = {
  name: 'hydrant',
  about: 'this project, memory engine, default settings',
  command: (port) => [process.execPath, `${PACKAGE}bin/hydrant.js`, '--port', String(port), '--engine', 'memory'],
  subscribePath: { sse: '/events/bench', ws: '/events/bench' },
  publishPath: '/events/bench',
  publishLines: { path: '/events', line: '{"topic":"bench","data":"$EVENT"}' },
}

const PEERS: readonly Server[] = [
  {
    name: 'node-http',
    about: '`for (const response of responses) response.write(…)` on node:http',
    command: (port) => [process.execPath, `${ROOT}bench/peers/node-http.ts`, String(port)],
    subscribePath: { sse: '/events' },
    publishPath: '/publish',
  },
  {
    name: 'ws-loop',
    about: '`for (const client of clients) client.send(…)` on ws, without compression',
    command: (port) => [process.execPath, `${ROOT}bench/peers/ws-loop.ts`, String(port)],
    subscribePath: { ws: '/' },
    publishPath: '/publish',
  },
]

/** All of them; the floor comes first, so that in every round its figures are there before those they divide. */
export const SERVERS: readonly Server[] = [FLOOR, HYDRANT, ...PEERS]

/** Is there anything to start? A checkout whose command is not made yet can still measure the others. */
export function isThere(server: Server): boolean {
  return server !== HYDRANT || existsSync(`${PACKAGE}src/cli/main.ts`) || existsSync(`${PACKAGE}dist/cli/main.js`)
}
