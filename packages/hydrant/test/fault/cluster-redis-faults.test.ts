// Redis stays, and does harm: connections are killed, commands are held back, and what it has is deleted. Nothing that
// was acknowledged is missing without a word.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { slotOf } from '../../src/engine/redis-layout.ts'
import { Cluster } from '../support/cluster.ts'
import { RedisServer } from '../support/redis-server.ts'

const SEED = 31
const ROUNDS = 4
/** Longer than a node waits for an answer. */
const PAUSE_MS = 6_000

test('CLIENT KILL TYPE pubsub again and again, then CLIENT PAUSE: nothing is lost, or said to be', async () => {
  await using redis = await RedisServer.start()
  await using cluster = await Cluster.start({ nodes: Cluster.three(redis.url()), seed: SEED })
  await cluster.fleet.progress(100)
  const { losses } = cluster
  for (let round = 0; round < ROUNDS; round += 1) {
    const [killed] = await redis.ask(['CLIENT', 'KILL', 'TYPE', 'pubsub'])
    assert.equal(killed, cluster.nodes.length)
    await cluster.fleet.progress(100)
    await cluster.untilWell()
  }
  await redis.ask(['CLIENT', 'PAUSE', String(PAUSE_MS), 'ALL'])
  await cluster.untilDegraded()
  await cluster.untilWell()
  await cluster.fleet.progress(100)
  assert.deepEqual(cluster.losses, losses, 'a stream was cut')
  const report = await cluster.finish()
  assert.equal(report.tally.gaps, 0)
  for (const node of cluster.nodes) Cluster.checkOutages(node, ROUNDS + 1)
})

test('FLUSHALL under load: what was acknowledged is declared to be gone, and everybody goes on', async () => {
  await using redis = await RedisServer.start()
  await using cluster = await Cluster.start({ nodes: Cluster.three(redis.url()), seed: SEED + 1 })
  for (let round = 0; round < ROUNDS; round += 1) {
    await cluster.fleet.progress(100)
    await redis.ask(['FLUSHALL'])
  }
  await cluster.fleet.progress(100)
  const report = await cluster.finish()
  assert.ok(report.tally.gaps >= cluster.fleet.clients.length, `${report.tally.gaps} gaps`)
  for (const node of cluster.nodes) Cluster.checkOutages(node, 0)
})

test('streams deleted under load: who is there misses nothing, and who is not is told', async () => {
  await using redis = await RedisServer.start()
  await using cluster = await Cluster.start({ nodes: Cluster.three(redis.url('?prefix=gone')), seed: SEED + 2 })
  for (let round = 0; round < ROUNDS; round += 1) {
    await cluster.fleet.progress(100)
    await redis.ask(['DEL', ...['a/1', 'b'].map((topic) => `{gone}:s${slotOf(topic)}`)])
  }
  await cluster.fleet.progress(100)
  await cluster.finish()
  for (const node of cluster.nodes) Cluster.checkOutages(node, 0)
})

test('a relay that keeps nothing, its connections killed: every hole is declared, and none is silent', async () => {
  await using redis = await RedisServer.start()
  await using cluster = await Cluster.start({ nodes: Cluster.three(redis.url('?history=none')), seed: SEED + 3 })
  for (let round = 0; round < ROUNDS; round += 1) {
    await cluster.fleet.progress(100)
    await redis.ask(['CLIENT', 'KILL', 'TYPE', 'pubsub'])
  }
  await cluster.fleet.progress(100)
  const report = await cluster.finish()
  assert.ok(report.tally.gaps > 0)
})
