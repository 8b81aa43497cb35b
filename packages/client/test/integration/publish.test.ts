// Publishing over a stream: acknowledged with the event's id, tried again when that may help, and stored once.

import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { test } from 'node:test'
import { closeServer, listen, portOf } from '../../../hydrant/test/support/test-server.ts'
import { until } from '../../../hydrant/test/support/until.ts'
import { settle, VirtualClock } from '../../../hydrant/test/support/virtual-clock.ts'
import { connect, StreamError } from '../../src/index.ts'
import { CuttingProxy } from '../support/cutting-proxy.ts'
import { startCuttable } from '../support/cuttable-server.ts'
import { follow, TRANSPORTS } from '../support/followed.ts'

for (const transport of TRANSPORTS) {
  test(`${transport}: a publish answers the id under which everybody gets the event; text, bytes and JSON`, async () => {
    await using server = await startCuttable()
    using followed = follow(server.url, { topics: ['a/*'], transport })
    await followed.opened()
    const { stream } = followed
    const bytes = crypto.getRandomValues(new Uint8Array(20_000))
    const ids = [
      await stream.publish({ topic: 'a/b', type: 't', key: 'k', data: 'tëxt\r\n' }),
      await stream.publish({ topic: 'a/b', data: bytes }),
      await stream.publish({ topic: 'a/b', data: { n: [1, null] } }),
      await stream.publish({ topic: 'a/b' }),
    ]
    await followed.until(({ events }) => events.length === 4)
    assert.deepEqual(
      followed.events.map(({ id }) => id),
      ids,
    )
    const [text, binary, json, empty] = followed.events
    assert.deepEqual([text?.type, text?.key, text?.data], ['t', 'k', 'tëxt\r\n'])
    assert.deepEqual(new Uint8Array(binary?.data as Uint8Array), bytes)
    assert.deepEqual([json?.data, empty?.data], ['{"n":[1,null]}', ''])
  })

  test(`${transport}: what can never be published rejects with the server's problem, and is not tried again`, async () => {
    await using server = await startCuttable()
    using followed = follow(server.url, { topics: ['a'], transport })
    await assert.rejects(followed.stream.publish({ topic: 'a//b', data: 'x' }), (error) => {
      assert.ok(error instanceof StreamError)
      return error.code === 'malformed-topic' && error.problem?.status === 400
    })
    assert.equal(await followed.stream.publish({ topic: 'a', data: 'x' }).then(typeofValue), 'string')
    assert.equal(server.hub.counters.refused.get('malformed-topic'), 1)
  })

  test(`${transport}: close rejects what is not acknowledged and whatever comes later`, async () => {
    await using server = await startCuttable()
    using followed = follow(server.url, { topics: ['a'], transport })
    const early = followed.stream.publish({ topic: 'a', data: 'x' })
    followed.stream.close()
    await assert.rejects(early, { code: 'closed' })
    await assert.rejects(followed.stream.publish({ topic: 'a', data: 'x' }), { code: 'closed' })
  })
}

test('websocket: more publishes than a server takes in a second are paced, in their order, and all of them stored', async () => {
  await using server = await startCuttable({ limits: { messagesPerSecondMax: 200 } })
  using followed = follow(server.url, { topics: ['a'], earliest: true, transport: 'websocket' })
  const values = Array.from({ length: 250 }, (_, at) => String(at))
  await Promise.all(values.map((data) => followed.stream.publish({ topic: 'a', data })))
  assert.equal(server.hub.counters.ended.get('rate-exceeded'), undefined)
  await followed.until(({ events }) => events.length === values.length)
  assert.deepEqual(followed.data, values)
})

test('websocket: a publish whose acknowledgement was cut off is sent again, and stored once', async () => {
  let sendings = 0
  for (let bytes = 100; bytes <= 300; bytes += 10) {
    await using server = await startCuttable()
    await using proxy = await CuttingProxy.start(portOf(server.server), [{ bytes, end: 'cut' }])
    const publish = server.hub.publish.bind(server.hub)
    Object.assign(server.hub, {
      publish: (...request: Parameters<typeof publish>) => ((sendings += 1), publish(...request)),
    })
    using followed = follow(proxy.url, { topics: [], transport: 'websocket' })
    const id = await followed.stream.publish({ topic: 'a', data: 'x' })
    assert.equal(id, server.hub.idAt(1))
    assert.equal(server.hub.window.head, 1)
  }
  assert.ok(sendings > 21, 'no acknowledgement was cut off')
})

test('websocket: a publish that is cut off at every try is given up after the fifth', async () => {
  await using server = await startCuttable()
  let sent = 0
  class Cut extends WebSocket {
    override send(): void {
      sent += 1
      server.cut()
    }
  }
  using followed = follow(server.url, { topics: [], transport: 'websocket', WebSocket: Cut })
  await assert.rejects(followed.stream.publish({ topic: 'a', data: 'x' }), { code: 'unreachable' })
  assert.equal(sent, 5)
})

test('websocket: publishes wait for a connection up to a bound, beyond which they are refused at once', async () => {
  const stream = connect('http://127.0.0.1:1/events', { topics: [], transport: 'websocket', onEvent: () => {} })
  const waiting = Array.from({ length: 1_000 }, () => stream.publish({ topic: 'a' }))
  await assert.rejects(stream.publish({ topic: 'a' }), { code: 'overloaded' })
  stream.close()
  const outcomes = await Promise.allSettled(waiting)
  assert.ok(outcomes.every(({ status }) => status === 'rejected'))
})

test('websocket: a stream without topics only publishes', async () => {
  await using server = await startCuttable()
  using followed = follow(server.url, { topics: [], transport: 'websocket' })
  const id = await followed.stream.publish({ topic: 'a', data: 'x' })
  assert.equal(id, server.hub.idAt(1))
  assert.equal(followed.stream.state.status, 'open')
})

test('sse: a 503 is tried again under the same key, as often as is bounded, then told', async () => {
  const keys: unknown[] = []
  const statuses = [503, 429, 200]
  await using server = await startAnswering((request, response) => {
    keys.push(request.headers['idempotency-key'])
    const status = statuses.shift() ?? 503
    const problem = { code: 'unavailable', title: '', status, detail: 'not now', type: '' }
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(status === 200 ? { id: '0123456789ab-1' } : problem))
  })
  const stream = connect(server.url, { topics: ['a'], backoffMs: 1, onEvent: () => {} })
  assert.equal(await stream.publish({ topic: 'a', data: 'x' }), '0123456789ab-1')
  assert.equal(keys.length, 3)
  assert.equal(new Set(keys).size, 1)
  await assert.rejects(stream.publish({ topic: 'a', data: 'x' }), { code: 'unavailable', message: 'not now' })
  assert.equal(keys.length, 3 + 5)
  assert.equal(new Set(keys).size, 2)
  stream.close()
})

test('sse: close does not wait for the next try', async () => {
  await using server = await startAnswering((_request, response) => void response.writeHead(503).end())
  const clock = new VirtualClock()
  let waits = 0
  const random = (): number => {
    waits += 1
    return 0.5
  }
  const stream = connect(server.url, { topics: ['a'], clock, random, onEvent: () => {} })
  const id = stream.publish({ topic: 'a', data: 'x' })
  id.catch(() => {}) // awaited below
  await until(() => waits === 2, 'the stream and the publish to wait for their next tries')
  await settle()
  stream.close()
  await assert.rejects(id, { code: 'closed' })
  assert.equal(clock.timers, 0)
})

test('sse: an answer in words of somebody else is told as such, and not tried again', async () => {
  let requests = 0
  await using server = await startAnswering((_request, response) => {
    requests += 1
    response.writeHead(200, { 'content-type': 'text/html' })
    response.end('<h1>Welcome to our Wi-Fi</h1>')
  })
  const stream = connect(server.url, { topics: ['a'], onEvent: () => {} })
  await assert.rejects(stream.publish({ topic: 'a', data: 'x' }), { code: 'malformed' })
  assert.equal(requests, 1)
  stream.close()
})

/** A server that answers each POST so; everything else, and so the stream itself, with 500. */
async function startAnswering(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((request, response) => {
    if (request.method === 'POST') return answer(request, response)
    response.writeHead(500)
    response.end()
  })
  await listen(server)
  return { url: `http://127.0.0.1:${portOf(server)}/events`, [Symbol.asyncDispose]: () => closeServer(server) }
}

function typeofValue(value: unknown): string {
  return typeof value
}
