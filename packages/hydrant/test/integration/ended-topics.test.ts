// Topics that end, and writers that must not interleave: on every transport, from the first word to the last.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventSource } from 'eventsource'
import { SUBPROTOCOL } from 'hydrant-client/wire'
import { createHub } from '../../src/index.ts'
import { ask, post } from '../support/ask.ts'
import { itemsOf, recordOf } from '../support/record.ts'
import { startServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

test('who follows a topic gets its end, and the stream is over', async () => {
  await using server = await startServer()
  const stream = ask(server.url, 'GET', '/events/build?type=none-but-the-end')
  await until(() => server.hub.counters.connections.sse === 1, 'the stream')
  await post(server.url, '/events/build', 'a line')
  const { json } = await post(server.url, '/events/build?end', '')
  const { text } = await stream
  assert.match(text, new RegExp(`event: hydrant:end\ndata: {}\nid: ${String(json['id'])}\n\n$`))
  assert.doesNotMatch(text, /a line/)
})

test('the last event and the end are one step', async () => {
  await using server = await startServer()
  await post(server.url, '/events/build?end=true', 'done')
  const { json } = await ask(server.url, 'GET', '/events/build', { headers: { accept: 'application/json' } })
  const types = itemsOf(json['events']).map((event) => recordOf(event)['type'])
  assert.deepEqual(types, ['message', 'hydrant:end'])
})

test('who comes late gets the whole history and the end, without asking for it', async () => {
  await using server = await startServer()
  for (const line of ['1', '2', '3']) await post(server.url, '/events/build', line)
  await post(server.url, '/events/build?end', '')
  const { status, text } = await ask(server.url, 'GET', '/events/build')
  assert.equal(status, 200)
  const lines = Array.from(text.matchAll(/^data: (\d)$/gm), ([, line]) => line)
  assert.deepEqual(lines, ['1', '2', '3'])
  assert.match(text, /event: hydrant:end\n/)
})

test('a stream of several topics goes on until the last of them has ended', async () => {
  await using server = await startServer()
  const stream = ask(server.url, 'GET', '/events?topic=a&topic=b')
  await until(() => server.hub.counters.connections.sse === 1, 'the stream')
  await post(server.url, '/events/a?end', '')
  await post(server.url, '/events/b', 'still here')
  await post(server.url, '/events/b?end', '')
  const { text } = await stream
  assert.match(text, /hydrant:end[\s\S]*still here[\s\S]*hydrant:end/)
})

test('a pattern has no end, whatever ends below it', async () => {
  await using server = await startServer()
  await post(server.url, '/events/builds/1?end', '')
  const end = server.hub.idAt(server.hub.window.head)
  const controller = new AbortController()
  const response = await fetch(`${server.url}/events/builds/*?lastEventId=${end}`, { signal: controller.signal })
  assert.equal(response.status, 200)
  controller.abort()
})

test('an EventSource is told not to come back after the end', async () => {
  await using server = await startServer({ limits: { retryMs: 10 } })
  const source = new EventSource(`${server.url}/events/build`)
  const ended: string[] = []
  source.addEventListener('hydrant:end', (event) => ended.push(event.lastEventId))
  await until(() => server.hub.counters.connections.sse === 1, 'the stream')
  await post(server.url, '/events/build?end', '')
  await until(() => source.readyState === source.CLOSED, 'the client to stay away')
  assert.deepEqual(ended, [server.hub.idAt(server.hub.window.head)])
})

test('only an id at or after the end is answered with 204', async () => {
  await using server = await startServer()
  const first = await post(server.url, '/events/build', 'x')
  const end = await post(server.url, '/events/build?end', '')
  const resume = (id: unknown) => ask(server.url, 'GET', '/events/build', { headers: { 'last-event-id': String(id) } })
  assert.match((await resume(first.json['id'])).text, /hydrant:end/)
  assert.equal((await resume(end.json['id'])).status, 204)
  assert.match((await resume('0123456789ab-99')).text, /"reason":"epoch"[\s\S]*hydrant:end/)
})

test('a plain WebSocket closes with 1000; one of the subprotocol is told, goes on, and has its number back', async () => {
  await using server = await startServer()
  const url = `${server.url.replace('http', 'ws')}/events/build`
  using plain = await WsClient.open(url)
  using client = await WsClient.open(url, SUBPROTOCOL)
  await client.until(({ json }) => json.some(({ subscribed }) => subscribed !== undefined))
  await until(() => server.hub.counters.connections.websocket === 2, 'both connections')
  client.say({ end: { topic: 'build' }, ack: 7 })
  assert.equal(await plain.closed(), 1000)
  await client.until(({ json }) => json.some(({ ended }) => recordOf(ended)['sub'] === 0))
  assert.ok(client.json.some(({ published }) => recordOf(published)['ack'] === 7))
  client.say({ subscribe: { sub: 0, topics: ['other'] } })
  await client.until(({ json }) => json.filter(({ subscribed }) => subscribed !== undefined).length === 2)
})

test('in the same process the loop is over after the end', async () => {
  const hub = createHub()
  const events = hub.subscribe('build')
  await hub.publish({ topic: 'build', data: 'x' }, { ends: true })
  const types: string[] = []
  for await (const event of events) if (!event.gap) types.push(event.type)
  assert.deepEqual(types, ['message', 'hydrant:end'])
  await hub.close()
})

test('nothing follows an end: not an event, not a batch that has others, not a second end', async () => {
  const hub = createHub()
  await hub.end('a')
  const refused = { code: 'topic-ended' }
  await assert.rejects(hub.publish({ topic: 'a', data: 'x' }), refused)
  await assert.rejects(hub.publishBatch([{ topic: 'b' }, { topic: 'a' }]), refused)
  await assert.rejects(hub.end('a'), refused)
  assert.equal(hub.window.head, 1)
  await hub.close()
})

test('a retry of the request that ended a topic answers the first id', async () => {
  const hub = createHub()
  const id = await hub.end('a', { idempotencyKey: 'k' })
  assert.equal(await hub.end('a', { idempotencyKey: 'k' }), id)
  await hub.close()
})

test('of writers that append to the same newest event, one wins and the others are told which it is now', async () => {
  const hub = createHub()
  const first = await hub.publish({ topic: 'a', data: '0' }, { ifLast: 'none' })
  const race = await Promise.allSettled(
    ['x', 'y', 'z'].map((data) => hub.publish({ topic: 'a', data }, { ifLast: first })),
  )
  assert.deepEqual(
    race.map(({ status }) => status),
    ['fulfilled', 'rejected', 'rejected'],
  )
  const newest = hub.idAt(hub.window.head)
  for (const one of race.slice(1)) {
    assert.ok(one.status === 'rejected')
    assert.match(String(one.reason), new RegExp(`is ${newest}, not "${first}"`))
  }
  await hub.close()
})

test('ifLast is about the topic alone, speaks of trimmed events too, and of one topic at a time', async () => {
  const hub = createHub({ limits: { windowBytes: 65_536 } })
  const id = await hub.publish({ topic: 'a', data: 'x' })
  for (let at = 0; at < 100; at += 1) await hub.publish({ topic: 'b', data: 'x'.repeat(1_000) })
  assert.ok(hub.window.floor > 1, 'the event of a is trimmed')
  await assert.rejects(hub.publish({ topic: 'a' }, { ifLast: 'none' }), { code: 'last-conflict' })
  await assert.rejects(hub.publishBatch([{ topic: 'a' }, { topic: 'b' }], { ifLast: id }), { code: 'malformed-event' })
  await hub.publish({ topic: 'a' }, { ifLast: id })
  await hub.close()
})
