// The servers that are measured: how each is started, and where it takes and gives events. A row is a line.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from './build.ts'
import { axumCommand } from './peers/axum.ts'
import { nchanCommand } from './peers/nchan.ts'
import type { Tool } from './tools.ts'

/** What subscribers speak. */
export type Protocol = 'sse' | 'ws'

/** Options of the load generator. */
export type GeneratorOptions = Readonly<Record<string, string | number>>

/** One server of the table. Paths end with the topic that the benchmark uses, `bench`. */
export interface Server {
  readonly name: string
  readonly about: string
  /** The command line that makes it listen on this port of 127.0.0.1. Throws when something is missing for that. */
  command(port: number): [string, ...string[]]
  /** Where subscribers of each protocol connect; one that is missing is not measured. */
  readonly subscribePath: { readonly [P in Protocol]?: string }
  /** Where a POST publishes its body as one event. */
  readonly publishPath: string
  /** Where a POST publishes each of its lines, and the line that holds an event. Without it: a POST for each event. */
  readonly publishLines?: { readonly path: string; readonly line: string }
  /** A path that answers below 500 once the server is ready. Without it: ready is who accepts a connection. */
  readonly healthPath?: string
  /** The loads that it is measured under. Default: all. */
  readonly loads?: readonly string[]
  /** How many CPUs it may use: with 2, of two, it shares the second one with the load generator. Default 1. */
  readonly cpus?: 1 | 2
  /** What has to be installed for it, beyond what every row needs. */
  readonly tools?: readonly Tool[]
  /** What subscribers do that others need not. */
  readonly generator?: GeneratorOptions
  /** What those do, too, that will come back with an id. */
  readonly resuming?: { readonly [P in Protocol]?: GeneratorOptions }
}

type Row = Partial<Server> & Pick<Server, 'name' | 'about'>

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PACKAGE = `${ROOT}packages/hydrant/`
const COMPRESSED = { compressed: 1 }
/** Where compression says something, and where it costs memory for each client, if it does. */
const COMPRESSED_LOADS = ['prices', 'idle']

/** The row that all others are divided by; it is measured in every round. */
export const FLOOR: Server = {
  name: 'floor',
  about: 'C, one thread, one `send()` for each subscriber and turn of the event loop; no features at all',
  command: (port) => [build('floor'), String(port)],
  subscribePath: { sse: '/events/bench', ws: '/ws/bench' },
  publishPath: '/publish/bench',
}

/** What this repository makes. */
export const HYDRANT: Server = hydrant([], { name: 'hydrant', about: 'this project, memory engine, default settings' })

const HYDRANTS: readonly Server[] = [
  HYDRANT,
  hydrant(['--linger-ms', '5'], { name: 'hydrant-linger', about: 'the same with `--linger-ms 5`', loads: ['paced'] }),
  hydrant(['--workers', '2'], { name: 'hydrant-2', about: 'the same with `--workers 2` on both CPUs', cpus: 2 }),
  hydrant(['--compression', 'on'], {
    name: 'hydrant-compressed',
    about: 'the same with `--compression on`, for clients that ask for it',
    ...compressed(),
  }),
  hydrant(['--workers', '2', '--compression', 'on'], {
    name: 'hydrant-2-compressed',
    about: 'both of these',
    cpus: 2,
    ...compressed(),
  }),
]

const PEERS: readonly Server[] = [
  axum(1, {
    name: 'axum',
    about: 'the textbook server in Rust: tokio broadcast (1,024 events), `Sse`, `KeepAlive`; one worker thread',
  }),
  axum(2, { name: 'axum-2', about: 'the same with two worker threads on both CPUs', cpus: 2 }),
  node('node-http', {
    about: '`for (const response of responses) response.write(…)` on node:http',
    sse: '/events/bench',
  }),
  node('ws-loop', { about: '`for (const client of clients) client.send(…)` on ws, without compression', ws: '/bench' }),
  node('better-sse', { about: 'better-sse 0.16, a channel for each topic', sse: '/events/bench' }),
  node('socket-io', {
    about: 'Socket.IO 4.8 over WebSocket alone, default settings, a room for each topic',
    ws: '/socket.io/?EIO=4&transport=websocket&topic=bench',
    generator: { hello: '40', ping: '2', pong: '3' },
  }),
  {
    name: 'nchan',
    about: "Debian's Nchan, a module of nginx; one worker process, 1,000 messages kept for each topic",
    command: nchanCommand,
    subscribePath: { sse: '/events/bench', ws: '/events/bench' },
    publishPath: '/publish/bench',
    tools: ['nchan'],
    resuming: { ws: { subprotocol: 'ws+meta.nchan', 'id-begin': 'id: ' } },
  },
]

/** The floor once more, last in each round: how far it is from 1.00 is how far any other row may be off. */
const CONTROL: Server = { ...FLOOR, name: 'floor-again', about: 'control: the floor once more, last in each round' }

/** All of them; the floor comes first, so that in every round its figures are there before those they divide. */
export const SERVERS: readonly Server[] = [FLOOR, ...HYDRANTS, ...PEERS, CONTROL]

/** Is there anything to start? A checkout whose command is not made yet can still measure the others. */
export function isThere(server: Server): boolean {
  return (
    !HYDRANTS.includes(server) || existsSync(`${PACKAGE}src/cli/main.ts`) || existsSync(`${PACKAGE}dist/cli/main.js`)
  )
}

function hydrant(flags: readonly string[], row: Row): Server {
  const command = (port: number): [string, ...string[]] => {
    return [process.execPath, `${PACKAGE}bin/hydrant.js`, '--port', String(port), '--engine', 'memory', ...flags]
  }
  return {
    command,
    subscribePath: { sse: '/events/bench', ws: '/events/bench' },
    publishPath: '/events/bench',
    publishLines: { path: '/events', line: '{"topic":"bench","data":"$EVENT"}' },
    resuming: { ws: { subprotocol: 'hydrant.v1', 'resume-key': 'lastEventId' } },
    ...row,
  }
}

function compressed(): Pick<Server, 'loads' | 'generator'> {
  return { loads: COMPRESSED_LOADS, generator: COMPRESSED }
}

function axum(workers: number, row: Row): Server {
  return {
    command: (port) => axumCommand(port, workers),
    subscribePath: { sse: '/events/bench', ws: '/ws/bench' },
    publishPath: '/publish/bench',
    tools: ['cargo'],
    ...row,
  }
}

function node(name: string, row: Omit<Row, 'name'> & { readonly [P in Protocol]?: string }): Server {
  const { sse, ws, ...rest } = row
  return {
    name,
    command: (port) => [process.execPath, `${ROOT}bench/peers/${name}.ts`, String(port)],
    subscribePath: { ...(sse !== undefined && { sse }), ...(ws !== undefined && { ws }) },
    publishPath: '/publish/bench',
    ...rest,
  }
}
