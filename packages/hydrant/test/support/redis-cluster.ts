// A Redis Cluster of three masters and a replica of each, to lose one.

import { RedisServer } from './redis-server.ts'

const SLOTS = 16_384
const MASTERS = 3
const WAIT_MS = 30_000

/** See the head of the file. */
export class RedisCluster implements AsyncDisposable {
  /** The masters of the beginning first. */
  readonly servers: readonly RedisServer[]

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers
  }

  /** Starts one; resolves when every server takes it for whole. */
  static async start(): Promise<RedisCluster> {
    const args = [
      '--cluster-enabled',
      'yes',
      '--cluster-node-timeout',
      '1000',
      '--cluster-replica-validity-factor',
      '0',
    ]
    const servers = await Promise.all(Array.from({ length: 2 * MASTERS }, async () => RedisServer.start({ args })))
    const cluster = new RedisCluster(servers)
    const [first] = servers
    for (const [at, server] of servers.entries()) {
      if (at < MASTERS)
        await server.ask(['CLUSTER', 'ADDSLOTSRANGE', ...rangeOf(at)], ['CLUSTER', 'SET-CONFIG-EPOCH', String(at + 1)])
      if (first !== undefined) await server.ask(['CLUSTER', 'MEET', '127.0.0.1', String(first.port)])
    }
    await cluster.#until(
      async (server) => (await textOf(server, ['CLUSTER', 'NODES'])).trim().split('\n').length === 2 * MASTERS,
    )
    for (const [at, server] of servers.slice(MASTERS).entries()) {
      const master = servers[at]
      if (master !== undefined) await server.ask(['CLUSTER', 'REPLICATE', await textOf(master, ['CLUSTER', 'MYID'])])
    }
    await cluster.#until(async (server) => (await textOf(server, ['CLUSTER', 'INFO'])).includes('cluster_state:ok'))
    for (const server of servers.slice(MASTERS)) await untilLinked(server)
    return cluster
  }

  /** Its address, with settings of the log. */
  url(search = ''): string {
    return `redis+cluster://${this.servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}${search}`
  }

  /** The master that has a key now. */
  async masterOf(key: string): Promise<RedisServer> {
    for (const server of this.servers) {
      const answers = await server.ask(['GET', key]).catch(() => undefined) // another one has it, or it is gone
      const role = answers === undefined ? [] : await server.ask(['ROLE'])
      if (String(role[0]).startsWith('master')) return server
    }
    throw new Error(`nobody has ${key}`)
  }

  async #until(isSo: (server: RedisServer) => Promise<boolean>): Promise<void> {
    for (const server of this.servers) await untilSo(async () => isSo(server))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map(async (server) => server[Symbol.asyncDispose]()))
  }
}

/** Waits until a replica has all that its master has. */
export async function untilLinked(replica: RedisServer): Promise<void> {
  await untilSo(async () => (await textOf(replica, ['INFO', 'replication'])).includes('master_link_status:up'))
}

/** Waits for something that has to be asked for. */
export async function untilSo(isSo: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + WAIT_MS
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`it was not so for ${WAIT_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function textOf(server: RedisServer, command: readonly string[]): Promise<string> {
  return String((await server.ask(command))[0])
}

function rangeOf(at: number): readonly [string, string] {
  const each = Math.ceil(SLOTS / MASTERS)
  return [String(at * each), String(Math.min(SLOTS, (at + 1) * each) - 1)]
}
