// The engine of a worker keeps the contract of engines also where the log lives elsewhere, the tail carries only what is
// followed, and servers of one worker each share it.

import assert from 'node:assert/strict'
import { after } from 'node:test'
import { engineContract, type EngineTestOptions } from '../../src/engine/contract.ts'
import { RedisEngine } from '../../src/engine/redis.ts'
import { RedisServer } from '../support/redis-server.ts'
import { WorkerEngines } from '../support/worker-engines.ts'

const server = await RedisServer.start()
let logs = 0
let engines: WorkerEngines | undefined

after(async () => server[Symbol.asyncDispose]())

const capabilities = { durable: true, shared: true, exactGaps: true, topicRetention: false, atomicBatch: true }

engineContract('a worker’s engine over the Redis engine, joined by a worker of another server,', {
  capabilities,
  make: async (options) => {
    logs += 1
    return new WorkerEngines(open(options)).join(options.limits)
  },
  join: async (options) => new WorkerEngines(open(options)).join(options.limits),
})

engineContract('a worker’s engine over the Redis engine, joined by another worker,', {
  capabilities,
  make: async (options) => {
    logs += 1
    engines = new WorkerEngines(open(options))
    return engines.join(options.limits)
  },
  join: async (options) => {
    assert.ok(engines !== undefined)
    return engines.join(options.limits)
  },
})

function open({ limits, nowMs }: EngineTestOptions): RedisEngine {
  const retention = limits.windowBytes === undefined ? {} : { logBytesMax: limits.windowBytes }
  return new RedisEngine({ url: server.url(`?prefix=log${logs}`), limits, nowMs, retention })
}
