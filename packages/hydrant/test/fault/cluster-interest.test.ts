// What a node takes from Redis is what its clients want, and how it is connected does not depend on how many they are.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { slotOf } from '../../src/engine/redis-layout.ts'
import { ask } from '../support/ask.ts'
import { ClusterNode } from '../support/cluster-node.ts'
import { untilSo } from '../support/cluster.ts'
import { FleetClient } from '../support/fleet-client.ts'
import { RedisServer } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

const EVENTS = 500
const CLIENTS = 200
const CONNECTIONS_PER_NODE = 2

test('a node whose clients do not want a busy topic gets none of its events, and none of its messages', async () => {
  await using redis = await RedisServer.start()
  await using busy = await ClusterNode.start({ engine: redis.url() })
  await using quiet = await ClusterNode.start({ engine: redis.url() })
  const clients = [follow(busy, 'busy'), follow(quiet, 'quiet')]
  try {
    await until(() => clients.every(({ isOpen }) => isOpen), 'both clients')
    const lines = Array.from({ length: EVENTS }, (_, at) => JSON.stringify({ topic: 'busy', data: `${at}` }))
    const headers = { 'content-type': 'application/x-ndjson' }
    const { status, text } = await ask(busy.url, 'POST', '/events', { headers, body: lines.join('\n') })
    assert.equal(status, 200, text)
    await ask(busy.url, 'POST', '/events/quiet', { body: 'the last' })
    await until(() => clients.every((client, at) => client.has(['499', 'the last'][at] ?? '')), 'all events')
  } finally {
    for (const client of clients) client.close()
  }
  assert.equal(await busy.metric('events_published_total'), EVENTS)
  assert.equal(await quiet.metric('events_published_total'), 1)
  const [channels] = await redis.ask(['PUBSUB', 'SHARDNUMSUB', channel('busy'), channel('quiet')])
  assert.deepEqual(channels, [channel('busy'), 1, channel('quiet'), 1])
})

test(`a node has ${CONNECTIONS_PER_NODE} connections to Redis, with no client and with ${CLIENTS} on topics of their own`, async () => {
  await using redis = await RedisServer.start()
  const alone = await connections(redis)
  await using one = await ClusterNode.start({ engine: redis.url() })
  await using other = await ClusterNode.start({ engine: redis.url() })
  const nodes = [one, other]
  const with2 = alone + nodes.length * CONNECTIONS_PER_NODE
  assert.equal(await connections(redis), with2)
  const clients = Array.from({ length: CLIENTS }, (_, at) => follow(nodes[at % 2] ?? one, `topic/${at}`))
  try {
    await until(() => clients.every(({ isOpen }) => isOpen), 'all clients')
    assert.equal(await connections(redis), with2)
  } finally {
    for (const client of clients) client.close()
  }
  assert.equal(await other.stop(), 0)
  await untilSo('the connections of a node that stopped to be gone', async () => {
    return (await connections(redis)) === alone + CONNECTIONS_PER_NODE
  })
})

function follow({ url }: ClusterNode, topic: string): FleetClient {
  const random = (below: number): number => below - 1
  return new FleetClient({ name: topic, url, topics: [topic], transports: ['sse'], silenceMs: 10_000, random })
}

function channel(topic: string): string {
  return `{hydrant}:${slotOf(topic)}`
}

/** The one that asks among them. */
async function connections(redis: RedisServer): Promise<number> {
  const [info] = await redis.ask(['INFO', 'clients'])
  return Number(/connected_clients:(\d+)/.exec(String(info))?.[1])
}
