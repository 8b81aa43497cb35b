import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { Server } from '../../src/server/server.ts'
import { StartError } from '../../src/server/start-error.ts'
import { ask, post } from '../support/ask.ts'
import { GatedEngine } from '../support/gated-engine.ts'
import { openServer as open } from '../support/open-server.ts'
import { RawClient } from '../support/raw-client.ts'
import { StreamClient } from '../support/stream-client.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

function refused(server: Server, code: string): number {
  return server.hub.counters.refused.get(code) ?? 0
}

test('a socket that says nothing, and one that stops in a head, are closed after headMs', async () => {
  await using server = await open({}, { headMs: 50 })
  using silent = await RawClient.connect(server.port)
  using slow = await RawClient.connect(server.port)
  slow.say('GET /livez HTTP/1.1\r\nhost: a\r\nx-half: ')
  for (const client of [silent, slow]) {
    assert.match(await client.closed(), /^HTTP\/1\.1 408 [^]*"code":"request-timeout"/)
  }
  assert.equal(refused(server, 'request-timeout'), 2)
})

test('a body that stops coming is given up after bodyQuietMs', async () => {
  await using server = await open({}, { bodyQuietMs: 50 })
  using client = await RawClient.connect(server.port)
  client.say('POST /events/news HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf')
  assert.match(await client.closed(), /^HTTP\/1\.1 408 [^]*"code":"request-timeout"/)
  assert.equal(server.hub.counters.published, 0)
})

test('a body that comes on but never ends is given up after bodyMs', async () => {
  await using server = await open({}, { bodyMs: 100 })
  using client = await RawClient.connect(server.port)
  client.say('POST /events/news HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n')
  const drip = setInterval(() => client.say('.'), 5)
  assert.match(await client.closed(), /^HTTP\/1\.1 408 /)
  clearInterval(drip)
})

test('a body that goes on after its refusal is given up as well', async () => {
  await using server = await open({}, { bodyQuietMs: 50 })
  using client = await RawClient.connect(server.port)
  const head = 'host: a\r\norigin: https://elsewhere.example\r\ncontent-length: 100\r\n\r\nhalf'
  client.say(`POST /events/news HTTP/1.1\r\n${head}`)
  await client.hear(/^HTTP\/1\.1 403 /)
  await client.closed()
})

test('a publish stream may be quiet for longer than any other body', async () => {
  await using server = await open({}, { bodyQuietMs: 20, bodyMs: 20, endedQuietMs: 20, headMs: 20 })
  using other = await RawClient.connect(server.port)
  using client = await RawClient.connect(server.port)
  const head = 'host: a\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n'
  client.say(`POST /events/news HTTP/1.1\r\n${head}D\r\n{"data":"a"}\n\r\n`)
  await until(() => server.hub.counters.published === 1, 'the first line')
  other.say('POST /events/news HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n')
  await other.closed() // the bounds have passed, and not for the stream
  client.say('D\r\n{"data":"b"}\n\r\n0\r\n\r\n')
  await client.hear(/^HTTP\/1\.1 200 [^]*"published":2/)
})

test('a stream is open for as long as its client wants, also when the body of its request never comes', async () => {
  await using server = await open({}, { bodyQuietMs: 20, bodyMs: 20, headMs: 20 })
  using client = await RawClient.connect(server.port)
  client.say('GET /events/news HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n')
  await client.hear('hydrant:open')
  using other = await RawClient.connect(server.port)
  other.say('POST /events/news HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n')
  await other.closed() // the bounds have passed, and not for the stream
  await post(server.url, '/events/news', 'hello')
  await client.hear('data: hello')
})

test('an answer that nobody takes is given up after endedQuietMs', async () => {
  await using server = await open({}, { endedQuietMs: 50 })
  const data = 'x'.repeat(1_000_000)
  for (let at = 0; at < 20; at += 1) await server.hub.publish({ topic: 'news', data })
  using client = await RawClient.connect(server.port)
  client.socket.pause()
  client.say('GET /events/news?earliest HTTP/1.1\r\nhost: a\r\naccept: application/json\r\n\r\n')
  await until(() => server.sockets === 1, 'the connection')
  await until(() => server.sockets === 0, 'its end')
  assert.equal(refused(server, 'answer-not-taken'), 1)
})

test('what is no HTTP is answered 400, counted, and stops nothing', async () => {
  await using server = await open()
  for (const garbage of ['\x16\x03\x01\x02\x00\x01\x00', 'GET / HTTP/9.9\r\n\r\n', 'nonsense\r\n\r\n']) {
    using client = await RawClient.connect(server.port)
    client.say(garbage)
    assert.match(await client.closed(), /^HTTP\/1\.1 400 [^]*application\/problem\+json[^]*"code":"malformed-request"/)
  }
  assert.equal(refused(server, 'malformed-request'), 3)
  assert.equal((await ask(server.url, 'GET', '/livez')).status, 200)
})

test('a head over 16 KB is answered 431', async () => {
  await using server = await open()
  using client = await RawClient.connect(server.port)
  client.say(`GET / HTTP/1.1\r\nhost: a\r\nx-big: ${'x'.repeat(20_000)}\r\n\r\n`)
  assert.match(await client.closed(), /^HTTP\/1\.1 431 [^]*"code":"head-too-large"/)
})

test('garbage behind the request of a stream ends the stream, and writes nothing into it', async () => {
  await using server = await open()
  using client = await RawClient.connect(server.port)
  client.say('GET /events/news HTTP/1.1\r\nhost: a\r\n\r\n')
  await client.hear('hydrant:open')
  client.say('nonsense\r\n\r\n')
  assert.doesNotMatch(await client.closed(), /HTTP\/1\.1 400/)
})

test('an offer of h2c is answered as HTTP/1.1', async () => {
  await using server = await open()
  const { status } = await ask(server.url, 'GET', '/livez', {
    headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' },
  })
  assert.equal(status, 200)
})

test('WebSockets are served on the same port, below the base path', async () => {
  await using server = await open({ basePath: '/api' })
  using client = await WsClient.open(`${server.url.replace('http', 'ws')}/events/news`)
  await post(server.url, '/events/news', 'hello')
  await client.until(({ messages }) => messages.includes('hello'))
})

test('the page at / is there, unless it is switched off', async () => {
  await using on = await open()
  await using off = await open({ console: 'off' })
  assert.match((await ask(on.url, 'GET', '/')).text, /<!doctype html>/i)
  assert.equal((await ask(off.url, 'GET', '/')).status, 404)
})

test('a port that is taken is a StartError that names another', async () => {
  await using first = await open()
  await assert.rejects(
    open({ port: String(first.port) }),
    (error) => error instanceof StartError && error.message.includes(`--port ${first.port + 1}`),
  )
})

test('a host that is not of this machine is a StartError', async () => {
  await assert.rejects(open({ host: '192.0.2.1' }), /192\.0\.2\.1 is no address of this machine/)
})

test('closing fails readiness at once, and takes no more connections', async () => {
  const server = await open()
  const { port } = server
  const closed = server.close()
  assert.equal(server.hub.isClosing, true)
  const late = connect(port, '127.0.0.1')
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException]
  assert.equal(error.code, 'ECONNREFUSED')
  await closed
})

test('a publish that was under way before the close is acknowledged', async () => {
  const engine = new GatedEngine()
  const server = await open({}, {}, engine)
  using client = await RawClient.connect(server.port)
  engine.shut()
  client.say('POST /events/news HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello')
  await until(() => engine.waiting === 1, 'the append')
  const closed = server.close()
  engine.unlock()
  assert.match(await client.closed(), /^HTTP\/1\.1 200 [^]*connection: close[^]*"id":"/i)
  await closed
})

test('closing says farewell to streams, with the id to come back with', async () => {
  const server = await open()
  using client = await StreamClient.open(server.url, '/events/news')
  const { json } = await post(server.url, '/events/news', 'hello')
  await client.until(({ data }) => data.length === 1)
  await server.close()
  await client.closed()
  const bye = client.messages.at(-1)
  assert.deepEqual([bye?.type, bye?.lastEventId], ['hydrant:bye', json['id']])
  assert.equal(server.sockets, 0)
})

test('an answer that is being taken at the close is given whole', async () => {
  const server = await open()
  const data = 'x'.repeat(1_000_000)
  for (let at = 0; at < 20; at += 1) await server.hub.publish({ topic: 'news', data })
  using client = await RawClient.connect(server.port)
  client.say('GET /events/news?earliest HTTP/1.1\r\nhost: a\r\naccept: application/json\r\n\r\n')
  await client.hear('HTTP/1.1 200')
  client.socket.pause()
  const closed = server.close()
  client.socket.resume()
  const [head = '', body = ''] = (await client.closed()).split('\r\n\r\n')
  assert.equal(String(body.length), /content-length: (\d+)/.exec(head)?.[1])
  await closed
})

test('closing refuses a publish that never comes to its end, and tells a publish stream how far it came', async () => {
  const server = await open({}, { graceMs: 100 })
  using whole = await RawClient.connect(server.port)
  using lines = await RawClient.connect(server.port)
  whole.say('POST /events/news HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf')
  const head = 'host: a\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n'
  lines.say(`POST /events/news HTTP/1.1\r\n${head}D\r\n{"data":"a"}\n\r\n`)
  await until(() => server.hub.counters.published === 1, 'the first line')
  const closed = server.close()
  lines.say('D\r\n{"data":"b"}\n\r\n')
  assert.match(await lines.closed(), /^HTTP\/1\.1 503 [^]*"code":"shutting-down"[^]*"published":1/)
  assert.match(await whole.closed(), /^HTTP\/1\.1 503 [^]*"code":"shutting-down"/)
  await closed
})
