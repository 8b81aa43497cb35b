// Resume and gaps on the subprotocol: exactly as on a stream of its own, for each subscription.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryEngine, type HubOptions } from '../../src/index.ts'
import { SteppedClock } from '../support/stepped-clock.ts'
import { startServer, type TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

const EPOCH = '0123456789ab'

function start(options: HubOptions = {}): Promise<TestServer> {
  const { limits = {} } = options
  return startServer({ engine: new MemoryEngine({ epoch: EPOCH, limits }), ...options })
}

function open(server: TestServer, path = '/events'): Promise<WsClient> {
  return WsClient.open(`${server.wsUrl}${path}`, 'hydrant.v1')
}

test('a client that comes back with its last id misses nothing and sees nothing twice', async () => {
  await using server = await start()
  const seen: string[] = []
  let published = 0
  for (let visit = 0; visit < 5; visit += 1) {
    const last = seen.length === 0 ? { earliest: true } : { lastEventId: `${EPOCH}-${seen.length}` }
    using client = await open(server)
    client.say({ subscribe: { sub: 1, topics: ['a'], ...last } })
    for (let at = 0; at < 3; at += 1) await server.hub.publish({ topic: 'a', data: String((published += 1)) })
    await client.until(({ json }) => json.at(-1)?.['data'] === String(published))
    seen.push(...client.json.filter((message) => 'topic' in message).map((message) => String(message['data'])))
    client.socket.terminate()
    await server.hub.publish({ topic: 'a', data: String((published += 1)) })
  }
  assert.deepEqual(
    seen,
    Array.from({ length: published - 1 }, (_, at) => String(at + 1)),
  )
})

test('the header Last-Event-ID of a handshake resumes, and beats the query, as on a stream', async () => {
  await using server = await start()
  for (const data of ['1', '2', '3']) await server.hub.publish({ topic: 'a', data })
  const headers = { 'last-event-id': `${EPOCH}-1` }
  using client = await WsClient.open(`${server.wsUrl}/events/a?lastEventId=${EPOCH}-2`, undefined, { headers })
  await client.until(({ messages }) => messages.length === 2)
  assert.deepEqual(client.messages, ['2', '3'])
})

test('an id of another log is a gap, told before the events, each under its marker', async () => {
  await using server = await start()
  await server.hub.publish({ topic: 'a', data: '1' })
  using client = await open(server)
  client.say({ subscribe: { sub: 3, topics: ['a'], lastEventId: 'ffffffffffff-9' } })
  await client.until(({ messages }) => messages.length === 4)
  const [subscribed, marker, gap, event] = client.json
  assert.deepEqual(subscribed, { subscribed: { sub: 3, id: 'ffffffffffff-9' } })
  assert.deepEqual(marker, { sub: 3 })
  assert.deepEqual(gap, { gap: { from: 'ffffffffffff-9', to: `${EPOCH}-0`, reason: 'epoch', certain: false } })
  assert.equal(event?.['data'], '1')
})

test('trimmed events are a gap to the subscription that wanted them, and to no other', async () => {
  await using server = await start({ limits: { windowBytes: 65_536 } })
  await server.hub.publish({ topic: 'old', data: 'gone' })
  for (let at = 0; at < 200; at += 1) await server.hub.publish({ topic: 'loud', data: 'x'.repeat(1_000) })
  await server.hub.publish({ topic: 'quiet', data: 'kept' })
  using client = await open(server)
  client.say({ subscribe: { sub: 1, topics: ['quiet'], lastEventId: `${EPOCH}-0` } })
  client.say({ subscribe: { sub: 2, topics: ['old', 'quiet'], lastEventId: `${EPOCH}-0` } })
  await client.until(({ json }) => json.filter((message) => 'topic' in message).length === 2)
  const runs: Record<string, unknown[]> = {}
  let sub = ''
  for (const message of client.json) {
    if ('subscribed' in message) continue
    if ('sub' in message) sub = String(message['sub'])
    else (runs[sub] ??= []).push(message['data'] ?? message['gap'])
  }
  const gap = { from: `${EPOCH}-0`, to: `${EPOCH}-1`, reason: 'trimmed', certain: true }
  assert.deepEqual(runs, { 1: ['kept'], 2: [gap, 'kept'] })
})

test('a subscription that was quiet for long is given a fresher id', async () => {
  const clock = new SteppedClock()
  await using server = await start({ clock, limits: { heartbeatMs: 1_000 } })
  using client = await open(server)
  client.say({ subscribe: { sub: 1, topics: ['quiet'] } })
  await client.until(({ messages }) => messages.length === 1)
  for (let at = 0; at < 20; at += 1) await server.hub.publish({ topic: 'busy', data: 'x' })
  clock.advance(1_000)
  await client.until(({ messages }) => messages.length === 3)
  assert.deepEqual(client.json.slice(1), [{ sub: 1 }, { position: `${EPOCH}-20` }])
})

/** A client that stops reading while more is published than the log keeps. */
async function fallBehind(lag: string): Promise<Behind> {
  const server = await start({ limits: { windowBytes: 1_000_000, flushBytesMax: 100_000 } })
  const client = await open(server)
  client.say({ subscribe: { sub: 1, topics: ['a'], lag } })
  await client.until(({ messages }) => messages.length === 1)
  client.socket.pause()
  let published = 0
  let beyond = 0
  while (beyond < 3_000_000) {
    assert.ok(published < 5_000, 'it never stalled')
    await server.hub.publish({ topic: 'a', data: `${(published += 1)} ${'x'.repeat(10_000)}` })
    await new Promise(setImmediate)
    if (server.hub.counters.stalls > 0) beyond += 10_000
  }
  const close = async (): Promise<void> => {
    client[Symbol.dispose]()
    await server[Symbol.asyncDispose]()
  }
  return { server, client, published, [Symbol.asyncDispose]: close }
}

interface Behind extends AsyncDisposable {
  readonly server: TestServer
  readonly client: WsClient
  readonly published: number
}

test('a client that is too slow and skips is told of the gap, and goes on with what comes next', async () => {
  await using behind = await fallBehind('skip')
  const { server, client, published } = behind
  client.socket.resume()
  await client.until(({ json }) => json.some((message) => 'gap' in message))
  await server.hub.publish({ topic: 'a', data: `${published + 1} ` })
  await client.until(({ json }) => json.at(-1)?.['data'] === `${published + 1} `)
  const gaps = client.json.flatMap((message) => ('gap' in message ? [message['gap'] as Record<string, unknown>] : []))
  assert.equal(gaps.length, 1)
  const before = client.json.findIndex((message) => 'gap' in message)
  const lastSeen = Number.parseInt(String(client.json[before - 1]?.['data']), 10)
  const { from, to, reason } = gaps[0] ?? {}
  assert.deepEqual([from, to, reason], [`${EPOCH}-${lastSeen}`, `${EPOCH}-${published}`, 'lagged'])
})

test('a client that is too slow and does not skip is closed with 4001, and told of the gap when it comes back', async () => {
  await using behind = await fallBehind('disconnect')
  const { server, client } = behind
  client.socket.resume()
  assert.equal(await client.closed(), 4001)
  const lastId = String(client.json.at(-1)?.['id'])
  using again = await open(server)
  again.say({ subscribe: { sub: 1, topics: ['a'], lastEventId: lastId } })
  await again.until(({ json }) => json.some((message) => 'gap' in message))
  const gap = again.json.find((message) => 'gap' in message)?.['gap'] as Record<string, unknown>
  assert.deepEqual([gap['from'], gap['reason'], gap['certain']], [lastId, 'trimmed', true])
  await until(() => again.json.length > 3, 'what is still there')
})
