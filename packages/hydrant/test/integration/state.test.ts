// State, then stream; and the lag policy `latest`: on real sockets, with no seam between what was and what is published.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SUBPROTOCOL } from 'hydrant-client/wire'
import { StreamClient } from '../support/stream-client.ts'
import { startServer, type TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

/** Publishes keyed events: `A=1` is the data `1` of the key `A`. */
async function put(server: TestServer, ...pairs: readonly string[]): Promise<void> {
  for (const pair of pairs) {
    const [key = '', data = ''] = pair.split('=')
    await server.hub.publish({ topic: 'prices', key, data })
  }
}

function told(client: StreamClient): readonly string[] {
  return client.messages.map(({ type, data }) => (type === 'message' ? data : type))
}

test('a stream of the state begins with the newest event of each key, in log order, under their own ids', async () => {
  await using server = await startServer()
  await put(server, 'A=1', 'B=1', 'A=2', 'C=1', 'B=2')
  using client = await StreamClient.open(server.url, '/events/prices?state=latest')
  await until(() => client.messages.length === 5, 'the state')
  assert.deepEqual(told(client), ['hydrant:open', '2', '1', '2', 'hydrant:live'])
  const offsets = client.messages.map(({ lastEventId }) => Number(lastEventId.split('-')[1]))
  assert.deepEqual(offsets, [0, 3, 4, 5, 5])
  await put(server, 'A=3', 'A=4')
  await until(() => client.messages.length === 7, 'what follows')
  assert.deepEqual(told(client).slice(5), ['3', '4'])
})

test('a keyed event with empty data deletes its key, and a topic without keys has its newest event as its state', async () => {
  await using server = await startServer()
  await put(server, 'A=1', 'B=1', 'A=')
  for (const data of ['x', 'y']) await server.hub.publish({ topic: 'plain', data })
  using client = await StreamClient.open(server.url, '/events?topic=prices&topic=plain&state=latest')
  await until(() => client.messages.length === 4, 'the state')
  assert.deepEqual(told(client), ['hydrant:open', '1', 'y', 'hydrant:live'])
})

test('the state of an empty log is nothing, and the stream is live', async () => {
  await using server = await startServer()
  using client = await StreamClient.open(server.url, '/events/prices?state=latest')
  await until(() => client.messages.length === 2, 'the sign')
  await put(server, 'A=1')
  await until(() => client.messages.length === 3, 'the event')
  assert.deepEqual(told(client), ['hydrant:open', 'hydrant:live', '1'])
})

test('what is published while the state is sent comes after it, each event once', async () => {
  await using server = await startServer({ limits: { flushBytesMax: 4_096 } })
  for (let at = 0; at < 300; at += 1) {
    await server.hub.publish({ topic: 'prices', key: `k${at}`, data: `${at} `.padEnd(500, 'x') })
  }
  using client = await StreamClient.open(server.url, '/events/prices?state=latest')
  for (let at = 0; at < 50; at += 1) await put(server, `k${at}=new ${at}`)
  await until(() => client.data.length >= 350, 'the state and what follows')
  const live = told(client).indexOf('hydrant:live')
  assert.ok(live > 0)
  assert.deepEqual(
    client.data.slice(300),
    Array.from({ length: 50 }, (_, at) => `new ${at}`),
  )
  const keys = client.data.slice(0, 300).map((data) => Number(data.split(' ')[0]))
  assert.deepEqual(
    keys,
    Array.from({ length: 300 }, (_, at) => at),
  )
})

test('an id beats the state; where resuming would be a gap, the gap is told and the state sent again', async () => {
  await using server = await startServer({ limits: { windowBytes: 65_536 } })
  await put(server, 'A=1')
  const id = server.hub.idAt(1)
  await put(server, 'A=2')
  using resumed = await StreamClient.open(server.url, `/events/prices?state=latest&lastEventId=${id}`)
  await until(() => resumed.messages.length === 1, 'the rest')
  assert.deepEqual(told(resumed), ['2'])
  const long = 'x'.repeat(1_000)
  for (let at = 0; at < 100; at += 1) await put(server, `${at % 2 === 0 ? 'A' : 'B'}=${at}${long}`)
  assert.ok(server.hub.window.floor > 2)
  using late = await StreamClient.open(server.url, `/events/prices?state=latest&lastEventId=${id}`)
  await until(() => late.messages.length === 4, 'the gap and the state')
  assert.deepEqual(told(late), ['hydrant:gap', `98${long}`, `99${long}`, 'hydrant:live'])
  const [gap] = late.messages
  assert.match(String(gap?.lastEventId), /-0$/)
  assert.partialDeepStrictEqual(JSON.parse(gap?.data ?? ''), { from: id, reason: 'trimmed', certain: true })
})

test('on a WebSocket it is the same: the state, the sign, and what follows', async () => {
  await using server = await startServer()
  await put(server, 'A=1', 'A=2')
  using client = await WsClient.open(`${server.url.replace('http', 'ws')}/events`, SUBPROTOCOL)
  client.say({ subscribe: { sub: 1, topics: ['prices'], state: 'latest' } })
  await client.until(({ json }) => json.some(({ live }) => live !== undefined))
  await put(server, 'A=3')
  await client.until(({ json }) => json.length === 5)
  const summary = client.json.map((message) => message['data'] ?? Object.keys(message)[0])
  assert.deepEqual(summary, ['subscribed', 'sub', '2', 'live', '3'])
})

test('a client that follows the latest gets, once it reads again, only the newest of each key, and no gap', async () => {
  await using server = await startServer({ limits: { windowBytes: 2_000_000, flushBytesMax: 65_536 } })
  using slow = await StreamClient.open(server.url, '/events/prices?lag=latest')
  await until(() => slow.messages.length === 1, 'the opening')
  slow.response.pause()
  const long = 'x'.repeat(10_000)
  let round = 0
  for (; server.hub.counters.stalls === 0 || round % 1_000 !== 0; round += 1) {
    assert.ok(round < 20_000, 'it never stalled')
    await put(server, `k${round % 10}=${round} ${long}`)
    if (round % 50 === 0) await new Promise(setImmediate)
  }
  assert.ok(server.hub.window.floor > 0, 'events are trimmed')
  slow.response.resume()
  const newest = Array.from({ length: 10 }, (_, at) => String(round - 10 + at))
  await until(() => slow.data.at(-1)?.startsWith(`${round - 1} `) === true, 'the newest')
  const rounds = slow.data.map((data) => data.split(' ')[0] ?? '')
  assert.deepEqual(rounds.slice(-10), newest)
  assert.ok(rounds.length < round / 2, `${rounds.length} of ${round} were sent`)
  assert.deepEqual(
    rounds,
    rounds.toSorted((one, other) => Number(one) - Number(other)),
  )
  assert.equal(slow.messages.filter(({ type }) => type === 'hydrant:gap').length, 0)
  await put(server, 'k0=and on')
  await until(() => slow.data.at(-1) === 'and on', 'what is published next')
})

test('events without a key are never left out: a client that follows the latest is told of a gap for them', async () => {
  await using server = await startServer({ limits: { windowBytes: 200_000, flushBytesMax: 65_536 } })
  using slow = await StreamClient.open(server.url, '/events/prices?lag=latest')
  await until(() => slow.messages.length === 1, 'the opening')
  slow.response.pause()
  const data = 'x'.repeat(10_000)
  for (let round = 0; server.hub.counters.stalls === 0 || round % 1_000 !== 0; round += 1) {
    await server.hub.publish({ topic: 'prices', data })
    if (round % 50 === 0) await new Promise(setImmediate)
  }
  slow.response.resume()
  await until(() => slow.messages.some(({ type }) => type === 'hydrant:gap'), 'the gap')
  const gap = slow.messages.find(({ type }) => type === 'hydrant:gap')
  assert.partialDeepStrictEqual(JSON.parse(gap?.data ?? ''), { reason: 'lagged', certain: true })
  await server.hub.publish({ topic: 'prices', data: 'the end' })
  await until(() => slow.data.at(-1) === 'the end', 'the rest')
})
