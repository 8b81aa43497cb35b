// The Redis that has the log fails under three nodes, and another one takes over. Streams stay open; what the new one had
// not got is declared to be gone, and everything else comes, once and in order.

import { test } from 'node:test'
import assert from 'node:assert/strict'
import { Cluster } from '../support/cluster.ts'
import { RedisCluster } from '../support/redis-cluster.ts'
import type { RedisServer } from '../support/redis-server.ts'
import { RedisSentinels } from '../support/redis-sentinels.ts'

const SEED = 41

test('three sentinels fail the master over to its replica: everybody goes on with it', async () => {
  await using sentinels = await RedisSentinels.start()
  await failOver(sentinels.url(), SEED, async () => sentinels.master)
})

test('a master of a Redis Cluster fails, and its replica takes over: everybody goes on with it', async () => {
  await using redis = await RedisCluster.start()
  await failOver(redis.url('?prefix=cluster'), SEED + 1, async () => redis.masterOf('{cluster}'))
})

async function failOver(engine: string, seed: number, master: () => Promise<RedisServer>): Promise<void> {
  await using cluster = await Cluster.start({ nodes: Cluster.three(engine), seed })
  await cluster.fleet.progress(200)
  const { losses } = cluster
  const failing = await master()
  await failing.kill()
  await cluster.untilDegraded()
  await cluster.untilWell()
  await cluster.fleet.progress(200)
  assert.deepEqual(cluster.losses, losses, 'a stream was cut')
  await cluster.finish()
  for (const node of cluster.nodes) Cluster.checkOutages(node, 1)
}
