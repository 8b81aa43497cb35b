// Publishing a stream of lines (NDJSON): as they come, as fast as the log takes them, each whole or not at all.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryEngine, type HubOptions } from '../../src/index.ts'
import { ask, post, type Said } from '../support/ask.ts'
import { GatedEngine } from '../support/gated-engine.ts'
import { RawClient } from '../support/raw-client.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer, type TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'

const EPOCH = '0123456789ab'
const LINES = { 'content-type': 'application/x-ndjson' }
const HEAD = 'POST /events/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-ndjson\r\n'

function start(options: HubOptions = {}): Promise<TestServer> {
  return startServer({ engine: new MemoryEngine({ epoch: EPOCH, limits: options.limits ?? {} }), ...options })
}

test('every line is an event; the answer says how many, and the last id', async () => {
  await using server = await start()
  const body =
    '{"topic":"a","data":"1"}\n\n{"topic":"b","type":"t","data":{"n":2}}\r\n  {"topic":"c","dataBase64":"AP8="}'
  const said = await post(server.url, '/events', body, LINES)
  assert.deepEqual(said.json, { published: 3, lastId: `${EPOCH}-3` })
  assert.deepEqual(dataOf(server), ['1', '{"n":2}', '\0\xff'])
})

test('lines may leave out the topic that the path names', async () => {
  await using server = await start()
  const said = await post(server.url, '/events/a', '{"data":"1"}\n{"topic":"b","data":"2"}\n', LINES)
  assert.equal(said.json['published'], 2)
  const topics: string[] = []
  server.hub.window.read(0, server.hub.select(['**']), ({ topic }) => topics.push(topic) > 0, 9)
  assert.deepEqual(topics, ['a', 'b'])
})

test('a body without a line publishes nothing and is no mistake', async () => {
  await using server = await start()
  for (const body of ['', '\n', '\r\n \n'])
    assert.deepEqual((await post(server.url, '/events', body, LINES)).json, { published: 0 })
})

test('a stream may have more lines than a batch may have events', async () => {
  await using server = await start({ limits: { batchEventsMax: 2, batchBytesMax: 1_024 } })
  const body = Array.from({ length: 101 }, (_, at) => `{"data":"${at}"}\n`).join('')
  assert.deepEqual((await post(server.url, '/events/a', body, LINES)).json, { published: 101, lastId: `${EPOCH}-101` })
  assert.deepEqual(
    dataOf(server),
    Array.from({ length: 101 }, (_, at) => String(at)),
  )
})

test('it does not matter where the network cuts the lines', async () => {
  const body = Buffer.from('{"data":"é1"}\r\n{"data":"😀2"}\n\n{"data":"3"}\n{"data":"4"}')
  await using server = await start()
  const cuts = Array.from({ length: body.length + 1 }, (_, at) => [body.subarray(0, at), body.subarray(at)])
  for (const pieces of [...cuts, Array.from(body, (byte) => Buffer.of(byte))]) {
    const before = server.hub.window.head
    await exchangeChunks(server, pieces)
    assert.deepEqual(dataOf(server, before), ['é1', '😀2', '3', '4'])
  }
})

test('a line is delivered while the request goes on', async () => {
  await using server = await start()
  using subscriber = await StreamClient.open(server.url, '/events/a')
  using publisher = await RawClient.connect(server.port)
  publisher.say(`${HEAD}transfer-encoding: chunked\r\n\r\n`)
  for (const data of ['1', '2', '3']) {
    publisher.say(chunk(Buffer.from(`{"data":"${data}"}\n`)).toString('latin1'))
    await subscriber.until((client) => client.data.at(-1) === data)
  }
  publisher.say('0\r\n\r\n')
  assert.match(await publisher.closed(), /"published":3/)
})

const BAD_LINES: readonly (readonly [code: string, line: string | Uint8Array])[] = [
  ['malformed-json', '{"data":"3"'],
  ['malformed-json', 'null and void'],
  ['malformed-event', '[]'],
  ['malformed-event', '{"dat":"3"}'],
  ['malformed-utf8', Uint8Array.of(0x22, 0xff, 0x22)],
  ['malformed-utf8', String.raw`{"data":"\udc00"}`],
  ['malformed-topic', '{"topic":"a b"}'],
  ['reserved-type', '{"type":"open"}'],
  ['malformed-type', String.raw`{"type":"a\nb"}`],
  ['malformed-key', '{"key":""}'],
  ['event-too-large', `{"data":"${'x'.repeat(1_001)}"}`],
  ['event-too-large', `{"data":"${'x'.repeat(20_000)}"}`],
]

for (const [code, bad] of BAD_LINES) {
  const shown = typeof bad === 'string' ? bad.slice(0, 30) : 'a byte that is no UTF-8'
  test(`a bad line (${shown}, ${code}) is named, and exactly what stands before it is published`, async () => {
    const good = Buffer.from('{"data":"1"}\n\n{"data":"2"}\n')
    const after = Buffer.from('\n{"data":"5"}\n')
    for (const pieces of [[good, Buffer.from(bad), after], [Buffer.concat([good, Buffer.from(bad), after])]]) {
      await using server = await start({ limits: { eventBytesMax: 1_000 } })
      const said = await exchangeChunks(server, pieces)
      assert.equal(said.json['code'], code)
      assert.match(String(said.json['detail']), /^Line 4\b/)
      assert.deepEqual([said.json['published'], said.json['lastId']], [2, `${EPOCH}-2`])
      assert.deepEqual(dataOf(server), ['1', '2'])
      assert.equal(server.hub.counters.refused.get(code), 1)
    }
  })
}

test('a line without an end is refused once it is too long, however slowly it comes', async () => {
  await using server = await start({ limits: { eventBytesMax: 1_000 } })
  using client = await RawClient.connect(server.port)
  client.say(`${HEAD}transfer-encoding: chunked\r\n\r\n`)
  const pushing = setInterval(() => client.say(chunk(Buffer.alloc(512, 0x20)).toString('latin1')), 1)
  await client.hear('event-too-large')
  clearInterval(pushing)
  assert.match(await client.closed(), /"published":0/)
})

const CUT: readonly (readonly [words: string, head: string, tail: string])[] = [
  ['in the middle of a line', 'content-length: 1000', '{"data":"par'],
  ['after a line that has no end yet', 'content-length: 1000', '{"data":"whole, but for its newline"}'],
]

for (const [words, head, tail] of CUT) {
  test(`a client that vanishes ${words} has published the lines before it, and no part of this one`, async () => {
    await using server = await start()
    using client = await RawClient.connect(server.port)
    client.say(`${HEAD}${head}\r\n\r\n{"data":"1"}\n{"data":"2"}\n${tail}`)
    await until(() => server.hub.window.head === 2, 'two lines')
    client.socket.resetAndDestroy()
    await until(() => server.hub.counters.refused.get('malformed-body') === 1, 'the refusal to be counted')
    assert.deepEqual(dataOf(server), ['1', '2'])
  })
}

test('a chunked body that ends without its last chunk has not published its unfinished line', async () => {
  await using server = await start()
  using client = await RawClient.connect(server.port, { allowHalfOpen: true })
  client.say(`${HEAD}transfer-encoding: chunked\r\n\r\n`)
  client.say(chunk(Buffer.from('{"data":"1"}\n{"data":"2"}')).toString('latin1'))
  await until(() => server.hub.window.head === 1, 'the first line')
  client.socket.end()
  await client.closed()
  assert.deepEqual(dataOf(server), ['1'])
})

test('lines are read only as fast as the log takes them', async () => {
  const engine = new GatedEngine()
  await using server = await start({ engine })
  engine.shut()
  const line = `{"data":"${'x'.repeat(1_000)}"}\n`
  const total = 20_000
  using client = await RawClient.connect(server.port)
  client.say(`${HEAD}content-length: ${line.length * total}\r\n\r\n`)
  for (let at = 0; at < total; at += 1) client.say(line)
  await until(() => engine.waiting === 1, 'the first lines at the gate')
  let taken = -1
  await until(() => {
    const before = taken
    taken = client.socket.bytesWritten - client.socket.writableLength
    return taken === before && client.socket.writableLength > 0
  }, 'the client to be held')
  assert.ok(client.socket.writableLength > 1_000_000, `only ${client.socket.writableLength} bytes are held back`)
  assert.equal(engine.waiting, 1, 'one group at a time')
  engine.unlock()
  assert.match(await client.closed(), new RegExp(`"published":${total}`))
  assert.equal(server.hub.counters.published, total)
})

test('the log failing in the middle says how far it came', async () => {
  const engine = new GatedEngine()
  await using server = await start({ engine })
  using client = await RawClient.connect(server.port)
  client.say(`${HEAD}content-length: 1000\r\n\r\n{"data":"1"}\n`)
  await until(() => server.hub.window.head === 1, 'the first line')
  engine.fail('unavailable')
  client.say('{"data":"2"}\n')
  const text = await client.closed()
  assert.match(text, /^HTTP\/1\.1 503 /)
  assert.match(text, /"code":"unavailable".*"published":1/)
})

test('an idempotency key is not for streams of lines, and is refused rather than ignored', async () => {
  await using server = await start()
  const headers = { ...LINES, 'idempotency-key': 'k' }
  const said = await ask(server.url, 'POST', '/events/a', { headers, body: '{"data":"1"}\n' })
  assert.equal(said.status, 400)
  assert.equal(said.json['code'], 'malformed-idempotency-key')
  assert.equal(server.hub.counters.published, 0)
})

/** Sends each piece as an HTTP chunk, and so as a piece of the body, however TCP joins them. */
async function exchangeChunks(server: TestServer, pieces: readonly Uint8Array[]): Promise<Pick<Said, 'json'>> {
  const chunks = pieces.filter(({ length }) => length > 0).map((piece) => chunk(piece).toString('latin1'))
  const head = `${HEAD}transfer-encoding: chunked\r\n\r\n`
  const text = await RawClient.exchange(server.port, `${head}${chunks.join('')}0\r\n\r\n`)
  return { json: JSON.parse(text.slice(text.indexOf('\r\n\r\n'))) as Said['json'] }
}

function chunk(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
}

function dataOf(server: TestServer, after = 0): readonly string[] {
  const data: string[] = []
  const add = (text: string | Uint8Array): boolean =>
    data.push(typeof text === 'string' ? text : Buffer.from(text).toString('latin1')) > 0
  server.hub.window.read(after, server.hub.select(['**']), (event) => add(event.data), Number.MAX_SAFE_INTEGER)
  return data
}
