// A stream without onEvent is iterated: events and gaps in their order, and never more held than was allowed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../../../hydrant/test/support/until.ts'
import { connect, StreamError, type Delivery } from '../../src/index.ts'
import { startCuttable } from '../support/cuttable-server.ts'
import { follow, TRANSPORTS } from '../support/followed.ts'

const SHORT_WAITS = { backoffMs: 2, backoffMsMax: 20 }

for (const transport of TRANSPORTS) {
  test(`${transport}: for await gets what was published; lastEventId is what was taken; leaving the loop closes the stream`, async () => {
    await using server = await startCuttable()
    const ids = await server.hub.publishBatch(['1', '2', '3'].map((data) => ({ topic: 'a', data })))
    const stream = connect(server.url, { topics: ['a'], earliest: true, transport, ...SHORT_WAITS })
    const seen: unknown[] = []
    for await (const delivery of stream) {
      assert.equal(stream.lastEventId, delivery.id)
      seen.push(delivery.id)
      if (seen.length === 2) break
    }
    assert.deepEqual(seen, ids.slice(0, 2))
    assert.equal(stream.lastEventId, ids[1])
    assert.equal(stream.state.status, 'closed')
    assert.deepEqual(await stream[Symbol.asyncIterator]().next(), { done: true, value: undefined })
  })

  test(`${transport}: a gap stands in its place among the events, and is told to onGap too`, async () => {
    await using server = await startCuttable({ limits: { windowBytes: 65_536 } })
    const first = await server.hub.publish({ topic: 'a', data: 'first' })
    for (let at = 0; at < 60; at += 1) await server.hub.publish({ topic: 'a', data: 'x'.repeat(2_000) })
    const told: string[] = []
    const stream = connect(server.url, {
      topics: ['a'],
      lastEventId: first,
      transport,
      onGap: ({ from }) => void told.push(from),
    })
    const deliveries: Delivery[] = []
    for await (const delivery of stream) {
      deliveries.push(delivery)
      if (deliveries.length === 2) break
    }
    assert.equal(deliveries[0]?.gap?.from, first)
    assert.equal(deliveries[1]?.gap, undefined)
    assert.deepEqual(told, [first])
  })

  test(`${transport}: a loop that is slow holds no more than queueBytesMax and what one read brings, and misses nothing`, async () => {
    await using server = await startCuttable({ limits: { windowBytes: 268_435_456 } })
    const topics = ['a']
    const stream = connect(server.url, { topics, transport, queueBytesMax: 65_536, ...SHORT_WAITS })
    using fast = follow(server.url, { topics, transport })
    await until(() => stream.state.status === 'open', 'the stream to open')
    await fast.opened()
    const count = transport === 'sse' ? 20_000 : 2_000 // more than the buffers of sockets hold; a few queues full
    const published = Array.from({ length: count }, (_, at) => `${at} ${'x'.repeat(1_000)}`)
    for (let at = 0; at < count; at += 1_000)
      await server.hub.publishBatch(published.slice(at, at + 1_000).map((data) => ({ topic: 'a', data })))
    const { counters } = server.hub
    await fast.until(({ events }) => events.length === count)
    if (transport === 'websocket') await until(() => counters.connections.websocket === 1, 'the socket to be let go')
    // One has everything; the other what its queue and the buffers of its socket hold.
    else assert.ok(counters.deliveredBytes < 1.75 * count * 1_000, `${counters.deliveredBytes} bytes were delivered`)
    const { state } = stream
    assert.equal(state.status === 'waiting' ? state.why.code : state.status, transport === 'sse' ? 'open' : 'behind')
    assert.equal(state.status === 'waiting' ? state.untilMs : undefined, undefined)
    const seen: string[] = []
    for await (const delivery of stream) {
      assert.ok(delivery.gap === undefined)
      seen.push(delivery.data.toString())
      if (seen.length === count) break
    }
    assert.deepEqual(seen, published)
  })

  test(`${transport}: a refused stream throws what the server said, once, and is over`, async () => {
    await using server = await startCuttable()
    const stream = connect(server.url, { topics: ['*/**/x'], transport })
    const iterator = stream[Symbol.asyncIterator]()
    await assert.rejects(iterator.next(), (error) => {
      assert.ok(error instanceof StreamError)
      return error.code === 'malformed-pattern' && error.problem?.status === 400
    })
    assert.deepEqual(await iterator.next(), { done: true, value: undefined })
  })

  test(`${transport}: close ends a loop that waits`, async () => {
    await using server = await startCuttable()
    const stream = connect(server.url, { topics: ['a'], transport })
    const next = stream[Symbol.asyncIterator]().next()
    await until(() => stream.state.status === 'open', 'the stream to open')
    stream.close()
    assert.deepEqual(await next, { done: true, value: undefined })
  })
}

test('a stream with onEvent cannot be iterated', () => {
  const stream = connect('http://127.0.0.1:1/events', { topics: ['a'], onEvent: () => {} })
  assert.throws(() => stream[Symbol.asyncIterator](), /leave onEvent out/)
  stream.close()
})
