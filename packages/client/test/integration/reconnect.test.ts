// Connections that break, in every way a network has: the stream goes on, or says what is missing.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { createHub } from '../../../hydrant/src/index.ts'
import { closeServer, listen, portOf } from '../../../hydrant/test/support/test-server.ts'
import { VirtualClock } from '../../../hydrant/test/support/virtual-clock.ts'
import { CuttingProxy } from '../support/cutting-proxy.ts'
import { startCuttable } from '../support/cuttable-server.ts'
import { follow, TRANSPORTS } from '../support/followed.ts'

for (const transport of TRANSPORTS) {
  test(`${transport}: a stream that is cut before its first event misses nothing that is published meanwhile`, async () => {
    await using server = await startCuttable()
    using followed = follow(server.url, { topics: ['a'], transport })
    await followed.opened()
    server.cut()
    await server.hub.publish({ topic: 'a', data: 'meanwhile' })
    await followed.until(({ events }) => events.length === 1)
    assert.deepEqual(followed.data, ['meanwhile'])
    assert.deepEqual(followed.statuses, ['open', 'waiting', 'connecting', 'open'])
  })

  test(`${transport}: many cuts while events come: each event once, in order`, async () => {
    await using server = await startCuttable()
    using followed = follow(server.url, { topics: ['a'], transport })
    await followed.opened()
    const published: string[] = []
    for (let round = 0; round < 20; round += 1) {
      for (let at = 0; at < 10; at += 1) published.push(`${round}/${at}`)
      const batch = published.slice(-10).map((data) => ({ topic: 'a', data }))
      await Promise.all(batch.map((event) => server.hub.publish(event)))
      if (round % 2 === 0) await followed.until(({ events }) => events.length >= published.length - 5)
      server.cut()
    }
    await followed.until(({ events }) => events.length >= published.length)
    assert.deepEqual(followed.data, published)
    assert.deepEqual(followed.gaps, [])
    assert.ok(followed.timesOpen > 1)
  })

  test(`${transport}: what retention took while the stream was away is told as one gap, and told once`, async () => {
    await using server = await startCuttable({ limits: { windowBytes: 65_536 } })
    const first = await server.hub.publish({ topic: 'a', data: 'first' })
    for (let at = 0; at < 100; at += 1) await server.hub.publish({ topic: 'a', data: `${at} ${'x'.repeat(2_000)}` })
    using followed = follow(server.url, { topics: ['a'], transport, lastEventId: first })
    await followed.until(({ events }) => events.at(-1)?.data.toString().startsWith('99 ') === true)
    const [gap] = followed.gaps
    assert.ok(gap !== undefined)
    assert.deepEqual([gap.from, gap.reason, gap.certain], [first, 'trimmed', true])
    const offset = (id = ''): number => Number(id.split('-')[1])
    assert.equal(offset(followed.events[0]?.id), offset(gap.to) + 1)
    server.cut()
    await server.hub.publish({ topic: 'a', data: 'last' })
    await followed.until(({ data }) => data.at(-1) === 'last')
    assert.equal(followed.gaps.length, 1)
  })

  test(`${transport}: a server that comes back without its log is told as a gap of the epoch, and followed`, async () => {
    const hubs = [createHub({ limits: { retryMs: 2 } }), createHub({ limits: { retryMs: 2 } })] as const
    let hub = hubs[0]
    const server = createServer((request, response) => hub.handler(request, response))
    server.on('upgrade', (request, socket, head) => hub.upgrade(request, socket, head))
    await listen(server)
    using followed = follow(`http://127.0.0.1:${portOf(server)}/events`, { topics: ['a'], transport })
    await followed.opened()
    const before = await hub.publish({ topic: 'a', data: 'before' })
    await followed.until(({ events }) => events.length === 1)
    hub = hubs[1]
    await hub.publish({ topic: 'a', data: 'after' })
    await hubs[0].close()
    await followed.until(({ events }) => events.length === 2)
    assert.deepEqual(followed.data, ['before', 'after'])
    assert.deepEqual(
      followed.gaps.map(({ from, reason }) => [from, reason]),
      [[before, 'epoch']],
    )
    followed.stream.close()
    await hub.close()
    await closeServer(server)
  })

  test(`${transport}: a server that shuts down asks the client to come back, and is waited for`, async () => {
    await using server = await startCuttable()
    using followed = follow(server.url, { topics: ['a'], transport })
    await followed.opened()
    await server.hub.close()
    await followed.until(({ states }) => states.some(({ status }) => status === 'waiting'))
    const state = followed.states.find(({ status }) => status === 'waiting')
    assert.equal(state?.status === 'waiting' && state.why.code, 'farewell')
    await followed.until(({ stream }) => stream.state.status === 'waiting' && stream.state.attempt >= 2)
  })

  test(`${transport}: a connection that says nothing for silenceMs is given up, and the next one resumes`, async () => {
    await using server = await startCuttable({ limits: { heartbeatMs: 600_000 } })
    await using proxy = await CuttingProxy.start(portOf(server.server), [{ bytes: 900, end: 'freeze' }])
    const clock = new VirtualClock()
    using followed = follow(proxy.url, { topics: ['a'], transport, clock })
    await followed.opened()
    const published = Array.from({ length: 20 }, (_, at) => `${at} ${'x'.repeat(100)}`)
    for (const data of published) await server.hub.publish({ topic: 'a', data })
    await followed.until(({ events }) => events.length > 0)
    await clock.advance(45_000 - 1)
    assert.equal(followed.timesOpen, 1)
    await clock.advance(45_000)
    const waiting = followed.states.find(({ status }) => status === 'waiting')
    assert.equal(waiting?.status === 'waiting' && waiting.why.code, 'silent')
    await followed.until(({ events }) => events.length === published.length)
    assert.deepEqual(followed.data, published)
    assert.equal(proxy.connections, 2)
  })

  test(`${transport}: nobody listens there: it tries again and again, with waits that grow, until somebody does`, async () => {
    const server = createServer()
    await listen(server)
    const port = portOf(server)
    await closeServer(server)
    const clock = new VirtualClock()
    using followed = follow(`http://127.0.0.1:${port}/events`, {
      topics: ['a'],
      transport,
      clock,
      random: () => 0.5,
      backoffMs: 1_000,
      backoffMsMax: 5_000,
    })
    const waits: number[] = []
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      await followed.until(({ stream: { state } }) => state.status === 'waiting' && state.attempt === attempt)
      const { state } = followed.stream
      assert.ok(state.status === 'waiting' && state.untilMs !== undefined)
      waits.push(state.untilMs - clock.nowMs())
      await clock.advance(state.untilMs - clock.nowMs())
    }
    assert.deepEqual(waits, [500, 1_000, 2_000, 2_500, 2_500])
  })
}
