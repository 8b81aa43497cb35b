// Other people's clients read what is compressed once for all: joined at every point of the cycle, and cut and resumed.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connect } from 'hydrant-client'
import { SseParser } from 'hydrant-client/wire'
import { EventSource } from 'eventsource'
import { countWritten, EVENTS_PER_SEGMENT, numberOf, numbers, PRICES, pricesOf } from '../support/compressed-prices.ts'
import { publishPrices } from '../support/compressed-prices.ts'
import { CuttingRelay } from '../support/cutting-relay.ts'
import { GzipClient } from '../support/gzip-client.ts'
import { startServer, type TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

const SUPPORT = fileURLToPath(new URL('../support/', import.meta.url))
const PYTHON = fileURLToPath(new URL('../../../../.cache/python/bin/python', import.meta.url))
const OPTIONS = { compression: true, limits: { shareConnectionsMin: 1, retryMs: 2 } }
const PATIENCE_MS = 60_000

/** A client in this process: the numbers that it read, as they come. */
interface Reader {
  readonly read: readonly number[]
  close(): void
}

type Open = (server: TestServer) => Promise<Reader>

async function openZlib({ url }: TestServer): Promise<Reader> {
  const client = await GzipClient.open(url, `/events/${PRICES}`)
  return {
    get read() {
      return [...client.text.matchAll(/^data: (\d+) /gm)].map(([, number]) => Number(number))
    },
    close: () => client[Symbol.dispose](),
  }
}

async function openFetch({ url }: TestServer): Promise<Reader> {
  const read: number[] = []
  const abort = new AbortController()
  const response = await fetch(`${url}/events/${PRICES}`, { signal: abort.signal })
  assert.equal(response.headers.get('content-encoding'), 'gzip')
  const parser = new SseParser({
    message: ({ type, data }) => void (type === 'message' && read.push(numberOf(data))),
  })
  const feed = async (): Promise<void> => {
    const text = new TextDecoder()
    for await (const part of response.body ?? []) parser.feed(text.decode(part, { stream: true }))
  }
  feed().catch(() => {}) // it was closed
  return { read, close: () => abort.abort() }
}

async function openEventSource({ url }: TestServer): Promise<Reader> {
  const read: number[] = []
  const source = new EventSource(`${url}/events/${PRICES}`)
  source.addEventListener('message', ({ data }) => void read.push(numberOf(String(data))))
  await new Promise((resolve) => source.addEventListener('hydrant:open', resolve))
  return { read, close: () => source.close() }
}

async function openWs({ wsUrl, hub }: TestServer): Promise<Reader> {
  const before = hub.counters.connections.websocket
  const client = await WsClient.open(`${wsUrl}/events/${PRICES}`)
  assert.equal(client.socket.extensions, 'permessage-deflate')
  await until(() => hub.counters.connections.websocket > before, 'it to be served')
  return {
    get read() {
      return client.messages.map((message) => numberOf(String(message)))
    },
    close: () => client[Symbol.dispose](),
  }
}

async function openPlainWs({ wsUrl, hub }: TestServer): Promise<Reader> {
  const before = hub.counters.connections.websocket
  const client = await WsClient.open(`${wsUrl}/events/${PRICES}`, undefined, { perMessageDeflate: false })
  await until(() => hub.counters.connections.websocket > before, 'it to be served')
  return {
    get read() {
      return client.messages.map((message) => numberOf(String(message)))
    },
    close: () => client[Symbol.dispose](),
  }
}

const openHydrant =
  (transport: 'sse' | 'websocket'): Open =>
  async ({ url }) => {
    const read: number[] = []
    const stream = connect(`${url}/events`, {
      topics: [PRICES],
      transport,
      onEvent: ({ data }) => void read.push(numberOf(String(data))),
    })
    await until(() => stream.state.status === 'open', 'hydrant-client')
    return { read, close: () => stream.close() }
  }

/** `most`: of what is written without compression, so much is written at most. */
const READERS: readonly { readonly name: string; readonly open: Open; readonly most: number }[] = [
  { name: 'zlib of Node', open: openZlib, most: 0.7 },
  { name: 'fetch of Node', open: openFetch, most: 0.7 },
  { name: 'eventsource from npm', open: openEventSource, most: 0.7 },
  { name: 'hydrant-client over SSE', open: openHydrant('sse'), most: 0.7 },
  { name: 'ws from npm', open: openWs, most: 0.7 },
  { name: 'hydrant-client over WebSocket', open: openHydrant('websocket'), most: 0.7 },
  { name: 'ws without compression', open: openPlainWs, most: 1.1 },
]

for (const { name, open, most } of READERS) {
  test(`${name}, joined at every point of the cycle, reads every event once and in order`, async () => {
    await using server = await startServer(OPTIONS)
    const written = countWritten(server)
    const readers: { readonly from: number; readonly reader: Reader }[] = []
    const last = 3 * EVENTS_PER_SEGMENT
    let plain = 0
    for (let from = 0; from <= EVENTS_PER_SEGMENT; from += 1) {
      readers.push({ from, reader: await open(server) })
      await publishPrices(server.hub, from, from + 1)
    }
    await publishPrices(server.hub, EVENTS_PER_SEGMENT + 1, last)
    for (const { from, reader } of readers) {
      await until(
        () => reader.read.length >= last - from,
        () => `${last - from} events, not ${reader.read.join()}`,
      )
      assert.deepEqual(reader.read, numbers(from, last))
      plain += numbers(from, last).reduce((sum, number) => sum + pricesOf(number).length, 0)
      reader.close()
    }
    assert.ok(written() < plain * most, `${written()} bytes were written for ${plain}`)
    if (most > 1) assert.ok(written() > plain)
  })
}

/** A client in a process of its own that prints the data of each event, and comes back when it is cut. */
interface Program {
  readonly name: string
  readonly cuts: readonly number[]
  readonly command: (port: number) => readonly [string, ...string[]]
}

/** After so many bytes of each connection: within the head, stored blocks, and flushes that are compressed for all. */
const CUTS = [333, 14_000, 100_000, 180_000, 1_000, 150_000, 7_777]

const PROGRAMS: readonly Program[] = [
  {
    name: 'requests and sseclient-py',
    cuts: CUTS,
    command: (port) => [PYTHON, `${SUPPORT}follow_sse.py`, `http://127.0.0.1:${port}/events/${PRICES}?earliest`],
  },
  {
    name: 'websockets from PyPI',
    cuts: CUTS,
    command: (port) => [PYTHON, `${SUPPORT}follow_websocket.py`, `ws://127.0.0.1:${port}/events`, PRICES],
  },
  {
    name: "Go's net/http",
    cuts: CUTS,
    command: (port) => [
      'go',
      'run',
      `${SUPPORT}follow_sse.go`,
      `http://127.0.0.1:${port}/events/${PRICES}?earliest`,
      'end',
    ],
  },
]

for (const { name, cuts, command } of PROGRAMS) {
  test(`${name}, cut and coming back with its last id, reads every event once and in order`, async () => {
    await using server = await startServer(OPTIONS)
    await using relay = await CuttingRelay.start(server.port, cuts)
    const written = countWritten(server)
    const [program, ...args] = command(relay.port)
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    let errors = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    const exit = new Promise<number | null>((resolve) => child.on('close', resolve))
    const lines = (): readonly string[] => said.split('\n').slice(0, -1)
    const isOver = (): boolean => child.exitCode !== null
    let published = 0
    const publishNext = async (): Promise<void> => {
      await publishPrices(server.hub, published, published + 1)
      published += 1
      const isRead = (): boolean => lines().length === published || relay.cuts > before
      const before = relay.cuts
      await until(
        () => isRead() || isOver(),
        () => `event ${published} of ${name}: ${errors}`,
        PATIENCE_MS,
      )
    }
    while (relay.cuts < cuts.length && !isOver()) await publishNext()
    const writtenBefore = written()
    for (let left = 4 * EVENTS_PER_SEGMENT; left > 0 && !isOver(); left -= 1) await publishNext()
    await server.hub.publish({ topic: PRICES, data: 'end' })
    assert.equal(await exit, 0, errors)
    assert.deepEqual(lines().map(numberOf), [...numbers(0, published), numberOf('end')])
    assert.equal(relay.cuts, cuts.length)
    assert.ok(written() - writtenBefore < 0.7 * 4 * EVENTS_PER_SEGMENT * pricesOf(0).length)
  })
}
