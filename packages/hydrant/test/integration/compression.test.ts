// Compressed once, sent to all: every stock client decodes it, whenever it joins.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { once } from 'node:events'
import { SUBPROTOCOL } from 'hydrant-client/wire'
import {
  countWritten,
  numberOf as largeNumberOf,
  pricesOf,
  publishPrices as publishLarge,
} from '../support/compressed-prices.ts'
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

/** Price updates as a market has them: each symbol walks by cents, the clock goes on. */
function updates(count: number): readonly string[] {
  const symbols = ['AAPL', 'MSFT', 'GOOG', 'AMZN', 'NVDA', 'TSLA', 'META', 'NFLX']
  let noise = 1
  const random = (below: number): number => (noise = (noise * 48_271) % 2_147_483_647) % below
  const cents = symbols.map(() => 15_000)
  return Array.from({ length: count }, (_, at) => {
    const symbol = random(symbols.length)
    const price = (cents[symbol] ?? 0) + random(21) - 10
    cents[symbol] = price
    const time = new Date(Date.UTC(2026, 0, 31) + at * 10).toISOString()
    const rest = { currency: 'USD', exchange: 'NASDAQ', time }
    return JSON.stringify({ symbol: symbols[symbol], price: price / 100, ...rest })
  })
}

async function publishEach(server: TestServer, texts: readonly string[]): Promise<void> {
  for (const data of texts) {
    await server.hub.publish({ topic: 'prices', type: 'price-update', data })
    await new Promise(setImmediate)
  }
}

test('over SSE price updates take a sixth of their bytes, flushed one by one', async () => {
  await using server = await startServer({ compression: true, limits: LIMITS })
  using first = await GzipClient.open(server.url, '/events/prices')
  using other = await GzipClient.open(server.url, '/events/prices')
  assert.equal(other.response.headers['content-encoding'], 'gzip')
  const texts = updates(3_000)
  await publishEach(server, texts)
  await until(() => [...first.text.matchAll(/^event: price-update$/gm)].length === texts.length, 'all')
  assert.ok(first.text.length / first.bytes > 6, `${first.text.length} bytes took ${first.bytes}`)
})

test('over WebSocket they take a sixth, too, each a message of its own', async () => {
  await using server = await startServer({ compression: true, limits: LIMITS })
  const written = countWritten(server)
  const url = `${server.wsUrl}/events/prices`
  using first = await WsClient.open(url)
  using other = await WsClient.open(url)
  await until(() => server.hub.counters.connections.websocket === 2, 'both to be served')
  const before = written()
  const texts = updates(3_000)
  await publishEach(server, texts)
  for (const client of [first, other]) {
    await client.until(({ messages }) => messages.length === texts.length)
    assert.deepEqual(client.messages, texts)
  }
  const plain = texts.reduce((sum, text) => sum + text.length, 0)
  const bytes = (written() - before) / 2
  assert.ok(plain / bytes > 6, `${plain} bytes took ${bytes}`)
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

for (const offer of ['server_no_context_takeover', 'server_max_window_bits=10']) {
  test(`a WebSocket that asks for ${offer} reads every event, uncompressed, beside others that share`, async () => {
    await using server = await startServer({ compression: true, limits: { shareConnectionsMin: 1 } })
    using sharing = await WsClient.open(`${server.wsUrl}/events/prices`)
    const written = countWritten(server)
    const perMessageDeflate = offer.includes('bits') ? { serverMaxWindowBits: 10 } : { serverNoContextTakeover: true }
    using client = await WsClient.open(`${server.wsUrl}/events/prices`, undefined, { perMessageDeflate })
    using labelled = await WsClient.open(`${server.wsUrl}/events`, SUBPROTOCOL, { perMessageDeflate })
    labelled.say({ subscribe: { sub: 1, topics: ['prices'] } })
    await labelled.until(({ json }) => json.some(({ subscribed }) => subscribed !== undefined))
    await until(() => server.hub.counters.connections.websocket === 3, 'all to be served')
    await publishLarge(server.hub, 0, 40)
    for (const { messages } of [sharing, client]) {
      await until(() => messages.length === 40, 'all events')
      assert.deepEqual(
        messages.map((message) => largeNumberOf(String(message))),
        numbers(0, 40),
      )
    }
    await labelled.until(({ json }) => json.filter(({ data }) => data !== undefined).length === 40)
    assert.ok(written() > 2 * 40 * pricesOf(0).length)
  })
}
