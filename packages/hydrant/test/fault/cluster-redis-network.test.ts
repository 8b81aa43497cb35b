// What is between a node and Redis fails: one node is cut off by its network, another one's Redis gets far away, and then
// its connections are half open; later every fifth packet is lost. Their clients stay, and get what they missed; the
// third node notices nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster, untilSo } from '../support/cluster.ts'
import { NetworkNamespace } from '../support/network-namespace.ts'
import { RedisServer } from '../support/redis-server.ts'
import { Wire } from '../support/wire.ts'

const SEED = 21
const LOSS_PERCENT = 20
const DELAY_MS = 150

test('a node cut off from Redis, and one whose connections are dead: their clients stay, and miss nothing', async () => {
  using network = new NetworkNamespace()
  const args = ['--bind', '127.0.0.1', network.outside, '--protected-mode', 'no']
  await using redis = await RedisServer.start({ args })
  await using wire = await Wire.start(redis.port)
  const nodes = [
    { engine: `redis://${network.outside}:${redis.port}`, host: network.inside, through: network.through },
    { engine: `redis://127.0.0.1:${wire.port}` },
    { engine: redis.url() },
  ]
  await using cluster = await Cluster.start({ nodes, seed: SEED })
  const [apart, far, near] = cluster.nodes
  assert.ok(apart !== undefined && far !== undefined && near !== undefined)
  await cluster.fleet.progress(200)
  const { losses } = cluster

  wire.delayMs = DELAY_MS
  const before = await far.metric('log_head')
  await untilSo('events over a slow wire', async () => (await far.metric('log_head')) > before + 100)
  for (const node of cluster.nodes) Cluster.checkOutages(node, 0)
  wire.delayMs = 0

  network.drop(redis.port, 100)
  wire.cut()
  await cluster.untilDegraded([apart, far])
  await cluster.fleet.progress(200)
  assert.equal((await near.health()).status, 200)
  network.heal()
  wire.mend()
  await cluster.untilWell([apart, far])
  await cluster.fleet.progress(200)

  network.drop(redis.port, LOSS_PERCENT)
  await cluster.fleet.progress(1_000)
  assert.ok(network.heal() > 0, 'no packet was lost')
  await cluster.untilWell()
  await cluster.fleet.progress(200)

  assert.deepEqual(cluster.losses, losses, 'a stream was cut')
  const report = await cluster.finish()
  assert.equal(report.tally.gaps, 0)
  Cluster.checkOutages(far, 1)
  Cluster.checkOutages(near, 0)
})
