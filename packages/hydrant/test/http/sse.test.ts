// Server-Sent Events, byte by byte: https://html.spec.whatwg.org/multipage/server-sent-events.html

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryEngine, type HubOptions } from '../../src/index.ts'
import { ask, post } from '../support/ask.ts'
import { RawClient } from '../support/raw-client.ts'
import { StreamClient } from '../support/stream-client.ts'
import { SteppedClock } from '../support/stepped-clock.ts'
import { startServer, type TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'

const EPOCH = '0123456789ab'
const OPEN = `event: hydrant:open\ndata: {}\nretry: 2000\nid: ${EPOCH}-0\n\n`

function start(options: HubOptions = {}): Promise<TestServer> {
  return startServer({ engine: new MemoryEngine({ epoch: EPOCH, limits: options.limits ?? {} }), ...options })
}

test('the head says what proxies need, and comes before any event', async () => {
  await using server = await start()
  using client = await StreamClient.open(server.url, '/events/a')
  assert.equal(client.status, 200)
  assert.equal(client.headers['content-type'], 'text/event-stream')
  assert.equal(client.headers['cache-control'], 'no-cache, no-transform')
  assert.equal(client.headers['x-accel-buffering'], 'no')
  assert.equal(client.headers['transfer-encoding'], 'chunked')
})

test('a stream opens with a block that has data, retry and the id before its first event', async () => {
  await using server = await start({ limits: { retryMs: 1_234 } })
  await server.hub.publish({ topic: 'b', data: 'earlier' })
  using client = await StreamClient.open(server.url, '/events/a')
  await client.until(({ text }) => text.endsWith('\n\n'))
  assert.equal(client.text, `event: hydrant:open\ndata: {}\nretry: 1234\nid: ${EPOCH}-1\n\n`)
})

test('a block is event, data, id; the type message is left out', async () => {
  await using server = await start()
  using client = await StreamClient.open(server.url, '/events/a')
  await server.hub.publish({ topic: 'a', data: 'one' })
  await server.hub.publish({ topic: 'a', type: 'price', key: 'k', data: { bid: 1 } })
  await server.hub.publish({ topic: 'a', type: 'message', data: '' })
  await client.until(({ data }) => data.length === 3)
  const blocks = [
    `data: one\nid: ${EPOCH}-1\n\n`,
    `event: price\ndata: {"bid":1}\nid: ${EPOCH}-2\n\n`,
    `data: \nid: ${EPOCH}-3\n\n`,
  ]
  assert.equal(client.text, OPEN + blocks.join(''))
})

const DATA: readonly (readonly [words: string, data: string | Uint8Array, lines: string])[] = [
  ['LF', 'a\nb', 'data: a\ndata: b\n'],
  ['CR', 'a\rb', 'data: a\ndata: b\n'],
  ['CRLF', 'a\r\nb', 'data: a\ndata: b\n'],
  ['all three', 'a\r\n\r\n\n\rb', 'data: a\ndata: \ndata: \ndata: \ndata: b\n'],
  ['a line break at its end', 'a\n', 'data: a\ndata: \n'],
  ['a line break alone', '\n', 'data: \ndata: \n'],
  ['a space at its start', ' a', 'data:  a\n'],
  ['a colon at its start', ': a', 'data: : a\n'],
  [
    'fields in it',
    'x\n\nevent: evil\nid: 9-9\nretry: 1',
    'data: x\ndata: \ndata: event: evil\ndata: id: 9-9\ndata: retry: 1\n',
  ],
  ['NUL and a byte-order mark', '\uFEFFa\0b', 'data: \uFEFFa\0b\n'],
  ['letters of four bytes', 'é😀\u2028x', 'data: é😀\u2028x\n'],
  ['bytes', Uint8Array.of(0xff, 0x00, 0x0a), 'data: /wAK\n'],
]

for (const [words, data, lines] of DATA) {
  test(`data with ${words} is written so that every client reads it back`, async () => {
    await using server = await start()
    using client = await StreamClient.open(server.url, '/events/a')
    await server.hub.publish({ topic: 'a', data })
    await client.until(({ text }) => text.endsWith(`id: ${EPOCH}-1\n\n`))
    assert.equal(client.text, `${OPEN}${lines}id: ${EPOCH}-1\n\n`)
  })
}

test('an envelope keeps the whole event, data with CR and bytes included', async () => {
  await using server = await start()
  using client = await StreamClient.open(server.url, '/events?topic=a/**&format=envelope')
  await server.hub.publish({ topic: 'a/b', type: 'price', key: 'k', data: 'x\r\ny' })
  await server.hub.publish({ topic: 'a/c', data: Uint8Array.of(255) })
  await client.until(({ data }) => data.length === 2)
  const [first, second] = client.data.map((text) => JSON.parse(text) as Record<string, unknown>)
  assert.match(String(first?.['time']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  const { time: _first, ...rest } = first ?? {}
  assert.deepEqual(rest, { id: `${EPOCH}-1`, topic: 'a/b', type: 'price', key: 'k', data: 'x\r\ny' })
  assert.equal(second?.['dataBase64'], '/w==')
  assert.deepEqual(
    client.messages.map(({ type, lastEventId }) => [type, lastEventId]),
    [
      ['hydrant:open', `${EPOCH}-0`],
      ['price', `${EPOCH}-1`],
      ['message', `${EPOCH}-2`],
    ],
  )
})

test('types are selected: only those named arrive', async () => {
  await using server = await start()
  using client = await StreamClient.open(server.url, '/events/a?type=x&type=y')
  for (const type of ['x', 'z', 'message', 'y', 'x']) await server.hub.publish({ topic: 'a', type, data: type })
  await client.until(({ data }) => data.length === 3)
  assert.deepEqual(client.data, ['x', 'y', 'x'])
})

test('topics and patterns are selected together, an event that several match comes once', async () => {
  await using server = await start()
  using client = await StreamClient.open(server.url, '/events/a?topic=b/*&topic=b/**&topic=b/c')
  for (const topic of ['a', 'a/b', 'b', 'b/c', 'b/c/d', 'c']) await server.hub.publish({ topic, data: topic })
  await client.until(({ data }) => data.length === 3)
  assert.deepEqual(client.data, ['a', 'b/c', 'b/c/d'])
})

test('a quiet stream gets its heartbeat, with the text that is configured', async () => {
  await using server = await start({ limits: { heartbeatMs: 40 }, heartbeatText: 'still\nhere' })
  using client = await StreamClient.open(server.url, '/events/a')
  await client.until(({ comments }) => comments.length >= 3)
  assert.deepEqual(new Set(client.comments), new Set(['still here']))
  assert.ok(client.text.startsWith(`${OPEN}: still here\n\n: still here\n\n`))
})

test('a heartbeat without a text is an empty comment', async () => {
  await using server = await start({ limits: { heartbeatMs: 20 } })
  using client = await StreamClient.open(server.url, '/events/a')
  await client.until(({ text }) => text.length > OPEN.length)
  assert.ok(client.text.startsWith(`${OPEN}: \n\n`))
})

test('a heartbeat comes only where it was quiet', async () => {
  const clock = new SteppedClock()
  await using server = await start({ clock, limits: { heartbeatMs: 1_000 } })
  using busy = await StreamClient.open(server.url, '/events/busy')
  using quiet = await StreamClient.open(server.url, '/events/quiet')
  await until(() => busy.messages.length + quiet.messages.length === 2, 'both to be open')
  for (let at = 1; at <= 30; at += 1) {
    clock.advance(100)
    await server.hub.publish({ topic: 'busy', data: 'x' })
    await busy.until(({ data }) => data.length === at)
  }
  await quiet.until(({ comments, messages }) => comments.length + messages.length >= 3)
  assert.deepEqual(busy.comments, [])
  assert.equal(busy.messages.length, 31)
})

test('a stream that was quiet for long is given a fresher id instead of a comment, and resumes from it', async () => {
  await using server = await start({ limits: { heartbeatMs: 40 } })
  using client = await StreamClient.open(server.url, '/events/quiet')
  await client.until(({ messages }) => messages.length === 1)
  for (let at = 0; at < 20; at += 1) await server.hub.publish({ topic: 'busy', data: 'x' })
  await client.until(({ text }) => text.includes(`event: hydrant:position\ndata: {}\nid: ${EPOCH}-20\n\n`))
  const { comments } = client
  const before = comments.length
  await client.until(() => comments.length > before)
  assert.equal(client.messages.filter(({ type }) => type === 'hydrant:position').length, 1)
})

test('a resumed stream begins with a comment, and names no id before its first event', async () => {
  await using server = await start()
  for (const data of ['1', '2', '3']) await server.hub.publish({ topic: 'a', data })
  using client = await StreamClient.open(server.url, '/events/a', { 'last-event-id': `${EPOCH}-1` })
  await client.until(({ data }) => data.length === 2)
  assert.equal(client.text, `: resumed\n\ndata: 2\nid: ${EPOCH}-2\n\ndata: 3\nid: ${EPOCH}-3\n\n`)
})

test('every event is an HTTP chunk of its own, also where a flush joins many', async () => {
  await using server = await start()
  using client = await RawClient.connect(server.port)
  client.say('GET /events/a HTTP/1.1\r\nhost: x\r\n\r\n')
  await client.hear('hydrant:open')
  await server.hub.publishBatch([
    { topic: 'a', data: 'one' },
    { topic: 'a', data: 'é' },
  ])
  await client.hear(`${EPOCH}-2`)
  const [, body = ''] = client.text.split('\r\n\r\n')
  const block = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
  const wanted = block(OPEN) + block(`data: one\nid: ${EPOCH}-1\n\n`) + block(`data: é\nid: ${EPOCH}-2\n\n`)
  assert.equal(body, Buffer.from(wanted).toString('latin1'))
})

test('a client of HTTP/1.0 gets the bare stream, ended by its connection', async () => {
  await using server = await start()
  using client = await RawClient.connect(server.port)
  client.say('GET /events/a HTTP/1.0\r\n\r\n')
  await client.hear('hydrant:open')
  await server.hub.publish({ topic: 'a', data: 'one' })
  await client.hear(`${EPOCH}-1`)
  const [head = '', body] = client.text.split('\r\n\r\n')
  assert.doesNotMatch(head, /transfer-encoding/i)
  assert.match(head, /^connection: close$/im)
  assert.equal(body, `${OPEN}data: one\nid: ${EPOCH}-1\n\n`)
  await server.hub.close()
  assert.match(await client.closed(), /hydrant:bye/)
})

test('at close every stream gets its farewell: what was published, then bye with a retry and its id', async () => {
  await using server = await start({ limits: { retryMs: 1_000 } })
  using client = await StreamClient.open(server.url, '/events/a')
  await server.hub.publish({ topic: 'a', data: 'one' })
  await client.until(({ data }) => data.length === 1)
  await server.hub.publish({ topic: 'b', data: 'of no interest' })
  await server.hub.close()
  await client.closed()
  const bye = /event: hydrant:bye\ndata: \{\}\nretry: (\d+)\nid: 0123456789ab-(\d)\n\n$/.exec(client.text)
  assert.ok(Number(bye?.[1]) >= 1_000 && Number(bye?.[1]) <= 2_000)
  assert.ok(client.response.complete, 'the stream ended in an orderly way')
  assert.ok(Number(bye?.[2]) >= 1)
})

test('a stream that is one too many is told to come back: 200, bye with the id it came with, and the end', async () => {
  await using server = await start({ limits: { connectionsMax: 1, retryMs: 1_000 } })
  using first = await StreamClient.open(server.url, '/events/a')
  await first.until(({ messages }) => messages.length === 1)
  await server.hub.publish({ topic: 'a', data: 'one' })
  const fresh = await ask(server.url, 'GET', '/events/a')
  assert.equal(fresh.status, 200)
  assert.match(fresh.text, /^event: hydrant:bye\ndata: \{\}\nretry: [12]\d{3}\nid: 0123456789ab-1\n\n$/)
  for (const id of [`${EPOCH}-0`, 'somebody-elses']) {
    const resumed = await ask(server.url, 'GET', '/events/a', { headers: { 'last-event-id': id } })
    assert.match(resumed.text, new RegExp(`^event: hydrant:bye\ndata: {}\nretry: [12]\\d{3}\nid: ${id}\n\n$`))
  }
  assert.equal(server.hub.counters.refused.get('too-many-connections'), 3)
  first[Symbol.dispose]()
  await until(() => server.hub.counters.connections.sse === 0, 'the first to be gone')
  using next = await StreamClient.open(server.url, '/events/a')
  await next.until(({ messages }) => messages[0]?.type === 'hydrant:open')
})

test('a stream that comes while the server closes is told to come back', async () => {
  await using server = await start()
  await server.hub.close()
  const said = await ask(server.url, 'GET', '/events/a')
  assert.equal(said.status, 200)
  assert.match(said.text, /^event: hydrant:bye\n/)
})

test('nothing that a publisher may send ends a block or starts a field', async () => {
  await using server = await start()
  using client = await StreamClient.open(server.url, '/events/a')
  const type = 'a: b\u2028id'
  const key = 'k: v'
  const said = await post(server.url, `/events/a?${new URLSearchParams({ type, key }).toString()}`, '\n\nid: x\n\r: y')
  assert.equal(said.status, 200)
  await client.until(({ data }) => data.length === 1)
  assert.deepEqual(client.messages.at(-1), { type, data: '\n\nid: x\n\n: y', lastEventId: `${EPOCH}-1` })
})
