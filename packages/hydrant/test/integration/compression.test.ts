// Compressed once, sent to all: every stock client decodes it, whenever it joins.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { once } from 'node:events'
import { SUBPROTOCOL } from 'hydrant-client/wire'
import { GzipClient } from '../support/gzip-client.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer, type TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

const GZIP = { 'accept-encoding': 'gzip' }
const LIMITS = { shareConnectionsMin: 2 }

async function publish(server: TestServer, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += 1) {
    await server.hub.publish({ topic: 'prices', data: { n: at, symbol: 'AAPL', price: 101.25 } })
    if (at % 7 === 0) await new Promise(setImmediate) // flushes of one and of several
  }
}

function numbers(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, at) => from + at)
}

function numberOf(text: string): number {
  return (JSON.parse(text) as { readonly n: number }).n
}

function dataOf(text: string): readonly number[] {
  return [...text.matchAll(/^data: (\{"n".*)\n/gm)].map(([, data = '']) => numberOf(data))
}

test('gzip streams that join at different times each decode to every event after their start, in order', async () => {
  await using server = await startServer({ compression: true, limits: LIMITS })
  const clients: { readonly from: number; readonly client: GzipClient }[] = []
  for (let joined = 0; joined < 12; joined += 1) {
    const from = joined * 150
    const client = await GzipClient.open(server.url, '/events/prices')
    await until(() => client.text.includes('hydrant:open'), 'the opening, at once')
    clients.push({ from, client })
    await publish(server, from, from + 150)
  }
  for (const { from, client } of clients) {
    await until(() => dataOf(client.text).length === 1_800 - from, `all events since ${from}`)
    assert.deepEqual(dataOf(client.text), numbers(from, 1_800))
    client[Symbol.dispose]()
  }
})

test('what is compressed for all is a sixth of what it says, once a client is in step', async () => {
  await using server = await startServer({ compression: true, limits: LIMITS })
  using first = await GzipClient.open(server.url, '/events/prices')
  using other = await GzipClient.open(server.url, '/events/prices')
  assert.equal(other.response.headers['content-encoding'], 'gzip')
  for (let at = 0; at < 3_000; at += 1) {
    const price = (100 + Math.sin(at) * 3).toFixed(2)
    const data = { n: at, symbol: 'AAPL', price, currency: 'USD', exchange: 'NASDAQ', time: '2026-01-31T12:00:00Z' }
    await server.hub.publish({ topic: 'prices', type: 'price-update', data })
    await new Promise(setImmediate)
  }
  await until(() => dataOf(first.text).length === 3_000, 'all')
  assert.ok(first.text.length / first.bytes > 6, `${first.text.length} bytes took ${first.bytes}`)
})

test('curl decodes it as it comes, and the end of the server is the end of a whole gzip stream', async () => {
  const server = await startServer({ compression: true, limits: LIMITS })
  const curls = [0, 1, 2].map(() => {
    const curl = spawn('curl', ['-sSN', '--compressed', `${server.url}/events/prices`])
    const said = { out: '', err: '' }
    curl.stdout.on('data', (bytes: Buffer) => (said.out += bytes.toString()))
    curl.stderr.on('data', (bytes: Buffer) => (said.err += bytes.toString()))
    return { curl, said, exit: once(curl, 'exit') }
  })
  await until(() => curls.every(({ said }) => said.out.includes('hydrant:open')), 'all to be open')
  await publish(server, 0, 600)
  await until(() => curls.every(({ said }) => dataOf(said.out).length === 600), 'all events')
  await server[Symbol.asyncDispose]()
  for (const { said, exit } of curls) {
    assert.deepEqual([(await exit)[0], said.err], [0, ''])
    assert.match(said.out, /hydrant:bye/)
  }
})

test('WebSockets that join at different times read what is compressed for all, mixed with what is not', async () => {
  await using server = await startServer({ compression: true, limits: LIMITS })
  const url = `${server.url.replace('http', 'ws')}/events/prices`
  const clients: { readonly from: number; readonly client: WsClient }[] = []
  for (let joined = 0; joined < 8; joined += 1) {
    const from = joined * 150
    const options = joined % 3 === 2 ? { perMessageDeflate: false } : {}
    const client = await WsClient.open(url, undefined, options)
    clients.push({ from, client })
    await until(() => server.hub.counters.connections.websocket === joined + 1, 'it to be served')
    await publish(server, from, from + 150)
    client.socket.ping()
  }
  for (const { from, client } of clients) {
    await client.until(({ messages }) => messages.length === 1_200 - from)
    assert.deepEqual(
      client.messages.map((message) => numberOf(String(message))),
      numbers(from, 1_200),
    )
    client[Symbol.dispose]()
  }
})

test('a WebSocket with a second subscription gets both, and shares again when it has one', async () => {
  await using server = await startServer({ compression: true, limits: { shareConnectionsMin: 1 } })
  using client = await WsClient.open(`${server.url.replace('http', 'ws')}/events`, SUBPROTOCOL)
  client.say({ subscribe: { sub: 1, topics: ['prices'] } })
  await client.until(({ json }) => json.some(({ subscribed }) => subscribed !== undefined))
  await publish(server, 0, 100)
  client.say({ subscribe: { sub: 2, topics: ['prices', 'others'] } })
  await client.until(({ json }) => json.filter(({ subscribed }) => subscribed !== undefined).length === 2)
  await publish(server, 100, 200)
  await client.until(({ json }) => json.filter(({ data }) => data !== undefined).length === 300)
  client.say({ unsubscribe: { sub: 2 } })
  await client.until(({ json }) => json.some(({ unsubscribed }) => unsubscribed !== undefined))
  await publish(server, 200, 1_000)
  await client.until(({ json }) => json.filter(({ data }) => data !== undefined).length === 1_100)
  const seen = client.json.filter(({ data }) => data !== undefined).map(({ data }) => numberOf(String(data)))
  assert.deepEqual(
    seen.toSorted((one, other) => one - other),
    [...numbers(0, 1_000), ...numbers(100, 200)].toSorted((one, other) => one - other),
  )
})

test('nothing is compressed for a client that does not ask, nor by a server that is not told to', async () => {
  await using server = await startServer({ compression: true })
  using plain = await StreamClient.open(server.url, '/events/prices')
  assert.deepEqual([plain.headers['content-encoding'], plain.headers.vary], [undefined, 'accept, accept-encoding'])
  await using without = await startServer()
  using asking = await StreamClient.open(without.url, '/events/prices', GZIP)
  assert.equal(asking.headers['content-encoding'], undefined)
})
