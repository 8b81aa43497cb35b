// The Redis engine keeps the contract of engines, on a real server.

import { after } from 'node:test'
import { engineContract, type EngineTestOptions } from '../../src/engine/contract.ts'
import { RedisEngine } from '../../src/engine/redis.ts'
import { RedisServer } from '../support/redis-server.ts'

const server = await RedisServer.start()
let logs = 0

after(async () => server[Symbol.asyncDispose]())

engineContract('the Redis engine', {
  capabilities: { durable: true, shared: true, exactGaps: true, topicRetention: false, atomicBatch: true },
  make: (options) => {
    logs += 1
    return open(options)
  },
  join: open,
})

function open({ limits, nowMs }: EngineTestOptions): RedisEngine {
  const retention = limits.windowBytes === undefined ? {} : { logBytesMax: limits.windowBytes }
  return new RedisEngine({ url: server.url(`?prefix=log${logs}`), limits, nowMs, retention })
}
