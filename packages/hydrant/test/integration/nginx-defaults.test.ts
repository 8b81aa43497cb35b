// hydrant behind an nginx that says `proxy_pass` and nothing else: HTTP/1.0 to the server, buffering on. What our own
// headers say must be enough for streams.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, post } from '../support/ask.ts'
import { startDefaultNginx } from '../support/nginx.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer } from '../support/test-server.ts'
import { WsClient } from '../support/ws-client.ts'

test('with the defaults of nginx events arrive at once, on SSE and on NDJSON, over HTTP/1.0', async () => {
  await using server = await startServer()
  const versions = new Set<string>()
  server.server.on('request', (request) => versions.add(request.httpVersion))
  await using nginx = await startDefaultNginx(server.port)
  using events = await StreamClient.open(nginx.url, '/events/news')
  using lines = await StreamClient.open(nginx.url, '/events/news', { accept: 'application/x-ndjson' })
  for (const data of ['one', 'two', 'three']) {
    await server.hub.publish({ topic: 'news', data })
    await events.until((client) => client.data.at(-1) === data)
    await lines.until((client) => client.lines.at(-1)?.['data'] === data)
  }
  assert.deepEqual([...versions], ['1.0'])
})

test('with the defaults of nginx signs of life come through an idle stream', async () => {
  await using server = await startServer({ limits: { heartbeatMs: 50 } })
  await using nginx = await startDefaultNginx(server.port)
  using stream = await StreamClient.open(nginx.url, '/events/news')
  await stream.until(({ comments }) => comments.length >= 3)
})

test('with the defaults of nginx a resumed stream begins at once, and right after its id', async () => {
  await using server = await startServer()
  await using nginx = await startDefaultNginx(server.port)
  const id = await server.hub.publish({ topic: 'news', data: 'seen' })
  using quiet = await StreamClient.open(nginx.url, '/events/news', { 'last-event-id': id })
  await quiet.until(({ comments }) => comments.length === 1)
  await server.hub.publish({ topic: 'news', data: 'missed' })
  using stream = await StreamClient.open(nginx.url, '/events/news', { 'last-event-id': id })
  await stream.until(({ data }) => data.length === 1)
  assert.deepEqual(stream.data, ['missed'])
})

test('with the defaults of nginx a stream that the server ends says so, and ends', async () => {
  await using server = await startServer()
  await using nginx = await startDefaultNginx(server.port)
  using stream = await StreamClient.open(nginx.url, '/events/news')
  await stream.until(({ messages }) => messages.length === 1)
  await server.hub.close()
  await stream.closed()
  assert.equal(stream.messages.at(-1)?.type, 'hydrant:bye')
})

test('with the defaults of nginx programs can publish and page through history', async () => {
  await using server = await startServer()
  await using nginx = await startDefaultNginx(server.port)
  const published = await post(nginx.url, '/events/news', 'hello')
  assert.equal(published.status, 200)
  const page = await ask(nginx.url, 'GET', '/events/news', { headers: { accept: 'application/json' } })
  assert.equal(page.json['id'], published.json['id'])
})

// These two are why deploy/nginx-hydrant.conf sets Host and the headers of the handshake: docs/deploy.md says so.
test('with the defaults of nginx pages cannot publish, for their Host does not come through, and WebSockets do not open', async () => {
  await using server = await startServer()
  await using nginx = await startDefaultNginx(server.port)
  const refused = await post(nginx.url, '/events/news', 'hello', { origin: nginx.url })
  assert.equal(refused.json['code'], 'forbidden-origin')
  await assert.rejects(WsClient.open(`${nginx.wsUrl}/events/news`), /Unexpected server response/)
})
