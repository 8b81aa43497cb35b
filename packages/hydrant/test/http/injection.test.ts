// Header and field injection: line breaks and NUL in anything that ends up in a head or in a field of a stream.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, post } from '../support/ask.ts'
import { RawClient } from '../support/raw-client.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer, type TestServer } from '../support/test-server.ts'
import { WsClient } from '../support/ws-client.ts'

const BREAKERS: readonly (readonly [words: string, text: string])[] = [
  ['CR', '\r'],
  ['LF', '\n'],
  ['CRLF', '\r\n'],
  ['NUL', '\0'],
]

for (const [words, breaker] of BREAKERS) {
  const evil = `x${breaker}data: evil${breaker}id: 666`
  const query = (name: string): string => new URLSearchParams({ [name]: evil }).toString()
  const json = (field: string): string => JSON.stringify({ topic: 'a', [field]: evil })

  test(`${words} in topic, type and key is refused, however it comes`, async () => {
    await using server = await startServer()
    const said = [
      await post(server.url, `/events/${encodeURIComponent(evil)}`, 'x'),
      await post(server.url, `/events/a?${query('type')}`, 'x'),
      await post(server.url, `/events/a?${query('key')}`, 'x'),
      await post(server.url, '/events', json('topic'), { 'content-type': 'application/json' }),
      await post(server.url, '/events', json('type'), { 'content-type': 'application/json' }),
      await post(server.url, '/events', json('key'), { 'content-type': 'application/json' }),
      await post(server.url, '/events', `${json('type')}\n`, { 'content-type': 'application/x-ndjson' }),
      await ask(server.url, 'GET', `/events?${query('topic')}`),
      await ask(server.url, 'GET', `/events/a?${query('type')}`),
      await ask(server.url, 'GET', `/events/a?${query('lastEventId')}`),
    ]
    assert.deepEqual(
      said.map(({ status, headers }) => [status, headers['content-type']]),
      said.map(() => [400, 'application/problem+json']),
    )
    assert.equal(server.hub.counters.published, 0)
  })

  test(`${words} in type and key is refused over WebSocket`, async () => {
    await using server = await startServer()
    using client = await WsClient.open(`${server.wsUrl}/events`, 'hydrant.v1')
    client.say({ publish: { topic: 'a', type: evil }, ack: 1 })
    client.say({ publish: { topic: 'a', key: evil }, ack: 2 })
    client.say({ publish: { topic: evil }, ack: 3 })
    client.say({ subscribe: { sub: 4, topics: ['a'], lastEventId: evil } })
    await client.until(({ messages }) => messages.length === 4)
    const codes = client.json.map(({ error }) => (error as { readonly code: string }).code)
    assert.deepEqual(codes.toSorted(), ['malformed-id', 'malformed-key', 'malformed-topic', 'malformed-type'])
    assert.equal(server.hub.counters.published, 0)
  })

  test(`${words} in the Last-Event-ID header never reaches a stream`, async () => {
    await using server = await startServer()
    const text = await hearStream(server, `last-event-id: ${evil}\r\n`)
    assert.doesNotMatch(body(text), /^(?:data: evil|id: 666)/m)
    assert.doesNotMatch(body(text), /\0/)
  })

  test(`${words} in the Origin of an allowed page starts no header of its own`, async () => {
    await using server = await startServer({ cors: ['*'] })
    const text = await hearStream(server, `origin: http://x${breaker}set-cookie: a=b\r\n`)
    assert.doesNotMatch(text.split('\r\n\r\n')[0] ?? '', /^set-cookie/im)
  })
}

test('what a stranger names is quoted in the answer, so that its line breaks stay in the JSON', async () => {
  await using server = await startServer()
  const said = await ask(server.url, 'GET', `/events/${encodeURIComponent('a\r\nb<script>')}`)
  assert.equal(said.headers['content-type'], 'application/problem+json')
  assert.match(String(said.json['detail']), /"a\\r\\nb<script>"/)
})

test('an id of a stranger is repeated in the farewell as it came, as one field', async () => {
  await using server = await startServer({ limits: { connectionsMax: 1 } })
  using first = await StreamClient.open(server.url, '/events/a')
  await first.until(({ messages }) => messages.length === 1)
  using second = await StreamClient.open(server.url, '/events/a', { 'last-event-id': 'id: 1: "é" data: x' })
  await second.closed()
  assert.equal(second.messages.length, 1)
  assert.equal(second.messages[0]?.lastEventId, 'id: 1: "é" data: x')
})

/** Opens a stream with a raw header; answers what was heard until its first block, or until it was closed. */
async function hearStream(server: TestServer, header: string): Promise<string> {
  using client = await RawClient.connect(server.port)
  client.say(`GET /events/a HTTP/1.1\r\nhost: x\r\n${header}\r\n`)
  await client.hear(/^HTTP\/1\.1 (?:400|200 OK[^]*\n\n)/)
  return client.text
}

function body(text: string): string {
  return text.slice(text.indexOf('\r\n\r\n') + 4)
}
