// hydrant behind Debian's HAProxy, with the file of deploy/ as it stands, but for ports and times.

import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { ask, post } from '../support/ask.ts'
import { reloadHaproxy, startDeployedHaproxy } from '../support/haproxy.ts'
import { NumberFollower } from '../support/number-follower.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

/** Heartbeats every quarter second or so: a stream that got this many has outlived a timeout of 1 s twice. */
const SIGNS_OF_LIFE = 12

const SHORT_TIMEOUTS = {
  'timeout server 60s': 'timeout server 1s',
  'timeout client 60s': 'timeout client 1s',
  'timeout tunnel 60s': 'timeout tunnel 1s',
}

test('an event that is published arrives at once', async () => {
  await using server = await startServer()
  await using haproxy = await startDeployedHaproxy(server.port)
  using stream = await StreamClient.open(haproxy.url, '/events/news')
  for (const data of ['one', 'two', 'three']) {
    await server.hub.publish({ topic: 'news', data })
    await stream.until((client) => client.data.at(-1) === data) // the next is published only when this one is there
  }
})

test('idle streams and WebSockets outlive the timeouts of HAProxy by their heartbeats', async () => {
  await using server = await startServer({ limits: { heartbeatMs: 300 } })
  await using haproxy = await startDeployedHaproxy(server.port, SHORT_TIMEOUTS)
  using stream = await StreamClient.open(haproxy.url, '/events/news')
  using socket = await WsClient.open(`${haproxy.wsUrl}/events/news`)
  let pings = 0
  socket.socket.on('ping', () => (pings += 1))
  await stream.until(({ comments }) => comments.length >= SIGNS_OF_LIFE)
  await until(() => pings >= SIGNS_OF_LIFE / 2, 'pings')
  await server.hub.publish({ topic: 'news', data: 'after a long silence' })
  await stream.until(({ data }) => data[0] === 'after a long silence')
  await socket.until(({ messages }) => messages[0] === 'after a long silence')
})

test('without heartbeats HAProxy cuts idle streams: what the test before proves is real', async () => {
  await using server = await startServer({ limits: { heartbeatMs: 60_000 } })
  await using haproxy = await startDeployedHaproxy(server.port, SHORT_TIMEOUTS)
  using stream = await StreamClient.open(haproxy.url, '/events/news')
  await stream.closed()
  assert.equal(server.hub.counters.heartbeats, 0)
})

test('an EventSource that is cut by a reload, after hard-stop-after, comes back and misses nothing', async () => {
  await using server = await startServer({ limits: { retryMs: 20 } })
  await using haproxy = await startDeployedHaproxy(server.port, { 'hard-stop-after 30s': 'hard-stop-after 1s' })
  using follower = await NumberFollower.open(server.hub, haproxy.url)
  reloadHaproxy(haproxy)
  await follower.followOverCut()
  assert.equal(server.hub.counters.gaps, 0)
})

test('a WebSocket works both ways for pages of the same origin, and not for others', async () => {
  await using server = await startServer()
  await using haproxy = await startDeployedHaproxy(server.port)
  using page = await WsClient.open(`${haproxy.wsUrl}/events/chat`, undefined, { origin: haproxy.url })
  page.socket.send('hello')
  await page.until(({ messages }) => messages[0] === 'hello')
  const origin = 'https://elsewhere.example'
  await assert.rejects(WsClient.open(`${haproxy.wsUrl}/events/chat`, undefined, { origin }), /403/)
  const refused = await post(haproxy.url, '/events/news', 'hello', { origin })
  assert.equal(refused.json['code'], 'forbidden-origin')
  const accepted = await post(haproxy.url, '/events/news', 'hello', { origin: haproxy.url })
  assert.equal(accepted.status, 200)
})

test('the lines of an NDJSON publish stream are published as they come, not when it ends', async () => {
  await using server = await startServer()
  await using haproxy = await startDeployedHaproxy(server.port)
  using stream = await StreamClient.open(haproxy.url, '/events/log')
  const answered = Promise.withResolvers<number | undefined>()
  const headers = { 'content-type': 'application/x-ndjson' }
  const publisher = request(`${haproxy.url}/events/log`, { method: 'POST', headers, agent: false })
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
  await using haproxy = await startDeployedHaproxy(server.port)
  for (const path of ['/', '/metrics', '/readyz', '/eventsource']) {
    const { status } = await ask(haproxy.url, 'GET', path)
    assert.equal(status, 404, path)
  }
  assert.equal(server.hub.counters.refused.size, 0) // it was HAProxy that said so
})
