// Publishing over HTTP: every kind of body becomes the events that it should, with their ids in the answer.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseId } from 'hydrant-client/wire'
import { MemoryEngine } from '../../src/index.ts'
import { ask, post } from '../support/ask.ts'
import { startServer, type TestServer } from '../support/test-server.ts'

const EPOCH = '0123456789ab'
const JSON_BODY = { 'content-type': 'application/json' }
const CLOUD = { 'content-type': 'application/cloudevents+json' }

function start(limits = {}): Promise<TestServer> {
  return startServer({ engine: new MemoryEngine({ epoch: EPOCH, limits }), limits })
}

test('the body of POST /events/<topic> is the data, type and key stand in the query', async () => {
  await using server = await start()
  const said = await post(server.url, '/events/a/b?type=price&key=k%20', 'x\r\ny é')
  assert.equal(said.status, 200)
  assert.equal(said.headers['content-type'], 'application/json')
  assert.deepEqual(said.json, { id: `${EPOCH}-1` })
  assert.deepEqual(eventsOf(server), [['a/b', 'price', 'k ', 'x\r\ny é']])
})

test('the topic of a path may be percent-encoded, slashes included', async () => {
  await using server = await start()
  await post(server.url, '/events/a%2Fb%3Ac', 'x')
  assert.deepEqual(eventsOf(server), [['a/b:c', 'message', undefined, 'x']])
})

const MEDIA: readonly (readonly [media: string | undefined, isText: boolean])[] = [
  [undefined, true],
  ['text/plain; charset=utf-8', true],
  ['TEXT/HTML', true],
  ['application/json', true],
  ['application/xml', true],
  ['application/atom+xml', true],
  ['application/geo+json', true],
  ['application/x-www-form-urlencoded', true],
  ['application/octet-stream', false],
  ['image/png', false],
]

for (const [media, isText] of MEDIA) {
  test(`a body of ${media ?? 'no media type'} is published as ${isText ? 'text' : 'bytes'}`, async () => {
    await using server = await start()
    const said = await post(server.url, '/events/a', '{"a": 1.0}', media === undefined ? {} : { 'content-type': media })
    assert.equal(said.status, 200)
    const wanted = isText ? '{"a": 1.0}' : new Uint8Array(Buffer.from('{"a": 1.0}'))
    assert.deepEqual(eventsOf(server), [['a', 'message', undefined, wanted]])
  })
}

test('a body that is empty is an event without data', async () => {
  await using server = await start()
  assert.equal((await post(server.url, '/events/a', '')).status, 200)
  assert.deepEqual(eventsOf(server), [['a', 'message', undefined, '']])
})

test('an event as large as allowed is taken, one byte more is not', async () => {
  await using server = await start({ eventBytesMax: 70_000 })
  assert.equal((await post(server.url, '/events/a', 'x'.repeat(70_000))).status, 200)
  assert.equal((await post(server.url, '/events/a', 'x'.repeat(70_001))).status, 413)
  assert.equal(server.hub.counters.published, 1)
})

test('POST /events takes an event as JSON: text is text, base64 is bytes, other values are their JSON', async () => {
  await using server = await start()
  const bodies = [
    '{"topic":"a","data":"x"}',
    '{"topic":"a","type":null,"key":"k","data":{"n":[1,null]}}',
    '{"topic":"a","data":0}',
    '{"topic":"a","data":null}',
    '{"topic":"a","dataBase64":"AP8="}',
    '{"topic":"a"}',
  ]
  for (const [at, body] of bodies.entries()) {
    const said = await post(server.url, '/events', body, JSON_BODY)
    assert.deepEqual(said.json, { id: `${EPOCH}-${at + 1}` })
  }
  assert.deepEqual(
    eventsOf(server).map(([, , key, data]) => [key, data]),
    [
      [undefined, 'x'],
      ['k', '{"n":[1,null]}'],
      [undefined, '0'],
      [undefined, 'null'],
      [undefined, Uint8Array.of(0, 255)],
      [undefined, ''],
    ],
  )
})

test('an array is published in its order and answered with the ids', async () => {
  await using server = await start()
  const body = JSON.stringify(['c', 'a', 'b'].map((topic) => ({ topic, data: topic })))
  assert.deepEqual((await post(server.url, '/events', body, JSON_BODY)).json, {
    ids: [`${EPOCH}-1`, `${EPOCH}-2`, `${EPOCH}-3`],
  })
  assert.deepEqual(topicsOf(server), ['c', 'a', 'b'])
  assert.deepEqual((await post(server.url, '/events', '[]', JSON_BODY)).json, { ids: [] })
})

// ── CloudEvents ──────────────────────────────────────────────────────────────────────────────────────────────────────

const CONTEXT = { specversion: '1.0', id: '1', source: '/s', type: 'com.example.made' }

test('a CloudEvent in structured mode: the topic is the path’s, else the extension’s, else the subject', async () => {
  await using server = await start()
  const bodies: readonly (readonly [string, object])[] = [
    ['/events/path', { topic: 'extension', subject: 'subject', data: 'x', partitionkey: 'k' }],
    ['/events', { topic: 'extension', subject: 'subject', data: { n: 1 } }],
    ['/events', { subject: 'subject', data_base64: 'AP8=' }],
    ['/events', { subject: 'subject', datacontenttype: 'text/plain', time: '2026-01-01T00:00:00Z' }],
  ]
  for (const [path, rest] of bodies)
    assert.equal((await post(server.url, path, JSON.stringify({ ...CONTEXT, ...rest }), CLOUD)).status, 200)
  const type = 'com.example.made'
  assert.deepEqual(eventsOf(server), [
    ['path', type, 'k', 'x'],
    ['extension', type, undefined, '{"n":1}'],
    ['subject', type, undefined, Uint8Array.of(0, 255)],
    ['subject', type, undefined, ''],
  ])
})

test('a batch of CloudEvents is published whole, or not at all', async () => {
  await using server = await start()
  const batch = { 'content-type': 'application/cloudevents-batch+json; charset=utf-8' }
  const good = { ...CONTEXT, subject: 'a' }
  const said = await post(server.url, '/events', JSON.stringify([good, { ...good, data: 'x' }]), batch)
  assert.deepEqual(said.json, { ids: [`${EPOCH}-1`, `${EPOCH}-2`] })
  const refused = await post(server.url, '/events', JSON.stringify([good, { ...good, id: '' }]), batch)
  assert.equal(refused.json['code'], 'malformed-cloudevent')
  assert.match(String(refused.json['detail']), /Event 1/)
  assert.equal(server.hub.counters.published, 2)
})

test('a CloudEvent in binary mode: attributes in headers, percent-encoded, the body is the data', async () => {
  await using server = await start()
  const headers = {
    'ce-specversion': '1.0',
    'ce-id': '1',
    'ce-source': '/s',
    'ce-type': 'made',
    'ce-subject': 'a',
    'ce-partitionkey': 'caf%C3%A9',
  }
  assert.equal((await post(server.url, '/events', 'x', { ...headers, 'content-type': 'text/plain' })).status, 200)
  const bytes = { ...headers, 'content-type': 'application/octet-stream' }
  assert.equal((await post(server.url, '/events/b', Uint8Array.of(255), bytes)).status, 200)
  assert.deepEqual(eventsOf(server), [
    ['a', 'made', 'café', 'x'],
    ['b', 'made', 'café', Uint8Array.of(255)],
  ])
})

test('a line break that hides in a percent-encoded CloudEvents header is refused', async () => {
  await using server = await start()
  const headers = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/s', 'ce-type': 'x%0Adata: y' }
  const said = await post(server.url, '/events/a', 'x', headers)
  assert.equal(said.json['code'], 'malformed-type')
  assert.equal(server.hub.counters.published, 0)
})

// ── idempotency ──────────────────────────────────────────────────────────────────────────────────────────────────────

test('a retry with the same idempotency key answers the first id and stores nothing', async () => {
  await using server = await start()
  const key = { 'idempotency-key': 'order 7' }
  const first = await post(server.url, '/events/a', 'x', key)
  await post(server.url, '/events/a', 'y')
  assert.deepEqual((await post(server.url, '/events/a', 'x', key)).json, first.json)
  assert.equal(server.hub.window.head, 2)
})

test('a batch has one key; its retry answers the same ids, another batch with that key is refused', async () => {
  await using server = await start()
  const headers = { ...JSON_BODY, 'idempotency-key': 'k' }
  const first = await post(server.url, '/events', '[{"topic":"a"},{"topic":"b"}]', headers)
  assert.deepEqual((await post(server.url, '/events', '[{"topic":"a"},{"topic":"b"}]', headers)).json, first.json)
  for (const body of ['[{"topic":"b"},{"topic":"a"}]', '[{"topic":"a"}]', '{"topic":"a"}', '[{"topic":"a","key":"b"}]'])
    assert.equal((await post(server.url, '/events', body, headers)).json['code'], 'idempotency-conflict', body)
  assert.equal(server.hub.window.head, 2)
})

test('requests with one key at the same time store one event', async () => {
  await using server = await start()
  const key = { 'idempotency-key': 'k' }
  const said = await Promise.all(Array.from({ length: 20 }, () => post(server.url, '/events/a', 'x', key)))
  assert.deepEqual(new Set(said.map(({ json }) => json['id'])), new Set([`${EPOCH}-1`]))
  assert.equal(server.hub.window.head, 1)
})

test('a request that was refused leaves its key free', async () => {
  await using server = await start()
  const key = { 'idempotency-key': 'k' }
  assert.equal((await post(server.url, '/events/a?type=open', 'x', key)).status, 400)
  assert.equal((await post(server.url, '/events/a', 'x', key)).status, 200)
})

// ── order and origin ─────────────────────────────────────────────────────────────────────────────────────────────────

test('what one client publishes one after the other stands in that order', async () => {
  await using server = await start()
  let last = 0
  for (let at = 0; at < 30; at += 1) {
    const { json } = await post(server.url, '/events/a', String(at))
    const { offset } = parseId(String(json['id'])) ?? { offset: -1 }
    assert.ok(offset > last)
    last = offset
  }
  assert.deepEqual(
    eventsOf(server).map(([, , , data]) => Number(data)),
    Array.from({ length: 30 }, (_, at) => at),
  )
})

test('Expect: 100-continue is answered before the body is sent', async () => {
  await using server = await start()
  const said = await ask(server.url, 'POST', '/events/a', { body: 'x', headers: { expect: '100-continue' } })
  assert.equal(said.status, 200)
})

type Row = readonly [topic: string, type: string, key: string | undefined, data: string | Uint8Array]

function eventsOf(server: TestServer): readonly Row[] {
  const rows: Row[] = []
  server.hub.window.read(
    0,
    server.hub.select(['**']),
    ({ topic, type, key, data }) => {
      rows.push([topic, type, key, typeof data === 'string' ? data : Uint8Array.from(data)])
      return true
    },
    Number.MAX_SAFE_INTEGER,
  )
  return rows
}

function topicsOf(server: TestServer): readonly string[] {
  return eventsOf(server).map(([topic]) => topic)
}
