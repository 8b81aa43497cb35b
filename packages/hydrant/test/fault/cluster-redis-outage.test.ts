// Redis goes away under three nodes, and comes back: streams stay open, publishers are told to come again or wait, and
// in the end every client has what was acknowledged, once and in order.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster } from '../support/cluster.ts'
import { RedisServer } from '../support/redis-server.ts'

const SEED = 11
const OUTAGES = 2
const WAIT_S = 30

test('Redis killed and started again with what it had: streams stay open, and nothing is lost or said to be', async () => {
  await using redis = await RedisServer.start({ isPersistent: true })
  await using cluster = await Cluster.start({ nodes: Cluster.three(redis.url()), seed: SEED })
  for (let outage = 0; outage < OUTAGES; outage += 1) {
    await cluster.fleet.progress(200)
    const { losses } = cluster
    await redis.kill()
    for (const { status, text } of await cluster.untilDegraded()) {
      assert.equal(status, 503)
      assert.match(text, /^degraded since \d{4}-\d\d-\d\dT\S+: redis:\/\/127\.0\.0\.1:\d+ cannot be reached: \S/)
    }
    const [node] = cluster.nodes
    assert.ok(node !== undefined)
    const waiting = cluster.publishWaiting(node, `sent in outage ${outage}`, WAIT_S)
    await redis.restart()
    await cluster.untilWell()
    assert.equal((await waiting).status, 200)
    await cluster.fleet.progress(200)
    assert.deepEqual(cluster.losses, losses, 'a stream was cut')
  }
  assert.ok(cluster.fleet.publishers.every(({ unavailable }) => unavailable > 0))
  const report = await cluster.finish()
  assert.equal(report.tally.gaps, 0)
  for (const node of cluster.nodes) Cluster.checkOutages(node, OUTAGES)
})

test('Redis killed and started again with nothing: what was acknowledged is declared to be gone', async () => {
  await using redis = await RedisServer.start()
  await using cluster = await Cluster.start({ nodes: Cluster.three(redis.url()), seed: SEED + 1 })
  await cluster.fleet.progress(200)
  await redis.kill()
  await cluster.untilDegraded()
  await redis.restart()
  await cluster.untilWell()
  await cluster.fleet.progress(200)
  const report = await cluster.finish()
  assert.ok(report.tally.gaps >= cluster.fleet.clients.length, `${report.tally.gaps} gaps`)
  for (const node of cluster.nodes) Cluster.checkOutages(node, 1)
})
