// Following a real hub: what is delivered, where a stream starts, and what ends it.

import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { startCuttable } from '../support/cuttable-server.ts'
import { follow, TRANSPORTS } from '../support/followed.ts'

for (const transport of TRANSPORTS) {
  test(`${transport}: an event arrives whole: id, topic, type, key, time and data, text as text and bytes as bytes`, async () => {
    await using server = await startCuttable()
    using followed = follow(server.url, { topics: ['stocks/*'], transport })
    await followed.opened()
    const bytes = Uint8Array.of(0, 255, 10, 13)
    const first = await server.hub.publish({ topic: 'stocks/AAPL', type: 'price', key: 'AAPL', data: 'a\r\nb\0ü😀' })
    const second = await server.hub.publish({ topic: 'stocks/MSFT', data: bytes })
    await followed.until(({ events }) => events.length === 2)
    const [text, binary] = followed.events
    assert.ok(text !== undefined && binary !== undefined)
    const { time, ...rest } = text
    assert.deepEqual(rest, { id: first, topic: 'stocks/AAPL', type: 'price', key: 'AAPL', data: 'a\r\nb\0ü😀' })
    assert.equal(new Date(time).toISOString(), time)
    assert.deepEqual([binary.id, binary.type, binary.key], [second, 'message', undefined])
    assert.deepEqual(new Uint8Array(binary.data as Uint8Array), bytes)
    assert.equal(followed.stream.lastEventId, second)
    assert.deepEqual(followed.statuses, ['open'])
  })

  test(`${transport}: a topic that ends is delivered to its end, and then the stream is closed for good`, async () => {
    await using server = await startCuttable()
    using followed = follow(server.url, { topics: ['build'], transport, earliest: true })
    await followed.opened()
    await server.hub.publish({ topic: 'build', data: 'done' }, { ends: true })
    await followed.until(({ stream }) => stream.state.status === 'closed')
    assert.deepEqual(
      followed.events.map(({ type }) => type),
      ['message', 'hydrant:end'],
    )
    const { state } = followed.stream
    assert.ok(state.status === 'closed')
    assert.equal(state.why.code, 'ended')
  })

  test(`${transport}: only what was asked for is delivered: topics, patterns and types`, async () => {
    await using server = await startCuttable()
    using followed = follow(server.url, { topics: ['a', 'b/**'], types: ['x', 'message'], transport })
    await followed.opened()
    const wanted: string[] = []
    for (const topic of ['a', 'b', 'b/c', 'b/c/d', 'c']) {
      for (const type of ['x', 'y', 'message']) {
        const data = `${topic} ${type}`
        await server.hub.publish({ topic, type, data })
        if (type !== 'y' && ['a', 'b/c', 'b/c/d'].includes(topic)) wanted.push(data)
      }
    }
    await followed.until(({ events }) => events.length === wanted.length)
    assert.deepEqual(followed.data, wanted)
  })

  test(`${transport}: a stream starts now, or where it is told to: earliest, last, since, after an id`, async () => {
    await using server = await startCuttable()
    const ids: string[] = []
    for (const data of ['1', '2', '3']) ids.push(await server.hub.publish({ topic: 'a', data }))
    const topics = ['a']
    using now = follow(server.url, { topics, transport })
    using earliest = follow(server.url, { topics, transport, earliest: true })
    using last = follow(server.url, { topics, transport, last: 2 })
    using since = follow(server.url, { topics, transport, since: '1h' })
    using resumed = follow(server.url, { topics, transport, lastEventId: ids[1], earliest: true })
    const all = [now, earliest, last, since, resumed]
    for (const followed of all) await followed.opened()
    await server.hub.publish({ topic: 'a', data: '4' })
    for (const followed of all) await followed.until(({ data }) => data.at(-1) === '4')
    assert.deepEqual(
      all.map(({ data }) => data.join('')),
      ['4', '1234', '234', '1234', '34'],
    )
  })

  test(`${transport}: a request that can never be served closes the stream with the server's problem`, async () => {
    await using server = await startCuttable()
    using followed = follow(server.url, { topics: ['a//b'], transport })
    await followed.until(({ stream }) => stream.state.status === 'closed')
    const { state } = followed.stream
    assert.ok(state.status === 'closed')
    assert.equal(state.why.code, 'refused')
    assert.equal(state.why.problem?.code, 'malformed-pattern')
    assert.match(state.why.detail, /empty segment/)
    assert.deepEqual(followed.statuses, ['closed'])
  })

  test(`${transport}: two starts at once are refused`, async () => {
    await using server = await startCuttable()
    using followed = follow(server.url, { topics: ['a'], last: 1, earliest: true, transport })
    await followed.until(({ stream }) => stream.state.status === 'closed')
    const { state } = followed.stream
    assert.equal(state.status === 'closed' && state.why.problem?.code, 'conflicting-start')
  })

  test(`${transport}: after close nothing is delivered, not even what the same piece brought, and the socket is let go`, async () => {
    await using server = await startCuttable()
    for (const data of ['1', '2', '3']) await server.hub.publish({ topic: 'a', data })
    using followed = follow(server.url, {
      topics: ['a'],
      earliest: true,
      transport,
      onEvent: ({ data }) => {
        if (data === '2') followed.stream.close()
      },
    })
    await followed.until(({ stream }) => stream.state.status === 'closed')
    assert.deepEqual(followed.stream.state, {
      status: 'closed',
      why: { code: 'asked', detail: 'The program closed the stream.' },
    })
    await followed.until(() => server.hub.counters.connections[transport] === 0, 'the connection to end')
    assert.deepEqual(followed.data, ['1', '2'])
  })

  test(`${transport}: a signal closes it, also one that was given before`, async () => {
    await using server = await startCuttable()
    const abort = new AbortController()
    using followed = follow(server.url, { topics: ['a'], transport, signal: abort.signal })
    await followed.opened()
    abort.abort()
    using late = follow(server.url, { topics: ['a'], transport, signal: abort.signal })
    assert.deepEqual([followed.stream.state.status, late.stream.state.status], ['closed', 'closed'])
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0)
    await followed.until(() => server.hub.counters.connections[transport] === 0, 'the connection to end')
  })
}

test('headers are asked for anew at each connection', async () => {
  await using server = await startCuttable()
  const seen: (string | undefined)[] = []
  server.server.on('request', ({ headers }) => void seen.push(headers.authorization))
  let token = 0
  using followed = follow(server.url, {
    topics: ['a'],
    headers: async () => {
      token += 1
      return { authorization: `Bearer ${token}` }
    },
  })
  await followed.opened()
  server.cut()
  await followed.opened(2)
  assert.deepEqual(seen, ['Bearer 1', 'Bearer 2'])
})

test('what is wrong with the program itself is thrown at once', () => {
  assert.throws(() => follow('no url', { topics: ['a'] }), TypeError)
  assert.throws(() => follow('http://localhost/', { topics: ['a'], lastEventId: 'x' }), /an id looks like/)
  assert.throws(
    () => follow('http://localhost/', { topics: ['a'], transport: 'websocket', headers: () => ({}) }),
    /cannot send headers/,
  )
})
