// The handlers in other people's servers: below a base path, beside other routes, behind body parsers, on TLS.

import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { test } from 'node:test'
import { createHub, type MountedHub } from '../../src/index.ts'
import { ask, post } from '../support/ask.ts'
import { bodyParser, stack, type Middleware } from '../support/body-parsers.ts'
import { makeCertificate } from '../support/certificate.ts'
import { StreamClient } from '../support/stream-client.ts'
import { closeServer, listen, startServer, TestServer } from '../support/test-server.ts'
import { WsClient } from '../support/ws-client.ts'

async function start(hub: MountedHub, server: Server): Promise<TestServer> {
  await listen(server)
  return new TestServer(hub, server)
}

// ── base path ────────────────────────────────────────────────────────────────────────────────────────────────────────

test('below a base path everything is there, and nothing beside it', async () => {
  await using server = await startServer({ basePath: '/api/v1' })
  using stream = await StreamClient.open(server.url, '/api/v1/events/a')
  using socket = await WsClient.open(`${server.wsUrl}/api/v1/events/a`)
  assert.equal((await post(server.url, '/api/v1/events/a', 'x')).status, 200)
  await stream.until(({ data }) => data.length === 1)
  await socket.until(({ messages }) => messages.length === 1)
  assert.equal((await ask(server.url, 'GET', '/api/v1/livez')).status, 200)
  for (const path of ['/events/a', '/livez', '/api/v1events/a', '/api/v1', '/api/v1/', '/api/v2/events/a'])
    assert.equal((await post(server.url, path, 'x')).status, 404, path)
  await assert.rejects(WsClient.open(`${server.wsUrl}/events/a`), /404/)
})

test('a base path that is none is refused when the hub is made', () => {
  for (const basePath of ['api', '/api/', '/', '/a?b', '/a#b']) assert.throws(() => createHub({ basePath }), RangeError)
})

// ── beside other routes ──────────────────────────────────────────────────────────────────────────────────────────────

test('in a server with routes of its own, what is not ours is left to them', async () => {
  const hub = createHub()
  const plain = createServer((request, response) => {
    if (request.url === '/mine') response.end('mine')
    else hub.handler(request, response, () => response.writeHead(404).end('nobody’s'))
  })
  await using server = await start(hub, plain)
  assert.equal((await ask(server.url, 'GET', '/mine')).text, 'mine')
  assert.equal((await ask(server.url, 'GET', '/other')).text, 'nobody’s')
  assert.equal((await ask(server.url, 'GET', '/events-of-mine')).text, 'nobody’s')
  assert.equal((await post(server.url, '/events/a', 'x')).status, 200)
  assert.equal((await ask(server.url, 'PUT', '/events/a')).status, 405)
})

test('without a next what is not ours is a problem not-found', async () => {
  await using server = await startServer()
  assert.equal((await ask(server.url, 'GET', '/other')).json['code'], 'not-found')
})

test('two hubs live in one server below two paths', async () => {
  const one = createHub({ basePath: '/one' })
  const two = createHub({ basePath: '/two' })
  const plain = createServer(stack(one.handler, two.handler, (_request, response) => response.writeHead(404).end()))
  await using server = await start(one, plain)
  using stream = await StreamClient.open(server.url, '/two/events/a')
  await post(server.url, '/one/events/a', 'of one')
  await post(server.url, '/two/events/a', 'of two')
  await stream.until(({ data }) => data.length === 1)
  assert.deepEqual(stream.data, ['of two'])
  await two.close()
})

// ── behind body parsers ──────────────────────────────────────────────────────────────────────────────────────────────

const json = bodyParser(/[/+]json/, (body) => JSON.parse(body.toString()) as unknown)
const text = bodyParser(/^text\/|ndjson/, (body) => body.toString())
const raw = bodyParser(/octet-stream/, (body) => body)
const form = bodyParser(/urlencoded/, (body) => Object.fromEntries(new URLSearchParams(body.toString())))
/** Express 4 leaves an empty object where no parser read the body. */
const express4: Middleware = (request, _response, next) => {
  if (!('body' in request)) Object.assign(request, { body: {} })
  next()
}

async function startBehindParsers(): Promise<TestServer> {
  const hub = createHub()
  return start(hub, createServer(stack(json, text, raw, form, express4, hub.handler)))
}

const CONTEXT = '"specversion":"1.0","id":"1","source":"s","type":"t"'
const PARSED: readonly (readonly [
  words: string,
  path: string,
  media: string,
  body: string,
  data: readonly string[],
])[] = [
  ['text', '/events/a', 'text/plain', 'x\r\ny', ['x\r\ny']],
  ['no text', '/events/a', 'text/plain', '', ['']],
  ['bytes', '/events/a', 'application/octet-stream', 'x', ['x']],
  ['JSON as data', '/events/a', 'application/json', '{"n":[1,null]}', ['{"n":[1,null]}']],
  ['an event', '/events', 'application/json', '{"topic":"a","data":"x"}', ['x']],
  ['a batch', '/events', 'application/json', '[{"topic":"a","data":"x"},{"topic":"a","data":2}]', ['x', '2']],
  ['lines', '/events/a', 'application/x-ndjson', '{"data":"x"}\n{"data":"y"}\n', ['x', 'y']],
  ['a CloudEvent', '/events/a', 'application/cloudevents+json', `{${CONTEXT},"data":"x"}`, ['x']],
  ['CloudEvents', '/events/a', 'application/cloudevents-batch+json', `[{${CONTEXT},"data":"x"}]`, ['x']],
  ['a body that no parser wanted', '/events/a', 'application/xml', '<x/>', ['<x/>']],
]

for (const [words, path, media, body, data] of PARSED) {
  test(`behind a body parser that has read ${words}, the same is published as without`, async () => {
    const behind = await startBehindParsers()
    const without = await startServer()
    for (const server of [behind, without]) {
      await using it = server
      const said = await post(it.url, path, body, { 'content-type': media })
      assert.equal(said.status, 200, said.text)
      assert.deepEqual(dataOf(it.hub), data)
    }
  })
}

test('a form that was parsed before it came is refused, for its text cannot be had back', async () => {
  await using server = await startBehindParsers()
  const said = await post(server.url, '/events/a', 'a=1&b=2', { 'content-type': 'application/x-www-form-urlencoded' })
  assert.deepEqual([said.status, said.json['code']], [400, 'malformed-body'])
  assert.equal(server.hub.counters.published, 0)
})

test('streams and pages work behind body parsers', async () => {
  await using server = await startBehindParsers()
  using stream = await StreamClient.open(server.url, '/events/a')
  await post(server.url, '/events/a', 'x')
  await stream.until(({ data }) => data.length === 1)
  const page = await ask(server.url, 'GET', '/events/a', { headers: { accept: 'application/json' } })
  assert.equal((page.json['events'] as readonly unknown[]).length, 1)
})

// ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('over TLS streams and WebSockets are the same', async () => {
  const hub = createHub()
  const { key, cert } = makeCertificate()
  const server = createTlsServer({ key, cert }, hub.handler)
  server.on('upgrade', hub.upgrade)
  await listen(server)
  const { port } = server.address() as { readonly port: number }
  using socket = await WsClient.open(`wss://localhost:${port}/events/a`, undefined, { ca: cert })
  await hub.publish({ topic: 'a', data: 'x' })
  await socket.until(({ messages }) => messages.length === 1)
  assert.deepEqual(socket.messages, ['x'])
  socket.socket.send('y')
  await socket.until(({ messages }) => messages.length === 2)
  await hub.close()
  assert.equal(await socket.closed(), 1001)
  await closeServer(server)
})

function dataOf(hub: MountedHub): readonly string[] {
  const data: string[] = []
  const add = (one: string | Uint8Array): boolean => data.push(Buffer.from(one as string).toString()) > 0
  hub.window.read(0, hub.select(['**']), (event) => add(event.data), 1_000)
  return data
}
