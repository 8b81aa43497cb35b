// Bad input over HTTP: every problem code is provoked, says what is wrong, and leaves the server and its log as they
// were.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROBLEMS, type ProblemCode } from 'hydrant-client/wire'
import { createHub, HydrantError, MemoryEngine, type HubOptions } from '../../src/index.ts'
import { ask, post, type AskOptions, type Said } from '../support/ask.ts'
import { RawClient } from '../support/raw-client.ts'
import { startServer, type TestServer } from '../support/test-server.ts'

/** Codes that only a message on a WebSocket can bring: test/transport/websocket-protocol.test.ts. */
const WEBSOCKET_ONLY: readonly ProblemCode[] = ['malformed-message', 'too-many-subscriptions', 'rate-exceeded']
/** Codes of what an application may check for itself. */
const OF_APPLICATIONS: readonly ProblemCode[] = ['invalid-data']

const LIMITS = {
  eventBytesMax: 1_000,
  batchBytesMax: 4_096,
  batchEventsMax: 3,
  topicsMax: 3,
  pageEventsMax: 5,
} as const

/** A request line and what it carries; without a method it is a GET. */
type Row = readonly [code: ProblemCode, request: string, carries?: AskOptions, detail?: RegExp]

/** What a Request with a stream for its body must say; not in the types of browsers. */
const HALF = { duplex: 'half' }
const JSON_BODY = { 'content-type': 'application/json' }
const ROWS: readonly Row[] = [
  ['malformed-topic', 'POST /events/a//b', {}, /empty segment/],
  ['malformed-topic', 'POST /events//', {}],
  ['malformed-topic', 'POST /events/a%20b', {}, /characters other than/],
  ['malformed-topic', 'POST /events/a/..%2Fb', {}, /URLs take away/],
  ['malformed-topic', 'POST /events/%ff', {}, /percent-encoding/],
  ['malformed-topic', 'GET /events/%', {}, /percent-encoding/],
  ['malformed-topic', 'POST /events/a/*', {}],
  ['malformed-topic', 'POST /events/%0D%0Aid:%201', {}],
  ['malformed-topic', 'POST /events/a%00', {}],
  ['malformed-topic', `POST /events/${'a/'.repeat(16)}a`, {}, /more than 16 segments/],
  ['malformed-topic', `POST /events/${'a'.repeat(256)}`, {}, /longer than 255/],
  ['malformed-topic', 'POST /events', event('{"topic":""}'), /is empty/],
  ['malformed-topic', 'POST /events', event('{"topic":"é"}')],
  ['malformed-pattern', '/events/a*', {}, /characters other than/],
  ['malformed-pattern', '/events/**/a', {}, /before its end/],
  ['malformed-pattern', '/events?topic=', {}, /is empty/],
  ['malformed-pattern', '/events?topic=a%0Ab'],
  ['malformed-id', '/events/a?lastEventId=7', {}, /looks like/],
  ['malformed-id', '/events/a?lastEventId='],
  ['malformed-id', '/events/a?lastEventId=0123456789AB-1'],
  ['malformed-id', '/events/a?lastEventId=0123456789ab-01'],
  ['malformed-id', '/events/a?lastEventId=0123456789ab-99999999999999999'],
  ['malformed-id', '/events/a?lastEventId=0123456789ab-1%0D%0Adata:%20x'],
  ['malformed-id', 'POST /events/a?ifLast=first', {}, /or none/],
  ['malformed-query', 'POST /events/a?end=soon', {}, /true, false/],
  ['malformed-type', '/events/a?type='],
  ['malformed-type', 'POST /events/a?type=x%0Adata:%20y'],
  ['malformed-type', 'POST /events/a?type=x%0Dy'],
  ['malformed-type', 'POST /events/a?type=x%00y'],
  ['malformed-type', `POST /events/a?type=${'x'.repeat(256)}`, {}, /1 to 255/],
  ['malformed-type', 'POST /events', event(String.raw`{"topic":"a","type":"\ud800"}`)],
  ['malformed-type', 'POST /events', event(String.raw`{"topic":"a","type":"x\r\nid: 1"}`)],
  ['reserved-type', 'POST /events/a?type=open', {}, /EventSource/],
  ['reserved-type', 'POST /events/a?type=error'],
  ['reserved-type', 'POST /events/a?type=hydrant:gap', {}, /server's own/],
  ['reserved-type', 'POST /events', event('[{"topic":"a"},{"topic":"a","type":"hydrant:"}]'), /Event 1/],
  ['malformed-key', 'POST /events/a?key='],
  ['malformed-key', 'POST /events/a?key=x%0Dy'],
  ['malformed-key', 'POST /events/a?key=x%0Ay'],
  ['malformed-key', 'POST /events/a?key=x%00y'],
  ['malformed-key', `POST /events/a?key=${'x'.repeat(256)}`],
  ['malformed-json', 'POST /events', event('{'), /JSON/],
  ['malformed-json', 'POST /events', event('')],
  ['malformed-json', 'POST /events', { body: '{]', headers: { 'content-type': 'application/cloudevents+json' } }],
  ['malformed-json', 'POST /events', { body: '{"topic":"a"}\n{', headers: { 'content-type': 'application/json' } }],
  ['malformed-utf8', 'POST /events/a', { body: Uint8Array.of(0x61, 0xff) }, /octet-stream/],
  ['malformed-utf8', 'POST /events/a', { body: Uint8Array.of(0xed, 0xa0, 0x80) }],
  ['malformed-utf8', 'POST /events', { body: Buffer.from([0x22, 0xc3, 0x22]), headers: JSON_BODY }],
  ['malformed-utf8', 'POST /events', event(String.raw`{"topic":"a","data":"\ud800"}`), /surrogate/],
  ['malformed-event', 'POST /events', event('7'), /JSON object/],
  ['malformed-event', 'POST /events', event('[{"topic":"a"},null]'), /Event 1/],
  ['malformed-event', 'POST /events', event('[[]]'), /Event 0/],
  ['malformed-event', 'POST /events', event('{"data":"x"}'), /no topic/],
  ['malformed-event', 'POST /events', event('{"topic":7}'), /topic is not a string/],
  ['malformed-event', 'POST /events', event('{"topic":"a","typ":"x"}'), /Did you mean "type"/],
  ['malformed-event', 'POST /events', event('{"topic":"a","data":"x","dataBase64":"eA=="}'), /both/],
  ['malformed-event', 'POST /events', event('{"topic":"a","dataBase64":"no base64!"}'), /base64/],
  ['malformed-cloudevent', 'POST /events/a', cloud('7'), /not a JSON object/],
  ['malformed-cloudevent', 'POST /events/a', cloud('{"specversion":"0.3","id":"1","source":"s","type":"t"}'), /0\.3/],
  ['malformed-cloudevent', 'POST /events/a', cloud('{"specversion":"1.0","source":"s","type":"t"}'), /attribute id/],
  ['malformed-cloudevent', 'POST /events/a', cloud('{"specversion":"1.0","id":"1","type":"t"}'), /source/],
  ['malformed-cloudevent', 'POST /events/a', cloud('{"specversion":"1.0","id":"1","source":"s","type":7}'), /type/],
  ['malformed-cloudevent', 'POST /events', cloud('{"specversion":"1.0","id":"1","source":"s","type":"t"}'), /no topic/],
  [
    'malformed-cloudevent',
    'POST /events/a',
    cloud('{"specversion":"1.0","id":"1","source":"s","type":"t","data":1,"data_base64":"eA=="}'),
    /stand alone/,
  ],
  ['malformed-cloudevent', 'POST /events/a', { body: 'x', headers: { 'ce-specversion': '1.0', 'ce-type': 't' } }],
  ['malformed-cloudevent', 'POST /events/a', { body: 'x', headers: { 'ce-specversion': '2' } }],
  ['malformed-query', '/events/a?since=yesterday', {}, /90s/],
  ['malformed-query', '/events/a?since=2026-13-01T00:00:00Z'],
  ['malformed-query', '/events/a?last=-1', {}, /whole number/],
  ['malformed-query', '/events/a?last=1e3'],
  ['malformed-query', '/events/a?earliest=maybe', {}, /true, false/],
  ['malformed-query', '/events/a?format=xml', {}, /plain, envelope/],
  ['malformed-query', '/events/a?lag=wait', {}, /disconnect, skip/],
  ['malformed-query', '/events/a?last=1&last=2', {}, /2 times/],
  ['malformed-query', '/events/a?limit=5', {}, /application\/json/],
  ['malformed-query', '/events/a?limit=0', { headers: { accept: 'application/json' } }, /at least 1/],
  ['malformed-query', '/events/a?limit=6', { headers: { accept: 'application/json' } }, /at most 5/],
  ['malformed-query', 'POST /events/a?type=x&type=y', {}, /2 times/],
  ['unknown-query-key', '/events/a?typ=x', {}, /Did you mean "type"/],
  ['unknown-query-key', '/events?topics=a', {}, /Did you mean "topic"/],
  ['unknown-query-key', 'POST /events/a?last=1', {}, /Known: type, key/],
  ['conflicting-start', '/events/a?last=1&earliest'],
  ['conflicting-start', '/events/a?since=1h&last=1'],
  ['no-topic', '/events'],
  ['no-topic', '/events/?type=x'],
  ['too-many-topics', '/events/a?topic=b&topic=c&topic=d', {}, /4 topics/],
  ['malformed-idempotency-key', 'POST /events/a', { headers: { 'idempotency-key': '' } }],
  ['malformed-idempotency-key', 'POST /events/a', { headers: { 'idempotency-key': 'k'.repeat(256) } }, /1 to 255/],
  ['forbidden-origin', 'POST /events/a', { headers: { origin: 'https://other.example' } }, /--cors/],
  ['forbidden-origin', 'POST /events/a', { headers: { origin: 'null' } }],
  ['not-found', '/nothing'],
  ['not-found', '/eventsource'],
  ['method-not-allowed', 'PUT /events/a', { body: 'x' }, /GET, POST, OPTIONS/],
  ['method-not-allowed', 'DELETE /events/a'],
  ['method-not-allowed', 'POST /livez', {}, /GET, HEAD/],
  ['not-acceptable', '/events/a', { headers: { accept: 'image/png' } }, /text\/event-stream/],
  ['not-acceptable', '/events/a', { headers: { accept: '*/*;q=0' } }],
  ['event-too-large', 'POST /events/a', { body: 'x'.repeat(1_001) }, /1000 bytes/],
  ['event-too-large', 'POST /events/a', { body: 'x'.repeat(1_000_000) }],
  ['event-too-large', 'POST /events', event(JSON.stringify({ topic: 'a', data: 'é'.repeat(501) }))],
  ['batch-too-large', 'POST /events', event(`[${' '.repeat(4_096)}]`), /4096 bytes/],
  ['batch-too-large', 'POST /events', event('[{"topic":"a"},{"topic":"a"},{"topic":"a"},{"topic":"a"}]'), /4 events/],
  ['unsupported-media-type', 'POST /events', { body: 'x', headers: { 'content-type': 'text/plain' } }, /text\/plain/],
  ['unsupported-media-type', 'POST /events', { body: '{"topic":"a"}' }],
  ['unsupported-media-type', 'POST /events/a', { body: 'x', headers: { 'content-encoding': 'gzip' } }, /gzip/],
]

/** Problems that need a server in a certain state. */
const SCENES: Partial<Record<ProblemCode, () => Promise<Said>>> = {
  'topic-ended': () =>
    inScene({}, async ({ url }) => {
      assert.equal((await post(url, '/events/a?end', 'last words')).status, 200)
      return post(url, '/events/a', 'one more')
    }),
  'last-conflict': () =>
    inScene({}, async ({ url }) => {
      assert.equal((await post(url, '/events/a?ifLast=none', 'first')).status, 200)
      return post(url, '/events/a?ifLast=none', 'first, too')
    }),
  'idempotency-conflict': () =>
    inScene({}, async ({ url }) => {
      assert.equal((await post(url, '/events/a', 'one', { 'idempotency-key': 'k' })).status, 200)
      return post(url, '/events/a', 'two', { 'idempotency-key': 'k' })
    }),
  'internal-error': () => {
    const told: unknown[] = []
    const engine = new BrokenEngine(new TypeError('a secret of the inside'))
    return inScene({ engine, onError: (error) => told.push(error) }, async ({ url }) => {
      const said = await post(url, '/events/a', 'x')
      assert.doesNotMatch(said.text, /secret/)
      assert.equal(told.length, 1)
      return said
    })
  },
  unavailable: () =>
    inScene({ engine: new BrokenEngine(new HydrantError('unavailable', 'The disk is full.')) }, async ({ url }) =>
      checkRetryAfter(await post(url, '/events/a', 'x')),
    ),
  'too-many-connections': () =>
    inScene({ limits: { connectionsMax: 1 } }, async ({ url, port }) => {
      using first = await RawClient.connect(port)
      first.say('GET /events/a HTTP/1.1\r\nhost: x\r\n\r\n')
      await first.hear('hydrant:open')
      return checkRetryAfter(await ask(url, 'GET', '/events/a', { headers: { accept: 'application/x-ndjson' } }))
    }),
  'shutting-down': () =>
    inScene({}, async ({ url, hub }) => {
      await hub.close()
      return checkRetryAfter(await post(url, '/events/a', 'x'))
    }),
  'not-atomic': () =>
    inScene({ engine: new SingleEngine() }, async ({ url }) => {
      const body = '[{"topic":"a"},{"topic":"b"}]'
      const each = await post(url, '/events?atomic=false', body, JSON_BODY)
      assert.deepEqual([each.status, (each.json['results'] as unknown[]).length], [200, 2])
      return post(url, '/events', body, JSON_BODY)
    }),
  'malformed-body': async () => {
    const hub = createHub()
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error('cut')) })
    const request = new Request('http://x/events/a', { method: 'POST', body, ...HALF })
    const response = await hub.fetch(request)
    await hub.close()
    const text = await response.text()
    const headers = Object.fromEntries(response.headers)
    return { status: response.status, headers, text, json: JSON.parse(text) as Said['json'] }
  },
  'malformed-upgrade': () =>
    inScene({}, async ({ port }) => {
      const text = await RawClient.exchange(
        port,
        'GET /events/a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: teapot\r\n\r\n',
      )
      const [head = '', body = ''] = text.split('\r\n\r\n')
      assert.match(head, /^content-type: application\/problem\+json$/m)
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1])
      const json = JSON.parse(body) as Said['json']
      return { status, headers: { 'content-type': 'application/problem+json' }, text: body, json }
    }),
}

test('each bad request is answered with its problem, publishes nothing and stops nothing', async (t) => {
  await using server = await startServer({ limits: LIMITS })
  for (const [code, line, carries, detail] of ROWS) {
    const title = `${line.slice(0, 60)} ${describe(carries)}is ${code}`
    await t.test(title, async () => {
      const [method = '', path = ''] = line.startsWith('/') ? ['GET', line] : line.split(' ')
      const said = await ask(server.url, method, path, carries)
      checkProblem(code, said, detail)
      assert.equal(server.hub.counters.published, 0)
    })
  }
  const alive = await post(server.url, '/events/a', 'still alive')
  assert.equal(alive.status, 200)
  assert.equal(server.hub.counters.published, 1)
  const refused = [...server.hub.counters.refused.values()].reduce((sum, one) => sum + one, 0)
  assert.equal(refused, ROWS.length, 'each refusal is counted')
})

for (const [code, scene] of Object.entries(SCENES)) {
  test(`the problem ${code} is answered where it happens`, async () => checkProblem(code as ProblemCode, await scene()))
}

test('no problem code is left unprovoked', () => {
  const provoked = new Set<string>([...ROWS.map(([code]) => code), ...Object.keys(SCENES)])
  const elsewhere = [...WEBSOCKET_ONLY, ...OF_APPLICATIONS]
  const left = Object.keys(PROBLEMS).filter((code) => !provoked.has(code))
  assert.deepEqual(left.toSorted(), elsewhere.toSorted())
})

test('a refused method names those that are possible', async () => {
  await using server = await startServer()
  assert.equal((await ask(server.url, 'PATCH', '/events/a')).headers.allow, 'GET, POST, OPTIONS')
  assert.equal((await ask(server.url, 'DELETE', '/livez')).headers.allow, 'GET, HEAD')
})

test('of a batch with one bad event nothing is published', async () => {
  await using server = await startServer({ limits: LIMITS })
  for (const bad of [
    '{"topic":"a b"}',
    '{"topic":"a","type":"open"}',
    '7',
    `{"topic":"a","data":"${'x'.repeat(1_001)}"}`,
  ]) {
    const said = await post(server.url, '/events', `[{"topic":"a"},${bad},{"topic":"a"}]`, JSON_BODY)
    assert.ok(said.status >= 400)
    assert.match(String(said.json['detail']), /Event 1/)
  }
  assert.equal(server.hub.counters.published, 0)
  assert.equal(server.hub.window.head, 0)
})

/** An engine that stores events one by one. */
class SingleEngine extends MemoryEngine {
  override readonly capabilities = {
    durable: false,
    shared: false,
    exactGaps: true,
    topicRetention: false,
    atomicBatch: false,
  }
}

/** An engine whose appends fail. */
class BrokenEngine extends MemoryEngine {
  readonly #error: Error

  constructor(error: Error) {
    super()
    this.#error = error
  }

  override append(): Promise<readonly string[]> {
    return Promise.reject(this.#error)
  }
}

async function inScene(options: HubOptions, play: (server: TestServer) => Promise<Said>): Promise<Said> {
  await using server = await startServer(options)
  return await play(server)
}

function checkProblem(code: ProblemCode, { status, headers, json }: Said, detail: RegExp = /./): void {
  const type = PROBLEMS[code]
  assert.equal(json['code'], code, `detail: ${String(json['detail'])}`)
  assert.equal(status, type.status)
  assert.equal(headers['content-type'], 'application/problem+json')
  const { title, type: urn, status: repeated } = json
  assert.deepEqual({ title, urn, repeated }, { title: type.title, urn: `urn:hydrant:${code}`, repeated: type.status })
  assert.match(String(json['detail']), detail)
}

function checkRetryAfter(said: Said): Said {
  assert.equal(said.headers['retry-after'], '1')
  return said
}

function event(body: string): AskOptions {
  return { body, headers: JSON_BODY }
}

function cloud(body: string): AskOptions {
  return { body, headers: { 'content-type': 'application/cloudevents+json' } }
}

function describe({ body, headers = {} }: AskOptions = {}): string {
  const what = typeof body === 'string' ? JSON.stringify(body).slice(0, 60) : body && `${body.length} bytes`
  const start = what === undefined ? '' : `with ${what} `
  return Object.entries(headers).reduce((text, [name, value]) => `${text}and ${name} ${value.slice(0, 40)} `, start)
}
