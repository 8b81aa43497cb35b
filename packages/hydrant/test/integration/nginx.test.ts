// hydrant behind Debian's nginx: with the files of deploy/ as they stand, but for ports and times.

import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { ask, post } from '../support/ask.ts'
import { reloadNginx, startDeployedNginx } from '../support/nginx.ts'
import { NumberFollower } from '../support/number-follower.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

/** Heartbeats every quarter second or so: a stream that got this many has outlived a timeout of 1 s twice. */
const SIGNS_OF_LIFE = 12

test('an event that is published arrives at once, long before any buffer is full', async () => {
  await using server = await startServer()
  await using nginx = await startDeployedNginx(server.port)
  using stream = await StreamClient.open(nginx.url, '/events/news')
  await stream.until(({ messages }) => messages.length === 1)
  assert.equal(stream.messages[0]?.type, 'hydrant:open')

  for (const data of ['one', 'two', 'three']) {
    await server.hub.publish({ topic: 'news', data })
    await stream.until((client) => client.data.at(-1) === data) // the next is published only when this one is there
  }
  assert.equal(stream.headers['content-type'], 'text/event-stream')
  assert.equal(stream.headers['cache-control'], 'no-cache, no-transform')
})

test('a stream of lines arrives at once, too', async () => {
  await using server = await startServer()
  await using nginx = await startDeployedNginx(server.port)
  using stream = await StreamClient.open(nginx.url, '/events/news', { accept: 'application/x-ndjson' })
  await stream.until(({ lines }) => lines.length === 1)
  await server.hub.publish({ topic: 'news', data: 'one' })
  await stream.until(({ lines }) => lines.at(-1)?.['data'] === 'one')
})

test('idle streams and WebSockets outlive the timeouts of nginx by their heartbeats', async () => {
  await using server = await startServer({ limits: { heartbeatMs: 300 } })
  await using nginx = await startDeployedNginx(server.port, {
    'proxy_read_timeout 60s;': 'proxy_read_timeout 1s;',
    'send_timeout 60s;': 'send_timeout 1s;',
  })
  using stream = await StreamClient.open(nginx.url, '/events/news')
  using socket = await WsClient.open(`${nginx.wsUrl}/events/news`)
  let pings = 0
  socket.socket.on('ping', () => (pings += 1))
  await stream.until(({ comments }) => comments.length >= SIGNS_OF_LIFE)
  await until(() => pings >= SIGNS_OF_LIFE / 2, 'pings')

  await server.hub.publish({ topic: 'news', data: 'after a long silence' })
  await stream.until(({ data }) => data[0] === 'after a long silence')
  await socket.until(({ messages }) => messages[0] === 'after a long silence')
  assert.equal(server.hub.counters.opened.sse, 1)
  assert.equal(server.hub.counters.opened.websocket, 1)
})

test('without heartbeats nginx cuts idle streams: what the test before proves is real', async () => {
  await using server = await startServer({ limits: { heartbeatMs: 60_000 } })
  await using nginx = await startDeployedNginx(server.port, { 'proxy_read_timeout 60s;': 'proxy_read_timeout 1s;' })
  using stream = await StreamClient.open(nginx.url, '/events/news')
  await stream.closed()
  assert.equal(server.hub.counters.heartbeats, 0)
})

test('an EventSource that is cut by a reload, after worker_shutdown_timeout, comes back and misses nothing', async () => {
  await using server = await startServer({ limits: { retryMs: 20 } })
  await using nginx = await startDeployedNginx(server.port, {
    'worker_shutdown_timeout 30s;': 'worker_shutdown_timeout 1s;',
  })
  using follower = await NumberFollower.open(server.hub, nginx.url)
  await reloadNginx(nginx)
  await follower.followOverCut()
  assert.equal(server.hub.counters.gaps, 0)
})

test('a client that comes back with its id resumes right after it', async () => {
  await using server = await startServer()
  await using nginx = await startDeployedNginx(server.port)
  const id = await server.hub.publish({ topic: 'news', data: 'seen' })
  await server.hub.publish({ topic: 'news', data: 'missed' })
  using stream = await StreamClient.open(nginx.url, '/events/news', { 'last-event-id': id })
  await stream.until(({ data }) => data.length === 1)
  assert.deepEqual(stream.data, ['missed'])
})

test('a WebSocket works both ways, for programs and for pages of the same origin', async () => {
  await using server = await startServer()
  await using nginx = await startDeployedNginx(server.port)
  using page = await WsClient.open(`${nginx.wsUrl}/events/chat`, undefined, { origin: nginx.url })
  using program = await WsClient.open(`${nginx.wsUrl}/events/chat`, 'hydrant.v1')
  await program.until(({ json }) => json.length === 1)
  page.socket.send('hello')
  await page.until(({ messages }) => messages[0] === 'hello')
  await program.until(({ json }) => json.at(-1)?.['data'] === 'hello')
})

test('pages of another origin can neither open a WebSocket nor publish', async () => {
  await using server = await startServer()
  await using nginx = await startDeployedNginx(server.port)
  const origin = 'https://elsewhere.example'
  await assert.rejects(WsClient.open(`${nginx.wsUrl}/events/chat`, undefined, { origin }), /403/)
  const refused = await post(nginx.url, '/events/news', 'hello', { origin })
  assert.deepEqual([refused.status, refused.json['code']], [403, 'forbidden-origin'])
  // The same host on another port is another origin, too: the port must come through.
  const neighbour = await post(nginx.url, '/events/news', 'hello', { origin: 'http://127.0.0.1' })
  assert.equal(neighbour.status, 403)
  const accepted = await post(nginx.url, '/events/news', 'hello', { origin: nginx.url })
  assert.equal(accepted.status, 200)
})

test('publishing works, and what is too large is refused by hydrant, which says why', async () => {
  await using server = await startServer()
  await using nginx = await startDeployedNginx(server.port)
  const stored = await post(nginx.url, '/events/news', 'x'.repeat(1_048_576))
  assert.equal(stored.status, 200)
  const refused = await post(nginx.url, '/events/news', 'x'.repeat(1_048_577))
  assert.deepEqual([refused.status, refused.json['code']], [413, 'event-too-large'])
  const page = await ask(nginx.url, 'GET', '/events/news', { headers: { accept: 'application/json' } })
  assert.equal((page.json['events'] as unknown[]).length, 1)
})

test('the lines of an NDJSON publish stream are published as they come, not when it ends', async () => {
  await using server = await startServer()
  await using nginx = await startDeployedNginx(server.port)
  using stream = await StreamClient.open(nginx.url, '/events/log')
  const answered = Promise.withResolvers<number | undefined>()
  const headers = { 'content-type': 'application/x-ndjson' }
  const publisher = request(`${nginx.url}/events/log`, { method: 'POST', headers, agent: false })
  publisher.on('response', (response) => answered.resolve(response.resume().statusCode))
  publisher.on('error', answered.reject)
  for (const data of ['one', 'two']) {
    publisher.write(`${JSON.stringify({ data })}\n`)
    await stream.until((client) => client.data.at(-1) === data)
  }
  publisher.end()
  assert.equal(await answered.promise, 200)
})

test('what is not meant for the world is not passed on', async () => {
  await using server = await startServer()
  await using nginx = await startDeployedNginx(server.port)
  for (const path of ['/', '/metrics', '/readyz']) {
    const { status } = await ask(nginx.url, 'GET', path)
    assert.equal(status, 404, path)
  }
  assert.equal(server.hub.counters.refused.size, 0) // it was nginx that said so
})

test('connections to hydrant are kept for the next publish', async () => {
  await using server = await startServer()
  await using nginx = await startDeployedNginx(server.port, { 'worker_processes auto;': 'worker_processes 1;' })
  let connections = 0
  server.server.on('connection', () => (connections += 1))
  for (let n = 0; n < 5; n += 1) await post(nginx.url, '/events/news', String(n))
  assert.equal(connections, 1)
})
