// The brokers: how each is started, what their client library reaches by itself, and the engine that speaks to them.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { createClient } from '@redis/client'
import type { Engine } from '../../packages/hydrant/src/engine/engine.ts'
import { NatsEngine } from '../../packages/hydrant/src/engine/nats.ts'
import { natsOptionsOf } from '../../packages/hydrant/src/engine/nats-options.ts'
import { RedisEngine } from '../../packages/hydrant/src/engine/redis.ts'
import type { Server } from '../servers.ts'

/** The client library alone, with its default settings. */
export interface BareClient {
  /** To the broker and back: PING; of NATS a publish and its acknowledgement. */
  roundTrip(): Promise<void>
  /** One event stored: XADD, or a publish to JetStream. */
  append(data: string): Promise<void>
  /** Connections that the broker has, without this one; undefined where it is not asked. */
  connections(): Promise<number | undefined>
  close(): Promise<void>
}

/** One broker of the table. */
export interface Broker {
  readonly name: string
  readonly kind: 'redis' | 'nats'
  /** What it is started with, to say so in the report. */
  readonly about: string
  /** A server that keeps its files in this folder. */
  serverIn(folder: string): Server
  /** The address that a node is given. */
  urlAt(port: number): string
  bareAt(port: number): Promise<BareClient>
  /** An engine with a log of its own in the same broker. */
  engineAt(port: number): Engine
}

const CURRENT_NATS = fileURLToPath(new URL('../../.cache/nats/nats-server', import.meta.url))
const CONNECT_TRIES_MS = [0, 100, 200, 400, 800]

/** All that are installed. */
export function brokers(): readonly Broker[] {
  return [
    ...(isThere('redis-server') ? [redis('redis', 'no'), redis('redis-aof', 'yes')] : []),
    ...(isThere('nats-server') ? [nats('nats', 'nats-server')] : []),
    ...(existsSync(CURRENT_NATS) ? [nats('nats-current', CURRENT_NATS)] : []),
  ]
}

function redis(name: string, appendOnly: 'yes' | 'no'): Broker {
  const args = ['--save', '', '--appendonly', appendOnly]
  return {
    name,
    kind: 'redis',
    about: `${versionOf('redis-server')}, \`--save '' --appendonly ${appendOnly}\``,
    serverIn: (folder) =>
      serverOf(name, (port) => [
        'redis-server',
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--dir',
        folder,
        ...args,
      ]),
    urlAt: redisAt,
    bareAt: bareRedis,
    engineAt: (port) => new RedisEngine({ url: `${redisAt(port)}?prefix=alone` }),
  }
}

function nats(name: string, command: string): Broker {
  return {
    name,
    kind: 'nats',
    about: `${versionOf(command)}, \`-js\``,
    serverIn: (folder) =>
      serverOf(name, (port) => [command, '-js', '-a', '127.0.0.1', '-p', String(port), '-sd', folder]),
    urlAt: natsAt,
    bareAt: bareNats,
    engineAt: (port) => new NatsEngine(natsOptionsOf(`${natsAt(port)}?hub=alone`)),
  }
}

function redisAt(port: number): string {
  return `redis://127.0.0.1:${port}`
}

function natsAt(port: number): string {
  return `nats://127.0.0.1:${port}`
}

async function bareRedis(port: number): Promise<BareClient> {
  const client = createClient({ url: redisAt(port) })
  client.on('error', () => {}) // the commands tell
  await client.connect()
  return {
    roundTrip: async () => void (await client.ping()),
    append: async (data) => void (await client.xAdd('alone', '*', { data })),
    connections: async () => (await client.clientList()).length - 1,
    close: async () => client.destroy(),
  }
}

/** JetStream is ready a moment after its server listens. */
async function bareNats(port: number): Promise<BareClient> {
  const connection = await connect({ servers: `127.0.0.1:${port}` })
  for (const [at, waitMs] of CONNECT_TRIES_MS.entries()) {
    await new Promise((resolve) => setTimeout(resolve, waitMs))
    try {
      const manager = await jetstreamManager(connection)
      await manager.streams.add({ name: 'ALONE', subjects: ['alone'] })
      break
    } catch (error) {
      if (at === CONNECT_TRIES_MS.length - 1) throw error
    }
  }
  const stream = jetstream(connection)
  return {
    roundTrip: async () => void (await stream.publish('alone', 'ping')),
    append: async (data) => void (await stream.publish('alone', data)),
    connections: async () => undefined,
    close: async () => connection.close(),
  }
}

function serverOf(name: string, command: Server['command']): Server {
  return { name, about: '', command, subscribePath: {}, publishPath: '' }
}

function isThere(command: string): boolean {
  return spawnSync(command, ['--version']).status === 0
}

function versionOf(command: string): string {
  const said = spawnSync(command, ['--version']).stdout.toString()
  return `${command.includes('nats') ? 'nats-server' : 'redis-server'} ${/\d+\.\d+\.\d+/.exec(said)?.[0] ?? ''}`
}
