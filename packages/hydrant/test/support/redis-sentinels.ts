// A Redis master with a replica, and three sentinels that watch over them.

import { untilLinked, untilSo } from './redis-cluster.ts'
import { RedisServer } from './redis-server.ts'

/** What the sentinels know the master by. */
const NAME = 'mymaster'

/** See the head of the file. */
export class RedisSentinels implements AsyncDisposable {
  readonly master: RedisServer
  readonly replica: RedisServer
  readonly sentinels: readonly RedisServer[]

  private constructor(master: RedisServer, replica: RedisServer, sentinels: readonly RedisServer[]) {
    this.master = master
    this.replica = replica
    this.sentinels = sentinels
  }

  /** Starts all; resolves when they know each other. */
  static async start(): Promise<RedisSentinels> {
    const master = await RedisServer.start()
    const replica = await RedisServer.start({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
    await untilLinked(replica)
    const config = [
      `sentinel monitor ${NAME} 127.0.0.1 ${master.port} 2`,
      `sentinel down-after-milliseconds ${NAME} 1000`,
      `sentinel failover-timeout ${NAME} 5000`,
    ]
    const start = async (): Promise<RedisServer> => RedisServer.start({ config, args: ['--sentinel'] })
    const sentinels = await Promise.all([start(), start(), start()])
    for (const sentinel of sentinels) {
      await untilSo(async () => {
        const [replicas, others] = await sentinel.ask(['SENTINEL', 'REPLICAS', NAME], ['SENTINEL', 'SENTINELS', NAME])
        return lengthOf(replicas) === 1 && lengthOf(others) === 2
      })
    }
    return new RedisSentinels(master, replica, sentinels)
  }

  /** Their address, with settings of the log. */
  url(search = ''): string {
    return `redis+sentinel://${this.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${NAME}${search}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.sentinels, this.master, this.replica]
    await Promise.all(all.map(async (server) => server[Symbol.asyncDispose]()))
  }
}

function lengthOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0
}
