// Clients that misbehave over HTTP: each costs itself its connection, and nobody else anything.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ask, post } from '../support/ask.ts'
import { RawClient } from '../support/raw-client.ts'
import { SteppedClock } from '../support/stepped-clock.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer, type TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'

const STREAM = 'GET /events/a HTTP/1.1\r\nhost: x\r\n\r\n'

// ── requests behind a stream ─────────────────────────────────────────────────────────────────────────────────────────

const BEHIND: readonly (readonly [words: string, request: string])[] = [
  ['another stream', STREAM],
  ['a question', 'GET /livez HTTP/1.1\r\nhost: x\r\n\r\n'],
  ['a publish', 'POST /events/a HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nevil'],
]

for (const [words, request] of BEHIND) {
  for (const together of [true, false]) {
    test(`${words} behind a stream, ${together ? 'in the same packet' : 'later'}, costs that connection and no other`, async () => {
      await using server = await startServer()
      using other = await StreamClient.open(server.url, '/events/a')
      using client = await RawClient.connect(server.port)
      if (!together) {
        client.say(STREAM)
        await client.hear('hydrant:open')
      }
      client.say(together ? STREAM + request : request)
      await client.closed()
      await until(() => server.hub.counters.connections.sse === 1, 'one stream to be left')
      assert.equal(server.hub.counters.published, 0)
      assert.doesNotMatch(client.text, /\r\nok\n/)
      await server.hub.publish({ topic: 'a', data: 'x' })
      await other.until(({ data }) => data.length === 1)
    })
  }
}

test('a stream behind answers on the same connection opens', async () => {
  await using server = await startServer()
  using client = await RawClient.connect(server.port)
  client.say(
    `GET /livez HTTP/1.1\r\nhost: x\r\n\r\nPOST /events/b HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx${STREAM}`,
  )
  await client.hear('hydrant:open')
  await server.hub.publish({ topic: 'a', data: 'here' })
  await client.hear('data: here')
})

test('once a stream was ended by the server its connection may ask again', async () => {
  await using server = await startServer({ limits: { connectionsMax: 1 } })
  using first = await StreamClient.open(server.url, '/events/a')
  await first.until(({ messages }) => messages.length === 1)
  using client = await RawClient.connect(server.port)
  client.say(STREAM)
  await client.hear('\r\n0\r\n\r\n')
  client.say('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n')
  await client.hear('ok\n')
})

// ── connections that are no use ──────────────────────────────────────────────────────────────────────────────────────

test('a head that comes too slowly is answered 408, while others are served', async () => {
  await using server = await startServer({}, { headersTimeout: 100, connectionsCheckingInterval: 20 })
  using client = await RawClient.connect(server.port)
  client.say('GET /events/a HTTP/1.1\r\nhost: ')
  while (!client.isClosed) assert.equal((await ask(server.url, 'GET', '/livez')).status, 200)
  assert.match(client.text, /^HTTP\/1\.1 408 /)
})

test('a body that comes too slowly publishes nothing', async () => {
  const timeouts = { headersTimeout: 100, requestTimeout: 100, connectionsCheckingInterval: 20 }
  await using server = await startServer({}, timeouts)
  using client = await RawClient.connect(server.port)
  client.say('POST /events/a HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf')
  await client.closed()
  await until(() => server.hub.counters.refused.get('malformed-body') === 1, 'the refusal to be counted')
  assert.equal(server.hub.counters.published, 0)
})

test('a timeout for requests does not end streams', async () => {
  const timeouts = { headersTimeout: 50, requestTimeout: 50, keepAliveTimeout: 50, connectionsCheckingInterval: 10 }
  await using server = await startServer({ limits: { heartbeatMs: 40 } }, timeouts)
  using client = await StreamClient.open(server.url, '/events/a')
  await client.until(({ comments }) => comments.length >= 10)
  assert.ok(!client.isClosed)
})

const GARBAGE: readonly (readonly [words: string, bytes: string])[] = [
  ['random bytes', randomBytes(2_000).toString('latin1')],
  ['the start of TLS', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a head without an end', `GET / HTTP/1.1\r\nx: ${'y'.repeat(100_000)}`],
  ['a length that is none', 'POST /events/a HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n'],
  ['two lengths', 'POST /events/a HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxy'],
  [
    'length and chunks',
    'POST /events/a HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a chunk of no size', 'POST /events/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n'],
]

for (const [words, bytes] of GARBAGE) {
  test(`${words} are closed, and publish nothing`, async () => {
    await using server = await startServer()
    using client = await RawClient.connect(server.port)
    client.say(bytes)
    await client.closed()
    assert.doesNotMatch(client.text, /^HTTP\/1\.1 [23]/)
    assert.equal(server.hub.counters.published, 0)
    assert.equal((await post(server.url, '/events/a', 'x')).status, 200)
  })
}

test('garbage on the connection of a stream ends that stream and no other', async () => {
  await using server = await startServer()
  using other = await StreamClient.open(server.url, '/events/a')
  using client = await RawClient.connect(server.port)
  client.say(STREAM)
  await client.hear('hydrant:open')
  client.say('\0\0\0 no request')
  await client.closed()
  await until(() => server.hub.counters.connections.sse === 1, 'one stream to be left')
  await server.hub.publish({ topic: 'a', data: 'x' })
  await other.until(({ data }) => data.length === 1)
})

test('a client that closes its half leaves no stream behind', async () => {
  await using server = await startServer()
  using client = await RawClient.connect(server.port, { allowHalfOpen: true })
  client.say(STREAM)
  await client.hear('hydrant:open')
  client.socket.end()
  await until(() => server.hub.counters.connections.sse === 0, 'the stream to be gone')
  await until(() => client.isEnded, 'the other half to be closed')
})

test('clients that vanish at any moment leave nothing behind', async () => {
  await using server = await startServer()
  const clients = await Promise.all(Array.from({ length: 50 }, () => RawClient.connect(server.port)))
  for (const [at, client] of clients.entries()) {
    client.say(STREAM.slice(0, at))
    if (at % 3 === 0) client.say(STREAM.slice(at))
    if (at % 2 === 0) client.socket.resetAndDestroy()
    else client.socket.destroy()
  }
  const streams = await Promise.all(Array.from({ length: 50 }, () => StreamClient.open(server.url, '/events/a')))
  for (const stream of streams) stream[Symbol.dispose]()
  await until(() => server.hub.counters.connections.sse === 0, 'all streams to be gone')
  assert.equal((await post(server.url, '/events/a', 'x')).status, 200)
})

// ── clients that do not read ─────────────────────────────────────────────────────────────────────────────────────────

test('clients that never read are stalled and cost a bounded amount; another misses nothing', async () => {
  const limits = { windowBytes: 2_000_000, flushBytesMax: 100_000, pinnedBytesMax: 500_000, stallMs: 10_000 }
  const clock = new SteppedClock()
  await using server = await startServer({ clock, limits })
  const sockets = socketsOf(server)
  const idle = await Promise.all(Array.from({ length: 5 }, () => RawClient.connect(server.port)))
  for (const client of idle) {
    client.socket.pause()
    client.say(STREAM)
  }
  using reader = await StreamClient.open(server.url, '/events/a')
  await until(() => server.hub.counters.connections.sse === 6, 'six streams')
  const data = 'x'.repeat(10_000)
  for (let round = 0; server.hub.counters.stalls < 5 || round < 20; round += 1) {
    assert.ok(round < 100, 'they never stalled')
    await server.hub.publishBatch(Array.from({ length: 50 }, () => ({ topic: 'a', data })))
    await reader.until((client) => client.data.length === server.hub.counters.published)
    const held = Math.max(...[...sockets].map((socket) => socket.writableLength))
    assert.ok(held <= 2 * limits.flushBytesMax, `a socket held ${held} bytes`)
    assert.ok(server.hub.window.bytes <= limits.windowBytes, `the window holds ${server.hub.window.bytes} bytes`)
    assert.ok(server.hub.counters.pinnedBytes <= limits.pinnedBytesMax)
  }
  assert.ok(server.hub.counters.pinnedBytes > 0)
  clock.advance(15_000)
  assert.equal(server.hub.counters.connections.sse, 1, 'those that read nothing for so long are ended')
  assert.equal(server.hub.counters.pinnedBytes, 0)
  for (const client of idle) client[Symbol.dispose]()
})

test('a client that pauses and reads on gets every event once, in order', async () => {
  await using server = await startServer({ limits: { flushBytesMax: 50_000 } })
  using client = await StreamClient.open(server.url, '/events/a')
  await client.until(({ messages }) => messages.length === 1)
  client.response.pause()
  const data = 'x'.repeat(10_000)
  let total = 0
  while (server.hub.counters.stalls === 0) {
    assert.ok(total < 10_000, 'it never stalled')
    await server.hub.publish({ topic: 'a', data: `${(total += 1)} ${data}` })
    await turn()
  }
  for (let more = 0; more < 100; more += 1) await server.hub.publish({ topic: 'a', data: `${(total += 1)} ${data}` })
  client.response.resume()
  await client.until((it) => it.data.length >= total)
  assert.deepEqual(
    client.data.map((text) => Number.parseInt(text, 10)),
    Array.from({ length: total }, (_, at) => at + 1),
  )
  assert.ok(!client.isClosed)
})

test('a client that reads nothing for too long is ended, although its events are still kept', async () => {
  const clock = new SteppedClock()
  await using server = await startServer({ clock, limits: { stallMs: 10_000 } })
  using client = await RawClient.connect(server.port)
  client.socket.pause()
  client.say(STREAM)
  await until(() => server.hub.counters.connections.sse === 1, 'the stream')
  while (server.hub.counters.stalls === 0) {
    assert.ok(server.hub.counters.published < 1_000, 'it never stalled')
    await server.hub.publish({ topic: 'a', data: 'x'.repeat(100_000) })
    await turn()
  }
  clock.advance(9_000)
  assert.equal(server.hub.counters.connections.sse, 1)
  clock.advance(6_000)
  assert.equal(server.hub.counters.connections.sse, 0)
  assert.equal(server.hub.counters.ended.get('lagged'), 1)
})

test('a client that reads nothing does not hold up close', async () => {
  await using server = await startServer()
  using client = await RawClient.connect(server.port)
  client.socket.pause()
  client.say(STREAM)
  await until(() => server.hub.counters.connections.sse === 1, 'the stream')
  while (server.hub.counters.stalls === 0) {
    await server.hub.publish({ topic: 'a', data: 'x'.repeat(100_000) })
    await turn()
  }
  await server.hub.close()
  assert.equal(server.hub.counters.connections.sse, 0)
})

test('a body in pieces of one byte costs about its own size while it comes', async () => {
  await using server = await startServer()
  using client = await RawClient.connect(server.port)
  client.say('POST /events/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n')
  const socket = await serverSocketOf(server)
  const before = liveBytes()
  const bytes = 50_000
  client.say('1\r\nx\r\n'.repeat(bytes))
  await until(() => socket.bytesRead >= bytes * 6, 'the pieces to be read')
  const grown = liveBytes() - before
  client.say('0\r\n\r\n')
  await client.hear('"id"')
  assert.ok(grown < 10_000_000, `${bytes} bytes took ${grown}`)
})

/** A turn of the event loop, in which sockets are written. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

function socketsOf(server: TestServer): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  return sockets
}

/** The server's side of the next request. */
function serverSocketOf({ server }: TestServer): Promise<Socket> {
  return new Promise((resolve) => {
    server.once('request', ({ socket }) => resolve(socket))
  })
}

/** What is alive on the heap and beside it. */
function liveBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
