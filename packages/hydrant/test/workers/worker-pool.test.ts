// Workers of one process behave as one server: what is published through any comes to all, what is counted and bounded
// is counted and bounded together, and one that ends is replaced.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MachineSample } from '../../src/console/reading.ts'
import { resolveLimits } from '../../src/hub/limits.ts'
import { limitsOfWorker } from '../../src/workers/worker-pool.ts'
import { PortClaim } from '../../src/workers/port-claim.ts'
import { ask, post } from '../support/ask.ts'
import { openPool, type OpenPool } from '../support/open-pool.ts'
import { openServer } from '../support/open-server.ts'
import { freePort } from '../support/port.ts'
import { StreamClient } from '../support/stream-client.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

const CLIENTS = 40

test('what is published through any worker comes to the clients of all, in one order', async () => {
  await using server = await openPool({ flags: { workers: '3' } })
  const streams = await openStreams(server.url, CLIENTS)
  using webSocket = await WsClient.open(`${server.url.replace('http', 'ws')}/events/news`)
  await until(() => server.pool.workers.every(({ figures }) => figures.connections.sse > 0), 'clients on every worker')
  const ids = await Promise.all(
    Array.from({ length: 50 }, async (_, at) =>
      String((await post(server.url, '/events/news', String(at))).json['id']),
    ),
  )
  for (const stream of streams) await stream.until(({ data }) => data.length === 50)
  const [first] = streams
  assert.deepEqual(new Set(first?.messages.map(({ lastEventId }) => lastEventId).slice(1)), new Set(ids))
  for (const { data } of streams) assert.deepEqual(data, first?.data)
  await until(() => webSocket.messages.length === 50, 'all on the WebSocket')
  assert.deepEqual(webSocket.messages, first?.data)
  close(streams)
})

test('an id that one worker gave is resumed by every other, without a gap', async () => {
  await using server = await openPool()
  for (let round = 0; round < 20; round += 1) {
    const { json } = await post(server.url, '/events/news', `before ${round}`)
    const id = String(json['id'])
    using stream = await StreamClient.open(server.url, '/events/news', { 'last-event-id': id })
    await post(server.url, '/events/news', `after ${round}`)
    await stream.until(({ messages }) => messages.length > 0)
    assert.deepEqual([stream.messages[0]?.type, stream.data[0]], ['message', `after ${round}`])
  }
})

test('a topic that was ended through one worker has ended at all', async () => {
  await using server = await openPool()
  const streams = await openStreams(server.url, CLIENTS)
  const { json } = await ask(server.url, 'POST', '/events/news?end', { body: 'last' })
  for (const stream of streams) await stream.closed()
  for (let at = 0; at < 8; at += 1) {
    assert.equal((await post(server.url, '/events/news', 'late')).status, 409)
    using late = await StreamClient.open(server.url, '/events/news')
    await late.closed()
    assert.deepEqual(late.data, ['last'], String(json['id']))
  }
})

test('any worker answers the metrics of all', async () => {
  await using server = await openPool()
  const streams = await openStreams(server.url, CLIENTS)
  await post(server.url, '/events/news', 'four')
  for (const stream of streams) await stream.until(({ data }) => data.length === 1)
  for (let at = 0; at < 6; at += 1) {
    const { text } = await ask(server.url, 'GET', '/metrics')
    assert.match(text, new RegExp(`^hydrant_connections\\{transport="sse"\\} ${CLIENTS}$`, 'm'))
    assert.match(text, /^hydrant_events_published_total 1$/m)
    assert.match(text, /^hydrant_published_bytes_total 4$/m)
    assert.match(text, new RegExp(`^hydrant_deliveries_total ${CLIENTS}$`, 'm'))
    assert.match(text, /^hydrant_window_events 1$/m)
  }
  assert.equal((await ask(server.url, 'GET', '/livez')).status, 200)
  assert.equal((await ask(server.url, 'GET', '/readyz')).status, 200)
  close(streams)
})

test('what a worker had counted and had open is right when it is gone', async () => {
  await using server = await openPool()
  const streams = await openStreams(server.url, CLIENTS)
  await post(server.url, '/events/news', 'one')
  for (const stream of streams) await stream.until(({ data }) => data.length === 1)
  const before = await server.pool.figures()
  const [worker] = server.pool.workers
  const had = worker?.figures.connections.sse ?? 0
  await worker?.terminate('the test ended it')
  const after = await server.pool.figures()
  assert.equal(after.connections.sse, CLIENTS - had)
  assert.equal(after.deliveries, before.deliveries)
  assert.equal(after.opened.sse, before.opened.sse)
  close(streams)
})

test('connectionsMax is of all workers together, and a worker that ends frees what it had', async () => {
  await using server = await openPool({ flags: { connectionsMax: '6' } })
  const streams = await openStreams(server.url, 6)
  for (let at = 0; at < 6; at += 1) {
    using refused = await StreamClient.open(server.url, '/events/news')
    await refused.closed()
    assert.equal(refused.messages[0]?.type, 'hydrant:bye')
  }
  for (const worker of server.pool.workers) await worker.terminate('the test ended it')
  for (const stream of streams) await stream.closed()
  await until(() => server.pool.workers.every(({ isServing }) => isServing), 'new workers')
  close(await openStreams(server.url, 6))
})

test('the console’s samples are of the whole process, and made once, whichever workers its page comes from', async () => {
  await using server = await openPool()
  const streams = await openStreams(server.url, CLIENTS)
  using samples = await StreamClient.open(server.url, '/events/hydrant/machine')
  for (let at = 0; at < 8; at += 1) assert.equal((await ask(server.url, 'GET', '/console/chart.js')).status, 200)
  await samples.until(({ data }) => data.length === 3)
  const read = samples.data.map((data) => JSON.parse(data) as MachineSample)
  assert.deepEqual(
    read.map(({ hub }) => hub.connections),
    [CLIENTS + 1, CLIENTS + 1, CLIENTS + 1],
  )
  const [first = 0, , third = 0] = read.map(({ timeMs }) => timeMs)
  assert.ok(third - first > 1_500, 'one each second')
  close(streams)
})

test('what workers hold in memory adds up to what one server would', () => {
  const limits = resolveLimits({ windowBytes: 8_000_000, pinnedBytesMax: 300_000 })
  const { windowBytes, pinnedBytesMax, connectionsMax } = limitsOfWorker(limits, 4)
  assert.deepEqual([windowBytes, connectionsMax], [2_000_000, limits.connectionsMax])
  assert.equal(pinnedBytesMax, 262_144, 'the least that makes sense')
})

test('a worker whose event loop does not turn is ended, and replaced', async () => {
  await using server = await openPool({ timing: { watchMs: 10, missedBeatsMax: 2, replaceMs: 10 } }) // it beats every 200 ms
  await until(() => server.warnings.some((line) => line.includes('did not turn')), 'an end')
  assert.match(server.warnings[0] ?? '', /^worker [12] has ended, and is replaced in 10 ms: it was stuck/)
})

test('each death in a row makes the wait for the next worker longer, up to a bound', async () => {
  await using server = await openPool({ timing: { replaceMs: 5, replaceMsMax: 20 } })
  for (let deaths = 1; deaths <= 4; deaths += 1) {
    await until(() => server.pool.workers.every(({ isServing }) => isServing), 'both workers')
    await server.pool.workers[0]?.terminate('the test ended it')
    await until(() => server.warnings.length === deaths, 'the warning')
  }
  assert.deepEqual(
    server.warnings.map((line) => /in (\d+) ms/.exec(line)?.[1]),
    ['5', '10', '20', '20'],
  )
})

test('a port that is taken is an error, whoever has it: another pool, or a server of one thread', async () => {
  await using server = await openPool()
  await assert.rejects(openPool({ flags: { port: String(server.pool.port) } }), /is taken/)
  await using alone = await openServer()
  await assert.rejects(openPool({ flags: { port: String(alone.port) } }), /is taken/)
  await assert.rejects(openServer({ port: String(server.pool.port) }), /is taken/)
})

test('of two that claim a port at the same moment, one gets it', async () => {
  const port = await freePort()
  const claims = await Promise.allSettled([PortClaim.take('127.0.0.1', port), PortClaim.take('127.0.0.1', port)])
  assert.deepEqual(claims.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  for (const claim of claims) if (claim.status === 'fulfilled') claim.value.release()
})

test('where threads cannot share a port, it is said at the start', () => {
  assert.throws(() => PortClaim.check('win32'), /threads cannot share a port/)
})

async function openStreams(url: OpenPool['url'], count: number): Promise<readonly StreamClient[]> {
  const streams = await Promise.all(Array.from({ length: count }, () => StreamClient.open(url, '/events/news')))
  for (const stream of streams) await stream.until(({ messages }) => messages.length > 0)
  for (const stream of streams) assert.equal(stream.messages[0]?.type, 'hydrant:open')
  return streams
}

function close(streams: readonly StreamClient[]): void {
  for (const stream of streams) stream[Symbol.dispose]()
}
