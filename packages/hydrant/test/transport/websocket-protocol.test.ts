// The subprotocol hydrant.v1 (PROTOCOL.md, 6): subscribe, unsubscribe and publish as JSON on one WebSocket.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatBinary, parseBinary, PROBLEMS, type ProblemCode } from 'hydrant-client/wire'
import { MemoryEngine, type HubOptions } from '../../src/index.ts'
import { GatedEngine } from '../support/gated-engine.ts'
import { SteppedClock } from '../support/stepped-clock.ts'
import { startServer, TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

const EPOCH = '0123456789ab'
const PROTOCOL = 'hydrant.v1'

function start(options: HubOptions = {}): Promise<TestServer> {
  const { limits = {} } = options
  return startServer({ engine: new MemoryEngine({ epoch: EPOCH, limits }), ...options })
}

function open(server: TestServer, path = '/events'): Promise<WsClient> {
  return WsClient.open(`${server.wsUrl}${path}`, PROTOCOL)
}

/** What a client got, in short: `2` for a marker, `a:1` for an event, otherwise the one key of the message. */
function brief(client: WsClient): readonly string[] {
  return client.json.map((message) => {
    if ('topic' in message) return `${String(message['topic'])}:${String(message['data'])}`
    if ('sub' in message && Object.keys(message).length === 1) return String(message['sub'])
    return Object.keys(message)[0] ?? ''
  })
}

/** The code of an error. */
function codeOf(message: Readonly<Record<string, unknown>> | undefined): unknown {
  const error = message?.['error']
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}

test('the subprotocol is agreed on, also among others', async () => {
  await using server = await start()
  using client = await open(server)
  assert.equal(client.socket.protocol, PROTOCOL)
})

test('a subscription is confirmed with the id it starts at, then its marker and its events follow', async () => {
  await using server = await start()
  await server.hub.publish({ topic: 'a', data: '0' })
  using client = await open(server)
  client.say({ subscribe: { sub: 7, topics: ['a'] } })
  await client.until(({ messages }) => messages.length === 1)
  assert.deepEqual(client.json, [{ subscribed: { sub: 7, id: `${EPOCH}-1` } }])
  await server.hub.publish({ topic: 'a', type: 't', key: 'k', data: '1' })
  await server.hub.publish({ topic: 'b', data: 'of no interest' })
  await server.hub.publish({ topic: 'a', data: '2' })
  await client.until(({ messages }) => messages.length === 4)
  assert.deepEqual(brief(client), ['subscribed', '7', 'a:1', 'a:2'])
  const { time, ...rest } = client.json[2] as Record<string, unknown>
  assert.deepEqual(rest, { id: `${EPOCH}-2`, topic: 'a', type: 't', key: 'k', data: '1' })
  assert.ok(!Number.isNaN(Date.parse(String(time))))
})

test('what a subscription may ask for is what streams may: types, patterns, starts', async () => {
  const clock = new SteppedClock()
  await using server = await start({
    clock,
    engine: new MemoryEngine({ epoch: EPOCH, nowMs: () => clock.nowMs() }),
  })
  for (const type of ['x', 'y', 'x']) {
    await server.hub.publish({ topic: 'a/b', type, data: type })
    clock.advance(10_000)
  }
  const wanted: readonly (readonly [ask: object, data: readonly string[]])[] = [
    [{ topics: ['a/*'], earliest: true }, ['x', 'y', 'x']],
    [{ topics: ['**'], types: ['x'], last: 1 }, ['x']],
    [{ topics: ['a/b'], since: '15s' }, ['x']],
    [{ topics: ['a/b'], lastEventId: `${EPOCH}-1` }, ['y', 'x']],
    [{ topics: ['a/b'], lastEventId: `${EPOCH}-2`, earliest: true }, ['x']],
    [{ topics: ['a/b'], earliest: false }, []],
    [{ topics: ['c', 'a/b', 'a/*'] }, []],
  ]
  for (const [ask, data] of wanted) {
    using client = await open(server)
    client.say({ subscribe: { sub: 1, ...ask } })
    await client.until(({ messages }) => messages.length === (data.length === 0 ? 1 : data.length + 2))
    client.say({ unsubscribe: { sub: 1 } })
    await client.until(({ json }) => json.some((message) => 'unsubscribed' in message))
    const events = client.json.filter((message) => 'topic' in message).map((message) => message['data'])
    assert.deepEqual(events, data, JSON.stringify(ask))
  }
})

test('several subscriptions on one socket: a marker stands before a run of events, and only where it changes', async () => {
  await using server = await start()
  using client = await open(server)
  client.say({ subscribe: { sub: 1, topics: ['a'] } })
  client.say({ subscribe: { sub: 2, topics: ['b'] } })
  await client.until(({ messages }) => messages.length === 2)
  for (const [topic, data] of [
    ['a', '1'],
    ['a', '2'],
    ['b', '3'],
    ['a', '4'],
    ['b', '5'],
    ['b', '6'],
  ] as const) {
    const before = client.messages.length
    await server.hub.publish({ topic, data })
    await client.until(({ json }) => json.length > before && json.at(-1)?.['data'] === data)
  }
  const wanted = ['1', 'a:1', 'a:2', '2', 'b:3', '1', 'a:4', '2', 'b:5', 'b:6']
  assert.deepEqual(brief(client), ['subscribed', 'subscribed', ...wanted])
})

test('an event that two subscriptions select comes once for each, under its marker', async () => {
  await using server = await start()
  using client = await open(server)
  client.say({ subscribe: { sub: 1, topics: ['a/**'] } })
  client.say({ subscribe: { sub: 2, topics: ['a/b', '**'] } })
  await client.until(({ messages }) => messages.length === 2)
  await server.hub.publish({ topic: 'a/b', data: 'x' })
  await client.until(({ messages }) => messages.length === 6)
  let sub: unknown
  const got = client.json.slice(2).flatMap((message) => {
    if ('topic' in message) return [[sub, message['data']]]
    sub = message['sub']
    return []
  })
  assert.deepEqual(
    got.toSorted(([a], [b]) => Number(a) - Number(b)),
    [
      [1, 'x'],
      [2, 'x'],
    ],
  )
})

test('an unsubscribed number is silent, and may be used again', async () => {
  await using server = await start()
  using client = await open(server)
  client.say({ subscribe: { sub: 1, topics: ['a'] } })
  await client.until(({ messages }) => messages.length === 1)
  client.say({ unsubscribe: { sub: 1 } })
  await client.until(({ messages }) => messages.length === 2)
  await server.hub.publish({ topic: 'a', data: 'unheard' })
  client.say({ subscribe: { sub: 1, topics: ['b'] } })
  await client.until(({ messages }) => messages.length === 3)
  await server.hub.publish({ topic: 'a', data: 'unheard' })
  await server.hub.publish({ topic: 'b', data: 'heard' })
  await client.until(({ messages }) => messages.length === 5)
  assert.deepEqual(brief(client), ['subscribed', 'unsubscribed', 'subscribed', '1', 'b:heard'])
})

test('a number that is given back and taken again at once belongs to the second', async () => {
  await using server = await start()
  using client = await open(server)
  client.say({ subscribe: { sub: 1, topics: ['a'] } })
  client.say({ unsubscribe: { sub: 1 } })
  client.say({ subscribe: { sub: 1, topics: ['b'] } })
  client.say({ publish: { topic: 'a', data: 'unheard' } })
  client.say({ publish: { topic: 'b', data: 'heard' } })
  await client.until(({ json }) => json.some((message) => 'topic' in message))
  client.say({ unsubscribe: { sub: 1 } })
  await client.until((it) => brief(it).filter((word) => word === 'unsubscribed').length === 2)
  assert.deepEqual(
    brief(client).filter((word) => word.includes(':')),
    ['b:heard'],
  )
})

test('what the URL selects is subscription 0, as good as any other', async () => {
  await using server = await start()
  using client = await open(server, '/events/a?type=x&type=message')
  await client.until(({ messages }) => messages.length === 1)
  assert.deepEqual(client.json, [{ subscribed: { sub: 0, id: `${EPOCH}-0` } }])
  await server.hub.publish({ topic: 'a', type: 'y', data: 'of no interest' })
  await server.hub.publish({ topic: 'a', data: '1' })
  client.say({ subscribe: { sub: 0, topics: ['b'] } })
  await client.until(({ messages }) => messages.length === 4)
  client.say({ unsubscribe: { sub: 0 } })
  await client.until(({ messages }) => messages.length === 5)
  assert.deepEqual(brief(client), ['subscribed', '0', 'a:1', 'error', 'unsubscribed'])
})

// ── publishing ───────────────────────────────────────────────────────────────────────────────────────────────────────

test('a publish is acknowledged with its number and its id, once it is stored', async () => {
  const engine = new GatedEngine()
  await using server = await start({ engine })
  using client = await open(server)
  engine.shut()
  client.say({ publish: { topic: 'a', type: 't', key: 'k', data: 'x' }, ack: 5 })
  await until(() => engine.waiting === 1, 'the event at the gate')
  assert.deepEqual(client.messages, [])
  engine.unlock()
  await client.until(({ messages }) => messages.length === 1)
  assert.deepEqual(client.json, [{ published: { ack: 5, ids: [server.hub.idAt(1)] } }])
})

test('text, base64 and nothing can be published; without an ack the answer has none', async () => {
  await using server = await start()
  using client = await open(server)
  client.say({ subscribe: { sub: 1, topics: ['a'] } })
  client.say({ publish: { topic: 'a', data: 'x' } })
  client.say({ publish: { topic: 'a', dataBase64: 'AP8=' } })
  client.say({ publish: { topic: 'a' } })
  await client.until(({ messages }) => messages.length === 8)
  const events = client.messages.flatMap((message) => {
    if (typeof message !== 'string') return [Buffer.from(parseBinary(message)?.bytes ?? [])]
    const envelope = JSON.parse(message) as Record<string, unknown>
    return 'topic' in envelope ? [envelope['data']] : []
  })
  assert.deepEqual(events, ['x', Buffer.from([0, 255]), ''])
  const answers = client.json.filter((message) => 'published' in message)
  assert.deepEqual(
    answers,
    [1, 2, 3].map((offset) => ({ published: { ids: [`${EPOCH}-${offset}`] } })),
  )
})

test('binary frames carry bytes both ways: a length, a JSON header, the bytes', async () => {
  await using server = await start()
  using client = await open(server, '/events/a')
  const bytes = Buffer.from([0, 1, 254, 255])
  client.socket.send(formatBinary({ publish: { topic: 'a', key: 'k' }, ack: 1 }, bytes))
  await client.until(({ messages }) => messages.length === 4)
  const frame = client.messages.find((message) => typeof message !== 'string')
  const { header, bytes: got } = parseBinary(frame as Buffer) ?? {}
  assert.deepEqual(Buffer.from(got ?? []), bytes)
  const { time, ...rest } = header as Record<string, unknown>
  assert.ok(!Number.isNaN(Date.parse(String(time))))
  assert.deepEqual(rest, { id: `${EPOCH}-1`, topic: 'a', type: 'message', key: 'k' })
})

test('a publish with an idempotency key happens once', async () => {
  await using server = await start()
  using client = await open(server)
  const publish = { publish: { topic: 'a', data: 'x' }, idempotencyKey: 'k' }
  for (const ack of [1, 2]) client.say({ ...publish, ack })
  client.say({ ...publish, publish: { topic: 'a', data: 'y' }, ack: 3 })
  await client.until(({ messages }) => messages.length === 3)
  const ids = [`${EPOCH}-1`]
  assert.deepEqual(client.json.slice(0, 2), [{ published: { ack: 1, ids } }, { published: { ack: 2, ids } }])
  assert.equal(codeOf(client.json[2]), 'idempotency-conflict')
  assert.equal(client.json[2]?.['ack'], 3)
})

test('a publish that fails for now is an error, and the connection goes on', async () => {
  const engine = new GatedEngine()
  await using server = await start({ engine })
  using client = await open(server)
  engine.fail('unavailable')
  client.say({ publish: { topic: 'a' }, ack: 1 })
  client.say({ subscribe: { sub: 1, topics: ['a'] } })
  await client.until(({ messages }) => messages.length === 2)
  assert.deepEqual(brief(client).toSorted(), ['error', 'subscribed'])
})

// ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const MISTAKES: readonly (readonly [code: ProblemCode, message: string, about?: object])[] = [
  ['malformed-message', 'not JSON'],
  ['malformed-message', ''],
  ['malformed-message', '7'],
  ['malformed-message', 'null'],
  ['malformed-message', '[]'],
  ['malformed-message', '{}'],
  ['malformed-message', '{"sing":{}}'],
  ['malformed-message', '{"__proto__":{"subscribe":{"sub":1,"topics":["a"]}}}'],
  ['malformed-message', '{"subscribe":{"sub":1,"topics":["a"]},"publish":{"topic":"a"}}'],
  ['malformed-message', '{"subscribe":{"sub":1,"topics":["a"]},"ack":1}'],
  ['malformed-message', '{"subscribe":null}'],
  ['malformed-message', '{"subscribe":{"topics":["a"]}}'],
  ['malformed-message', '{"subscribe":{"sub":-1,"topics":["a"]}}'],
  ['malformed-message', '{"subscribe":{"sub":1.5,"topics":["a"]}}'],
  ['malformed-message', '{"subscribe":{"sub":2147483648,"topics":["a"]}}'],
  ['malformed-message', '{"subscribe":{"sub":"1","topics":["a"]}}'],
  ['malformed-message', '{"subscribe":{"sub":1,"topics":"a"}}'],
  ['malformed-message', '{"subscribe":{"sub":1,"topics":[7]}}'],
  ['malformed-message', '{"subscribe":{"sub":1,"topics":["a"],"topic":"a"}}'],
  ['malformed-message', '{"subscribe":{"sub":1,"topics":["a"],"earliest":"yes"}}'],
  ['malformed-message', '{"subscribe":{"sub":1,"topics":["a"],"last":-1}}'],
  ['malformed-message', '{"subscribe":{"sub":1,"topics":["a"],"lag":"wait"}}'],
  ['malformed-message', '{"unsubscribe":{"sub":9}}', { sub: 9 }],
  ['malformed-message', '{"unsubscribe":{}}'],
  ['malformed-message', '{"publish":{"data":"x"}}'],
  ['malformed-message', '{"publish":{"topic":"a","data":7}}'],
  ['malformed-message', '{"publish":{"topic":"a","data":"x","dataBase64":"eA=="}}'],
  ['malformed-message', '{"publish":{"topic":"a"},"ack":"1"}'],
  ['malformed-id', '{"subscribe":{"sub":1,"topics":["a"],"lastEventId":"7"}}'],
  ['malformed-query', '{"subscribe":{"sub":1,"topics":["a"],"since":"yesterday"}}'],
  ['no-topic', '{"subscribe":{"sub":1,"topics":[]}}', { sub: 1 }],
  ['no-topic', '{"subscribe":{"sub":1}}', { sub: 1 }],
  ['too-many-topics', '{"subscribe":{"sub":1,"topics":["a","b","c","d"]}}', { sub: 1 }],
  ['malformed-pattern', '{"subscribe":{"sub":1,"topics":["a b"]}}', { sub: 1 }],
  ['malformed-type', '{"subscribe":{"sub":1,"topics":["a"],"types":[""]}}', { sub: 1 }],
  ['conflicting-start', '{"subscribe":{"sub":1,"topics":["a"],"last":1,"since":"1h"}}', { sub: 1 }],
  ['malformed-topic', '{"publish":{"topic":"a b"},"ack":3}', { ack: 3 }],
  ['reserved-type', '{"publish":{"topic":"a","type":"open"},"ack":3}', { ack: 3 }],
  ['malformed-key', '{"publish":{"topic":"a","key":""},"ack":3}', { ack: 3 }],
  ['malformed-idempotency-key', '{"publish":{"topic":"a"},"ack":3,"idempotencyKey":""}', { ack: 3 }],
  ['event-too-large', `{"publish":{"topic":"a","data":"${'x'.repeat(1_001)}"},"ack":3}`, { ack: 3 }],
  ['malformed-utf8', String.raw`{"publish":{"topic":"a","data":"\ud800"},"ack":3}`, { ack: 3 }],
]

test('each mistake is answered with its problem and the number it is about, and the connection goes on', async (t) => {
  await using server = await start({ limits: { eventBytesMax: 1_000, topicsMax: 3 } })
  using client = await open(server)
  for (const [code, message, about = {}] of MISTAKES) {
    await t.test(`${message.slice(0, 80)} is ${code}`, async () => {
      const before = client.messages.length
      client.socket.send(message)
      await client.until(({ messages }) => messages.length === before + 1)
      const { error, ...rest } = client.json.at(-1) ?? {}
      const problem = error as Record<string, unknown>
      assert.equal(problem['code'], code, String(problem['detail']))
      const { title, status } = PROBLEMS[code]
      assert.deepEqual([problem['type'], problem['title'], problem['status']], [`urn:hydrant:${code}`, title, status])
      assert.deepEqual(rest, about)
    })
  }
  const counted = [...server.hub.counters.refused.values()].reduce((sum, one) => sum + one, 0)
  assert.equal(counted, MISTAKES.length)
  assert.equal(server.hub.counters.published, 0)
})

test('base64 that is none is refused, not guessed', async () => {
  await using server = await start()
  using client = await open(server)
  client.say({ publish: { topic: 'a', dataBase64: 'no base64!' }, ack: 1 })
  await client.until(({ messages }) => messages.length === 1)
  assert.deepEqual(brief(client), ['error'])
  assert.equal(server.hub.counters.published, 0)
})

for (const [words, frame] of [
  ['too short', Buffer.from([0])],
  ['shorter than its header', Buffer.from([0, 9, 0x7b])],
  ['without JSON', Buffer.from([0, 1, 0x78, 1, 2])],
  ['that subscribes', Buffer.from(formatBinary({ subscribe: { sub: 1, topics: ['a'] } }, new Uint8Array(0)))],
  ['with its data twice', Buffer.from(formatBinary({ publish: { topic: 'a', data: 'x' } }, new Uint8Array(1)))],
] as const) {
  test(`a binary frame ${words} is malformed-message`, async () => {
    await using server = await start()
    using client = await open(server)
    client.socket.send(frame)
    await client.until(({ messages }) => messages.length === 1)
    assert.equal(codeOf(client.json[0]), 'malformed-message')
    assert.equal(server.hub.counters.published, 0)
  })
}

test('more subscriptions than allowed are refused, until one is given back', async () => {
  await using server = await start({ limits: { subscriptionsMax: 2 } })
  using client = await open(server, '/events/a')
  await client.until(({ messages }) => messages.length === 1)
  client.say({ subscribe: { sub: 1, topics: ['b'] } })
  client.say({ subscribe: { sub: 2, topics: ['c'] } })
  await client.until(({ messages }) => messages.length === 3)
  client.say({ unsubscribe: { sub: 1 } })
  client.say({ subscribe: { sub: 2, topics: ['c'] } })
  await client.until(({ messages }) => messages.length === 5)
  assert.deepEqual(brief(client).toSorted(), ['error', 'subscribed', 'subscribed', 'subscribed', 'unsubscribed'])
  const refused = client.json.find((message) => 'error' in message)
  assert.deepEqual([codeOf(refused), refused?.['sub']], ['too-many-subscriptions', 2])
})
