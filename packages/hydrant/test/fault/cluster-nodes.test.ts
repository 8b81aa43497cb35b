// Nodes on one Redis stop, start and stand still: clients move to the others with their ids, and miss nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster, untilSo } from '../support/cluster.ts'
import { RedisServer } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

const SEED = 51
/** Longer than anything that a node, its clients or Redis wait for. */
const FREEZE_MS = 11_000

test('a rolling deploy: a fourth node starts, the first stops; its clients go on at the others with their ids', async () => {
  await using redis = await RedisServer.start()
  const engine = redis.url()
  await using cluster = await Cluster.start({ nodes: Cluster.three(engine), seed: SEED, isBalanced: true })
  const [old] = cluster.nodes
  assert.ok(old !== undefined)
  await cluster.fleet.progress(200)
  await cluster.start({ engine })
  await cluster.fleet.progress(200)
  const losses = cluster.stayers.map((client) => client.losses)
  assert.equal(await cluster.stop(old), 0)
  assert.deepEqual(old.complaints, [])
  await until(() => cluster.stayers.some((client, at) => client.losses > (losses[at] ?? 0)), 'clients to move')
  await cluster.fleet.progress(200)
  const report = await cluster.finish()
  assert.equal(report.tally.gaps, 0)
  for (const node of cluster.nodes) Cluster.checkOutages(node, 0)
})

test('a node frozen past every timeout, and thawed: it finds what it missed, and so do its clients', async () => {
  await using redis = await RedisServer.start()
  await using cluster = await Cluster.start({ nodes: Cluster.three(redis.url()), seed: SEED + 1, isBalanced: true })
  const [node, ...others] = cluster.nodes
  assert.ok(node !== undefined)
  await cluster.fleet.progress(200)
  const losses = cluster.fleet.clients.map((client) => client.losses)
  node.freeze()
  const frozenMs = performance.now()
  await until(() => cluster.fleet.clients.some((client, at) => client.losses > (losses[at] ?? 0)), 'clients to leave')
  while (performance.now() - frozenMs < FREEZE_MS) await cluster.fleet.progress(50)
  node.thaw()
  const head = (await others[0]?.metric('log_head')) ?? NaN
  await untilSo('the node to come to where the others are', async () => (await node.metric('log_head')) >= head)
  await cluster.untilWell()
  await cluster.fleet.progress(200)
  const report = await cluster.finish()
  assert.equal(report.tally.gaps, 0)
  for (const other of others) Cluster.checkOutages(other, 0)
})
