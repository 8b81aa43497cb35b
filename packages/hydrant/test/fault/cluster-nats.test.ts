// NATS goes away under three nodes and comes back, with what it stored or without, and a node is cut off from it: streams
// stay open, publishers are told to come again or wait, and in the end every client has what was acknowledged, once and in
// order, or was told of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster, untilSo } from '../support/cluster.ts'
import { NATS_SERVERS, NatsServer } from '../support/nats-server.ts'
import { Wire } from '../support/wire.ts'

const SEED = 61
const WAIT_S = 30
const DELAY_MS = 50

for (const [at, { name, command }] of NATS_SERVERS.entries()) {
  test(`${name}, killed and started again, then without what it stored: nothing is lost without a word`, async () => {
    await using nats = await NatsServer.start(command)
    await using cluster = await Cluster.start({ nodes: Cluster.three(nats.url), seed: SEED + at, batchMax: 1 })
    await cluster.fleet.progress(200)
    const { losses } = cluster
    await nats.kill()
    for (const { status, text } of await cluster.untilDegraded()) {
      assert.equal(status, 503)
      assert.match(text, /^degraded since \d{4}-\d\d-\d\dT\S+: NATS \S/)
    }
    const [node] = cluster.nodes
    assert.ok(node !== undefined)
    const waiting = cluster.publishWaiting(node, 'sent while NATS was away', WAIT_S)
    await nats.start()
    await cluster.untilWell()
    assert.equal((await waiting).status, 200)
    await cluster.fleet.progress(200)
    assert.deepEqual(cluster.losses, losses, 'a stream was cut')
    assert.equal(cluster.gaps, 0)

    await nats.kill()
    await cluster.untilDegraded()
    nats.deleteStore()
    await nats.start()
    await cluster.untilWell()
    await cluster.fleet.progress(200)
    await cluster.finish()
    assert.ok(cluster.gaps >= cluster.fleet.clients.length)
    for (const one of cluster.nodes) Cluster.checkOutages(one, 2)
  })
}

test('a node far from NATS, then cut off from it: its clients stay, and miss nothing', async () => {
  await using nats = await NatsServer.start()
  await using wire = await Wire.start(nats.port)
  const outside = { engine: nats.url }
  const behind = { engine: `nats://127.0.0.1:${wire.port}` }
  await using cluster = await Cluster.start({ nodes: [behind, outside, outside], seed: SEED + 9, batchMax: 1 })
  const [node, ...others] = cluster.nodes
  assert.ok(node !== undefined)
  await cluster.fleet.progress(200)
  const { losses } = cluster
  wire.delayMs = DELAY_MS
  const before = await node.metric('log_head')
  await untilSo('events over a slow wire', async () => (await node.metric('log_head')) > before + 100)
  wire.cut()
  await cluster.untilDegraded([node])
  await cluster.fleet.progress(200)
  wire.delayMs = 0
  wire.mend()
  await cluster.untilWell()
  await cluster.fleet.progress(200)
  assert.deepEqual(cluster.losses, losses, 'a stream was cut')
  await cluster.finish()
  assert.equal(cluster.gaps, 0)
  Cluster.checkOutages(node, 1)
  for (const other of others) Cluster.checkOutages(other, 0)
})
