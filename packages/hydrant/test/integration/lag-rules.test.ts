// Lag policies by topic, on real sockets: what a rule says holds for who does not say, on every transport.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SUBPROTOCOL } from 'hydrant-client/wire'
import type { HubOptions } from '../../src/index.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer, type TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

const OPTIONS: HubOptions = {
  limits: { windowBytes: 200_000 },
  lag: [
    { topics: 'prices/**', policy: 'skip' },
    { topics: 'audit/**', policy: 'disconnect' },
  ],
}

/** Publishes more at once than the log keeps: nobody is fast enough for that. */
async function overwhelm(server: TestServer, topic: string): Promise<void> {
  const data = 'x'.repeat(10_000)
  await server.hub.publishBatch(Array.from({ length: 50 }, () => ({ topic, data })))
}

async function overwhelmed(server: TestServer, path: string, topic: string): Promise<StreamClient> {
  const client = await StreamClient.open(server.url, path)
  await until(() => client.messages.length === 1, 'the opening')
  await overwhelm(server, topic)
  return client
}

test('a stream of a topic whose rule says skip is told of its gap, and goes on', async () => {
  await using server = await startServer(OPTIONS)
  using client = await overwhelmed(server, '/events/prices/AAPL', 'prices/AAPL')
  await until(() => client.messages.length === 2, 'the gap')
  await server.hub.publish({ topic: 'prices/AAPL', data: 'next' })
  await until(() => client.messages.length === 3, 'what is published next')
  const told = client.messages.map(({ type, data }) => (type === 'message' ? data : type))
  assert.deepEqual(told, ['hydrant:open', 'hydrant:gap', 'next'])
})

for (const [path, topic, why] of [
  ['/events/audit/log', 'audit/log', 'whose rule says disconnect'],
  ['/events/other', 'other', 'that no rule speaks of'],
  ['/events?topic=prices/AAPL&topic=audit/log', 'prices/AAPL', 'of which two rules say different things'],
  ['/events/prices/AAPL?lag=disconnect', 'prices/AAPL', 'whose rule says skip, and that asks for disconnect itself,'],
] as const) {
  test(`a stream ${why} is ended, to resume`, async () => {
    await using server = await startServer(OPTIONS)
    using client = await overwhelmed(server, path, topic)
    await client.closed()
    assert.equal(server.hub.counters.ended.get('lagged'), 1)
    assert.deepEqual(
      client.messages.map(({ type }) => type).filter((type) => type === 'hydrant:gap'),
      [],
    )
  })
}

test('the rule holds for subscriptions of a WebSocket, each by itself, and for a plain one', async () => {
  await using server = await startServer(OPTIONS)
  using client = await WsClient.open(`${server.wsUrl}/events`, SUBPROTOCOL)
  client.say({ subscribe: { sub: 1, topics: ['prices/*'] } })
  await client.until(({ json }) => json.length === 1)
  await overwhelm(server, 'prices/AAPL')
  await client.until(({ json }) => json.at(-1)?.['gap'] !== undefined)
  client.say({ subscribe: { sub: 2, topics: ['audit/*'] } })
  await client.until(({ json }) => json.at(-1)?.['subscribed'] !== undefined)
  await overwhelm(server, 'audit/log')
  assert.equal(await client.closed(), 4001)
  using plain = await WsClient.open(`${server.wsUrl}/events/prices/AAPL`)
  // Again and again: nothing says when a plain one, which starts at now, is there.
  for (; plain.closeCode === undefined; await new Promise(setImmediate)) await overwhelm(server, 'prices/AAPL')
  assert.equal(plain.closeCode, 4003)
})
