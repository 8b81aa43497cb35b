// Methods, media types and origins: who gets what, and who may do what.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, post } from '../support/ask.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer } from '../support/test-server.ts'
import { WsClient } from '../support/ws-client.ts'

const ACCEPT: readonly (readonly [accept: string, media: string])[] = [
  ['text/event-stream', 'text/event-stream'],
  ['TEXT/Event-Stream;charset=utf-8', 'text/event-stream'],
  ['*/*', 'text/event-stream'],
  ['text/*', 'text/event-stream'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'text/event-stream'],
  ['application/x-ndjson', 'application/x-ndjson'],
  ['application/ndjson', 'application/x-ndjson'],
  ['application/jsonl', 'application/x-ndjson'],
  ['application/json', 'application/json'],
  ['application/json, text/plain, */*', 'text/event-stream'],
  ['application/json, */*;q=0.1', 'application/json'],
  ['application/*', 'application/x-ndjson'],
  ['text/event-stream;q=0.5, application/json', 'application/json'],
  ['text/event-stream;q=0, */*', 'application/x-ndjson'],
  ['text/event-stream; q=0.2, application/x-ndjson ;q=0.7,application/json;q=0.6', 'application/x-ndjson'],
  ['application/json;q=2, text/event-stream;q=0.1', 'text/event-stream'],
]

for (const [accept, media] of ACCEPT) {
  test(`who accepts ${accept} gets ${media}`, async () => {
    await using server = await startServer()
    using client = await StreamClient.open(server.url, '/events/a', { accept })
    assert.equal(client.status, 200)
    assert.equal(client.headers['content-type'], media)
  })
}

test('who accepts nothing in particular gets an event stream', async () => {
  await using server = await startServer()
  for (const headers of [{}, { accept: '' }]) {
    using client = await StreamClient.open(server.url, '/events/a', headers)
    assert.equal(client.headers['content-type'], 'text/event-stream')
  }
})

test('OPTIONS names the methods', async () => {
  await using server = await startServer()
  const said = await ask(server.url, 'OPTIONS', '/events/a')
  assert.deepEqual([said.status, said.headers.allow, said.text], [204, 'GET, POST, OPTIONS', ''])
})

test('HEAD gets the head of an answer and no body, and opens no stream', async () => {
  await using server = await startServer()
  const alive = await ask(server.url, 'HEAD', '/livez')
  assert.deepEqual([alive.status, alive.headers['content-length'], alive.text], [200, '3', ''])
  const events = await ask(server.url, 'HEAD', '/events/a')
  assert.deepEqual([events.status, events.text], [405, ''])
  assert.equal(server.hub.counters.opened.sse, 0)
})

test('health and metrics are answered as text', async () => {
  await using server = await startServer()
  assert.equal((await ask(server.url, 'GET', '/livez')).text, 'ok\n')
  assert.equal((await ask(server.url, 'GET', '/readyz')).text, 'ok\n')
  const metrics = await ask(server.url, 'GET', '/metrics')
  assert.match(String(metrics.headers['content-type']), /^text\/plain; version=0\.0\.4/)
  assert.match(metrics.text, /^hydrant_events_published_total 0$/m)
  await server.hub.close()
  assert.equal((await ask(server.url, 'GET', '/livez')).status, 200)
  assert.equal((await ask(server.url, 'GET', '/readyz')).status, 503)
})

// ── origins ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const ALLOWED = 'https://app.example'

test('a page of the server’s own origin may publish and open a WebSocket', async () => {
  await using server = await startServer()
  const headers = { origin: server.url }
  assert.equal((await post(server.url, '/events/a', 'x', headers)).status, 200)
  using client = await WsClient.open(`${server.wsUrl}/events/a`, undefined, { headers })
  client.socket.send('y')
  await client.until(({ messages }) => messages.includes('y'))
})

for (const origin of ['https://other.example', 'null', 'http://127.0.0.1:1', 'garbage', 'http://localhost']) {
  test(`a page of ${origin} may not publish, not even as a simple request, and opens no WebSocket`, async () => {
    await using server = await startServer({ cors: [ALLOWED] })
    const said = await post(server.url, '/events/a', 'x', { origin, 'content-type': 'text/plain' })
    assert.deepEqual([said.status, said.json['code']], [403, 'forbidden-origin'])
    assert.equal(said.headers['access-control-allow-origin'], undefined)
    await assert.rejects(WsClient.open(`${server.wsUrl}/events/a`, undefined, { headers: { origin } }), /403/)
    assert.equal(server.hub.counters.published, 0)
    assert.equal(server.hub.counters.refused.get('forbidden-origin'), 2)
  })
}

test('a page of an allowed origin may publish, read and open a WebSocket, and is told so', async () => {
  await using server = await startServer({ cors: [ALLOWED] })
  const headers = { origin: ALLOWED }
  const said = await post(server.url, '/events/a', 'x', headers)
  assert.deepEqual([said.status, said.headers['access-control-allow-origin']], [200, ALLOWED])
  assert.match(String(said.headers.vary), /\borigin\b/i)
  using stream = await StreamClient.open(server.url, '/events/a?last=1', headers)
  assert.equal(stream.headers['access-control-allow-origin'], ALLOWED)
  await stream.until(({ data }) => data.length === 1)
  using socket = await WsClient.open(`${server.wsUrl}/events/a?last=1`, undefined, { headers })
  await socket.until(({ messages }) => messages.length === 1)
  const refused = await post(server.url, '/events/a?type=open', 'x', headers)
  assert.equal(refused.headers['access-control-allow-origin'], ALLOWED, 'a problem can be read, too')
})

test('a page of another origin reads a stream only where the browser lets it: the answer has no CORS headers', async () => {
  await using server = await startServer({ cors: [ALLOWED] })
  using stream = await StreamClient.open(server.url, '/events/a', { origin: 'https://other.example' })
  assert.equal(stream.headers['access-control-allow-origin'], undefined)
})

test('a preflight of an allowed origin is granted what the API needs, of another nothing', async () => {
  await using server = await startServer({ cors: [ALLOWED] })
  const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'idempotency-key' }
  const granted = await ask(server.url, 'OPTIONS', '/events/a', { headers: { ...preflight, origin: ALLOWED } })
  assert.equal(granted.status, 204)
  assert.equal(granted.headers['access-control-allow-origin'], ALLOWED)
  assert.equal(granted.headers['access-control-allow-methods'], 'GET, POST')
  for (const name of ['content-type', 'last-event-id', 'idempotency-key'])
    assert.ok(granted.headers['access-control-allow-headers']?.split(', ').includes(name), name)
  const other = await ask(server.url, 'OPTIONS', '/events/a', {
    headers: { ...preflight, origin: 'https://b.example' },
  })
  assert.ok(Object.keys(other.headers).every((name) => !name.startsWith('access-control-')))
})

test('with * every origin may', async () => {
  await using server = await startServer({ cors: ['*'] })
  const said = await post(server.url, '/events/a', 'x', { origin: 'https://any.example' })
  assert.deepEqual([said.status, said.headers['access-control-allow-origin']], [200, 'https://any.example'])
})

test('an origin that is none is refused when the hub is made', async () => {
  for (const origin of ['app.example', 'https://app.example/', 'https://app.example/path', ''])
    await assert.rejects(async () => startServer({ cors: [origin] }), RangeError)
})
