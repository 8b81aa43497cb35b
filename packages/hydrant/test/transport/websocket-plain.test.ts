// WebSockets without a subprotocol: messages are the events' data, and what the client says is published.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryEngine, type HubOptions, type OnMessage } from '../../src/index.ts'
import { post } from '../support/ask.ts'
import { GatedEngine } from '../support/gated-engine.ts'
import { RawClient } from '../support/raw-client.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer, type TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

const EPOCH = '0123456789ab'

function start(options: HubOptions = {}): Promise<TestServer> {
  return startServer({ engine: new MemoryEngine({ epoch: EPOCH, limits: options.limits ?? {} }), ...options })
}

test('text arrives as text, bytes as bytes, exactly as they were published', async () => {
  await using server = await start()
  using client = await WsClient.open(`${server.wsUrl}/events/a`)
  const bytes = Buffer.from([0, 128, 255])
  for (const data of ['one', 'x\r\ny\0é😀', '', bytes]) await server.hub.publish({ topic: 'a', data })
  await client.until(({ messages }) => messages.length === 4)
  assert.deepEqual(client.messages, ['one', 'x\r\ny\0é😀', '', bytes])
})

test('what a client says is published to its topic, and comes back to everyone', async () => {
  await using server = await start()
  using one = await WsClient.open(`${server.wsUrl}/events/a`)
  using two = await WsClient.open(`${server.wsUrl}/events/a`)
  using stream = await StreamClient.open(server.url, '/events/a')
  one.socket.send('text')
  one.socket.send(Buffer.from([1, 2]))
  await two.until(({ messages }) => messages.length === 2)
  assert.deepEqual(two.messages, ['text', Buffer.from([1, 2])])
  await one.until(({ messages }) => messages.length === 2)
  await stream.until(({ data }) => data.length === 2)
  assert.deepEqual(stream.data, ['text', 'AQI='])
})

test('messages sent before the handshake is answered are published in their order', async () => {
  await using server = await start()
  using client = await RawClient.connect(server.port)
  const frames = ['1', '2', '3'].map(maskedFrame).join('')
  client.say(`${HANDSHAKE}${frames}`)
  await until(() => server.hub.counters.published === 3, 'three events')
  await client.hear('\x81\x011\x81\x012\x81\x013')
})

test('the query of streams holds: types, patterns, starts', async () => {
  await using server = await start()
  for (const type of ['x', 'y', 'x']) await server.hub.publish({ topic: 'a/b', type, data: type })
  using all = await WsClient.open(`${server.wsUrl}/events/a/*?earliest`)
  using some = await WsClient.open(`${server.wsUrl}/events?topic=a/**&type=x&last=1`)
  using resumed = await WsClient.open(`${server.wsUrl}/events/a/b?lastEventId=${EPOCH}-1`)
  await server.hub.publish({ topic: 'a/b', type: 'x', data: 'end' })
  for (const client of [all, some, resumed]) await client.until(({ messages }) => messages.at(-1) === 'end')
  assert.deepEqual(all.messages, ['x', 'y', 'x', 'end'])
  assert.deepEqual(some.messages, ['x', 'end'])
  assert.deepEqual(resumed.messages, ['y', 'x', 'end'])
})

test('where a gap would be told the connection closes with 4003, for there are no words for it', async () => {
  await using server = await start()
  await server.hub.publish({ topic: 'a', data: 'x' })
  using client = await WsClient.open(`${server.wsUrl}/events/a?lastEventId=ffffffffffff-1`)
  assert.equal(await client.closed(), 4003)
  assert.deepEqual([client.closeReason, client.messages], ['gap', []])
  assert.equal(server.hub.counters.ended.get('gap'), 1)
})

for (const [words, path] of [
  ['several topics', '/events?topic=a&topic=b'],
  ['a pattern', '/events/a/*'],
] as const) {
  test(`a client of ${words} may listen, and what it says closes it with 4500`, async () => {
    await using server = await start()
    using client = await WsClient.open(`${server.wsUrl}${path}`)
    client.socket.send('to whom?')
    assert.equal(await client.closed(), 4500)
    assert.equal(client.closeReason, 'malformed-message')
    assert.equal(server.hub.counters.published, 0)
    assert.equal(server.hub.counters.refused.get('malformed-message'), 1)
  })
}

test('a message that is too large an event closes with a code not to come back from', async () => {
  await using server = await start({ limits: { eventBytesMax: 1_000 } })
  using client = await WsClient.open(`${server.wsUrl}/events/a`)
  client.socket.send('x'.repeat(1_001))
  assert.equal(await client.closed(), 4500)
  assert.equal(server.hub.counters.refused.get('event-too-large'), 1)
})

test('a publish that fails for now closes with a code to come back from', async () => {
  const engine = new GatedEngine()
  await using server = await start({ engine })
  using client = await WsClient.open(`${server.wsUrl}/events/a`)
  engine.fail('unavailable')
  client.socket.send('x')
  assert.equal(await client.closed(), 4000)
})

// ── the application's hook ───────────────────────────────────────────────────────────────────────────────────────────

test('an echo server is three lines: the hook gets every message, and nothing is published by itself', async () => {
  const onMessage: OnMessage = ({ data }, client) => client.send(data)
  await using server = await start({ onMessage })
  using client = await WsClient.open(`${server.wsUrl}/events`)
  using other = await WsClient.open(`${server.wsUrl}/events`)
  client.socket.send('hello')
  client.socket.send(Buffer.from([0, 255]))
  await client.until(({ messages }) => messages.length === 2)
  assert.deepEqual(client.messages, ['hello', Buffer.from([0, 255])])
  assert.deepEqual(other.messages, [])
  assert.equal(server.hub.counters.published, 0)
})

test('the hook knows what the URL selects, and may close', async () => {
  const onMessage: OnMessage = async (_message, client) => {
    await Promise.resolve()
    client.send(client.topics.join(' '))
    client.close()
  }
  await using server = await start({ onMessage })
  using client = await WsClient.open(`${server.wsUrl}/events/b?topic=a`)
  client.socket.send('?')
  assert.equal(await client.closed(), 1000)
  assert.deepEqual(client.messages, ['a b'])
})

test('a hook that throws is reported, and ends its client alone', async () => {
  const told: unknown[] = []
  const error = new Error('of the application')
  const onMessage: OnMessage = () => Promise.reject(error)
  await using server = await start({ onMessage, onError: (one) => told.push(one) })
  using client = await WsClient.open(`${server.wsUrl}/events/a`)
  using other = await WsClient.open(`${server.wsUrl}/events/a`)
  client.socket.send('x')
  assert.equal(await client.closed(), 4000)
  assert.deepEqual(told, [error])
  await server.hub.publish({ topic: 'a', data: 'x' })
  await other.until(({ messages }) => messages.length === 1)
})

test('a client that makes the hook send and reads nothing costs a bounded amount', async () => {
  const onMessage: OnMessage = ({ data }, client) => client.send(data)
  const limits = { messagesPerSecondMax: 1_000_000, stallMs: 60_000 }
  await using server = await start({ onMessage, limits })
  let held = 0
  server.server.on('upgrade', (_request, socket) => {
    const watch = setInterval(() => (held = Math.max(held, socket.writableLength)), 1)
    socket.on('close', () => clearInterval(watch))
  })
  using client = await WsClient.open(`${server.wsUrl}/events/a`)
  client.socket.pause()
  const message = 'x'.repeat(100_000)
  let sent = 0
  const sending = setInterval(() => {
    if (client.socket.bufferedAmount > 20_000_000) return clearInterval(sending)
    for (let at = 0; at < 10; at += 1) client.socket.send(message)
    sent += 10
  }, 1)
  await until(
    () => client.socket.bufferedAmount > 20_000_000 || client.closeCode !== undefined,
    'the client to be held',
  )
  clearInterval(sending)
  assert.ok(held < 8_000_000, `of ${sent * message.length} bytes the server held ${held}`)
})

// ── handshakes ───────────────────────────────────────────────────────────────────────────────────────────────────────

const KEY = 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=='
const VERSION = 'sec-websocket-version: 13'
const UPGRADE = 'host: x\r\nconnection: upgrade\r\nupgrade: websocket'
const HANDSHAKE = `GET /events/a HTTP/1.1\r\n${UPGRADE}\r\n${KEY}\r\n${VERSION}\r\n\r\n`

const BAD_HANDSHAKES: readonly (readonly [words: string, head: string, status: number, code: string])[] = [
  ['without a key', `GET /events/a HTTP/1.1\r\n${UPGRADE}\r\n${VERSION}`, 400, 'malformed-upgrade'],
  [
    'with a bad key',
    `GET /events/a HTTP/1.1\r\n${UPGRADE}\r\nsec-websocket-key: x\r\n${VERSION}`,
    400,
    'malformed-upgrade',
  ],
  [
    'of another version',
    `GET /events/a HTTP/1.1\r\n${UPGRADE}\r\n${KEY}\r\nsec-websocket-version: 7`,
    400,
    'malformed-upgrade',
  ],
  ['by POST', `POST /events/a HTTP/1.1\r\n${UPGRADE}\r\n${KEY}\r\n${VERSION}`, 400, 'malformed-upgrade'],
  [
    'to another protocol',
    'GET /events/a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c',
    400,
    'malformed-upgrade',
  ],
  ['where nothing is', `GET /other HTTP/1.1\r\n${UPGRADE}\r\n${KEY}\r\n${VERSION}`, 404, 'not-found'],
  ['without a topic', `GET /events HTTP/1.1\r\n${UPGRADE}\r\n${KEY}\r\n${VERSION}`, 400, 'no-topic'],
  ['with a bad topic', `GET /events/a%20b HTTP/1.1\r\n${UPGRADE}\r\n${KEY}\r\n${VERSION}`, 400, 'malformed-pattern'],
  ['with a bad id', `GET /events/a?lastEventId=x HTTP/1.1\r\n${UPGRADE}\r\n${KEY}\r\n${VERSION}`, 400, 'malformed-id'],
  [
    'with an unknown key',
    `GET /events/a?topics=x HTTP/1.1\r\n${UPGRADE}\r\n${KEY}\r\n${VERSION}`,
    400,
    'unknown-query-key',
  ],
  ['for a page', `GET /events/a?limit=5 HTTP/1.1\r\n${UPGRADE}\r\n${KEY}\r\n${VERSION}`, 400, 'malformed-query'],
  [
    'with two starts',
    `GET /events/a?last=1&earliest HTTP/1.1\r\n${UPGRADE}\r\n${KEY}\r\n${VERSION}`,
    400,
    'conflicting-start',
  ],
]

for (const [words, head, status, code] of BAD_HANDSHAKES) {
  test(`a handshake ${words} is answered with the problem ${code}, and counted`, async () => {
    await using server = await start()
    const text = await RawClient.exchange(server.port, `${head}\r\n\r\n`)
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `))
    assert.match(text, /^content-type: application\/problem\+json\r$/m)
    assert.match(text, new RegExp(`"code":"${code}"`))
    assert.equal(server.hub.counters.refused.get(code), 1)
    assert.equal(server.hub.counters.connections.websocket, 0)
  })
}

test('clients that vanish in their handshake leave nothing behind', async () => {
  await using server = await start()
  for (let at = 0; at < 40; at += 1) {
    using client = await RawClient.connect(server.port)
    client.say(at % 2 === 0 ? HANDSHAKE : HANDSHAKE.slice(0, at * 4))
    client.socket.resetAndDestroy()
  }
  using client = await WsClient.open(`${server.wsUrl}/events/a`)
  await until(() => server.hub.counters.connections.websocket === 1, 'one client to be left')
  assert.equal((await post(server.url, '/events/a', 'x')).status, 200)
  await client.until(({ messages }) => messages.length === 1)
})

/** A text frame as a client sends it: masked, here with zeros. */
function maskedFrame(text: string): string {
  return `\x81${String.fromCharCode(0x80 | text.length)}\0\0\0\0${text}`
}
