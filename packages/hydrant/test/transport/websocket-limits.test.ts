// What a WebSocket client may cost: rates, sizes, silence, garbage; and the close codes that say so.

import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { CLOSE_CODES } from 'hydrant-client/wire'
import type { HubOptions } from '../../src/index.ts'
import { RawClient } from '../support/raw-client.ts'
import { SteppedClock } from '../support/stepped-clock.ts'
import { startServer, type TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

test('more messages a second than allowed close with 4005; what was allowed is published', async () => {
  const clock = new SteppedClock()
  await using server = await startServer({ clock, limits: { messagesPerSecondMax: 10 } })
  using client = await WsClient.open(`${server.wsUrl}/events/a`)
  for (let at = 0; at < 12; at += 1) client.socket.send(String(at))
  assert.equal(await client.closed(), 4005)
  assert.equal(client.closeReason, 'rate-exceeded')
  assert.equal(server.hub.counters.published, 10)
  assert.equal(server.hub.counters.ended.get('rate-exceeded'), 1)
})

test('as many messages a second as allowed may go on for ever', async () => {
  const clock = new SteppedClock()
  await using server = await startServer({ clock, limits: { messagesPerSecondMax: 10 } })
  using client = await WsClient.open(`${server.wsUrl}/events/a`)
  for (let second = 1; second <= 5; second += 1) {
    for (let at = 0; at < 10; at += 1) client.socket.send('x')
    await until(() => server.hub.counters.published === second * 10, 'ten events')
    clock.advance(1_000)
  }
  assert.equal(client.closeCode, undefined)
})

test('a message that is larger than any event can be closes with 1009', async () => {
  await using server = await startServer({ limits: { eventBytesMax: 1_000 } })
  using client = await WsClient.open(`${server.wsUrl}/events/a`)
  client.socket.send('x'.repeat(10_000))
  assert.equal(await client.closed(), CLOSE_CODES['too-large'])
  assert.equal(server.hub.counters.published, 0)
  await until(() => server.hub.counters.connections.websocket === 0, 'the connection to be gone')
})

const HANDSHAKE =
  'GET /events/a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n'

const BROKEN: readonly (readonly [words: string, frame: string, closeCode: number])[] = [
  ['text that is not UTF-8', '\x81\x82\0\0\0\0\xc3\x28', 1007],
  ['text cut within a letter', '\x81\x81\0\0\0\0\xc3', 1007],
  ['a frame without a mask', '\x81\x01x', 1002],
  ['a reserved opcode', '\x83\x80\0\0\0\0', 1002],
  ['a reserved bit', '\xc1\x80\0\0\0\0', 1002],
  ['a fragmented ping', '\x09\x80\0\0\0\0', 1002],
  ['a continuation of nothing', '\x80\x80\0\0\0\0', 1002],
  ['a length beyond all bounds', '\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff', 1009],
  ['a close code that is none', '\x88\x82\0\0\0\0\x03\xed', 1002],
]

for (const [words, frame, closeCode] of BROKEN) {
  test(`${words} closes with ${closeCode}, and stops nothing`, async () => {
    await using server = await startServer()
    using other = await WsClient.open(`${server.wsUrl}/events/a`)
    using client = await RawClient.connect(server.port)
    client.say(HANDSHAKE)
    await client.hear('\r\n\r\n')
    client.say(frame)
    await client.hear(`\x88\x02${String.fromCharCode(closeCode >> 8, closeCode & 0xff)}`)
    await client.closed()
    await until(() => server.hub.counters.connections.websocket === 1, 'one connection to be left')
    await server.hub.publish({ topic: 'a', data: 'x' })
    await other.until(({ messages }) => messages.length === 1)
  })
}

test('a message in fragments is one message, with a ping between them', async () => {
  await using server = await startServer()
  using client = await RawClient.connect(server.port)
  client.say(HANDSHAKE)
  await client.hear('\r\n\r\n')
  client.say('\x01\x81\0\0\0\0a\x89\x81\0\0\0\0p\x80\x81\0\0\0\0b')
  await client.hear('\x8a\x01p')
  await client.hear('\x81\x02ab')
  assert.equal(server.hub.counters.published, 1)
})

// ── signs of life ────────────────────────────────────────────────────────────────────────────────────────────────────

test('an idle client is pinged, and lives on as long as it answers', async () => {
  const clock = new SteppedClock()
  await using server = await startServer({ clock, limits: { heartbeatMs: 10_000 } })
  let heardBytes = (): number => 0
  server.server.on('upgrade', (_request, socket: Socket) => (heardBytes = () => socket.bytesRead))
  using client = await WsClient.open(`${server.wsUrl}/events/a`)
  let pings = 0
  client.socket.on('ping', () => (pings += 1))
  const handshake = heardBytes()
  const pong = 6
  for (let at = 1; at <= 4; at += 1) {
    clock.advance(at === 1 ? 10_000 : 20_000)
    await until(() => heardBytes() === handshake + at * pong, 'a pong')
    assert.equal(pings, at)
  }
  assert.equal(client.closeCode, undefined)
  assert.equal(server.hub.counters.connections.websocket, 1)
})

test('a client that does not answer a ping by the next one is closed with 4002', async () => {
  const clock = new SteppedClock()
  await using server = await startServer({ clock, limits: { heartbeatMs: 10_000 } })
  using client = await WsClient.open(`${server.wsUrl}/events/a`, undefined, { autoPong: false })
  let pings = 0
  client.socket.on('ping', () => (pings += 1))
  clock.advance(10_000)
  await until(() => pings === 1, 'a ping')
  assert.equal(client.closeCode, undefined)
  clock.advance(10_000)
  assert.equal(await client.closed(), 4002)
  assert.equal(server.hub.counters.ended.get('unresponsive'), 1)
  assert.equal(server.hub.counters.connections.websocket, 0)
})

test('a client that speaks is not pinged', async () => {
  const clock = new SteppedClock()
  await using server = await startServer({ clock, limits: { heartbeatMs: 10_000 } })
  using client = await WsClient.open(`${server.wsUrl}/events/a`, undefined, { autoPong: false })
  for (let at = 1; at <= 6; at += 1) {
    client.socket.send('still here')
    await until(() => server.hub.counters.published === at, 'the message')
    clock.advance(10_000)
  }
  await client.until(({ messages }) => messages.length === 6)
  assert.equal(client.closeCode, undefined)
})

test('a client that is cut off without a word is found and forgotten', async () => {
  const clock = new SteppedClock()
  await using server = await startServer({ clock, limits: { heartbeatMs: 10_000 } })
  using client = await RawClient.connect(server.port)
  client.say(HANDSHAKE)
  await client.hear('\r\n\r\n')
  clock.advance(10_000)
  await client.hear('\x89\0')
  clock.advance(10_000)
  await client.hear('\x88\x0e\x0f\xa2unresponsive')
  assert.equal(server.hub.counters.connections.websocket, 0)
  await client.closed()
})

// ── close codes ──────────────────────────────────────────────────────────────────────────────────────────────────────

test('one connection too many is closed with 4004', async () => {
  await using server = await startServer({ limits: { connectionsMax: 1 } })
  using first = await WsClient.open(`${server.wsUrl}/events/a`)
  using second = await WsClient.open(`${server.wsUrl}/events/a`)
  assert.equal(await second.closed(), 4004)
  await server.hub.publish({ topic: 'a', data: 'x' })
  await first.until(({ messages }) => messages.length === 1)
  assert.deepEqual(second.messages, [])
})

test('at close every client is told 1001, after what was published before', async () => {
  await using server = await startServer()
  const clients = await Promise.all(Array.from({ length: 20 }, () => WsClient.open(`${server.wsUrl}/events/a`)))
  await until(() => server.hub.counters.connections.websocket === 20, 'all to be open')
  await server.hub.publish({ topic: 'a', data: 'last words' })
  await server.hub.close()
  for (const client of clients) {
    assert.equal(await client.closed(), 1001)
    assert.deepEqual(client.messages, ['last words'])
  }
})

test('a client that comes while the server closes is told 1001', async () => {
  await using server = await startServer()
  await server.hub.close()
  using client = await WsClient.open(`${server.wsUrl}/events/a`)
  assert.equal(await client.closed(), 1001)
})

test('a client that closes is answered with its own code', async () => {
  await using server = await startServer()
  using client = await WsClient.open(`${server.wsUrl}/events/a`)
  client.socket.close(1000, 'enough')
  assert.equal(await client.closed(), 1000)
  await until(() => server.hub.counters.connections.websocket === 0, 'the connection to be gone')
})

// ── clients that do not read ─────────────────────────────────────────────────────────────────────────────────────────

/** A client that has stopped reading, and how much was published until it stalled. */
async function stall(options: HubOptions, path: string): Promise<Stalled> {
  const server = await startServer(options)
  const client = await WsClient.open(`${server.wsUrl}${path}`)
  await until(() => server.hub.counters.connections.websocket === 1, 'the connection')
  client.socket.pause()
  let published = 0
  while (server.hub.counters.stalls === 0) {
    assert.ok(published < 5_000, 'it never stalled')
    await server.hub.publish({ topic: 'a', data: `${(published += 1)} ${'x'.repeat(10_000)}` })
    await new Promise(setImmediate)
  }
  const close = async (): Promise<void> => {
    client[Symbol.dispose]()
    await server[Symbol.asyncDispose]()
  }
  return { server, client, published, [Symbol.asyncDispose]: close }
}

interface Stalled extends AsyncDisposable {
  readonly server: TestServer
  readonly client: WsClient
  readonly published: number
}

test('a client that pauses and reads on gets every message once, in order', async () => {
  await using stalled = await stall({ limits: { flushBytesMax: 50_000 } }, '/events/a')
  const { server, client, published } = stalled
  for (let more = 1; more <= 50; more += 1) await server.hub.publish({ topic: 'a', data: `${published + more} ` })
  client.socket.resume()
  await client.until(({ messages }) => messages.length >= published + 50)
  const numbers = client.messages.map((message) => Number.parseInt(String(message), 10))
  assert.deepEqual(
    numbers,
    Array.from({ length: published + 50 }, (_, at) => at + 1),
  )
})

test('a client that reads nothing for too long is ended', async () => {
  const clock = new SteppedClock()
  await using stalled = await stall({ clock, limits: { stallMs: 10_000, heartbeatMs: 4_000 } }, '/events/a')
  const { server } = stalled
  clock.advance(9_000)
  assert.equal(server.hub.counters.connections.websocket, 1)
  clock.advance(4_000)
  assert.equal(server.hub.counters.connections.websocket, 0)
  assert.equal(server.hub.counters.ended.get('lagged'), 1)
})
