// A compressed stream in every framing, through every door, from its opening to the farewell and a whole trailer.

import assert from 'node:assert/strict'
import { get } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { test } from 'node:test'
import { createGunzip, gunzipSync } from 'node:zlib'
import { SseParser } from 'hydrant-client/wire'
import { createHub, type MountedHub } from '../../src/index.ts'
import { numberOf, numbers, PRICES, publishPrices } from '../support/compressed-prices.ts'
import { closeServerOf, listen, portOf, startServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { parseStream } from '../support/whatwg-parser.ts'

const OPTIONS = { compression: true, limits: { shareConnectionsMin: 1, closeMs: 2_000 } }
const PATH = `/events/${PRICES}`
const GZIP = { 'accept-encoding': 'gzip, deflate, br' }
const EVENTS = 40

/** A body as it comes, and what can be read of it. */
class Body {
  isOver = false
  /** The numbers of the events of an event stream. */
  readonly read: number[] = []
  readonly #parts: Uint8Array[] = []
  readonly #gunzip = createGunzip()

  constructor() {
    const parser = new SseParser({
      message: ({ type, data }) => void (type === 'message' && this.read.push(numberOf(data))),
    })
    this.#gunzip.setEncoding('utf8').on('data', (text: string) => parser.feed(text))
  }

  take(part: Uint8Array): void {
    this.#parts.push(part)
    this.#gunzip.write(part)
  }

  get raw(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

/** Follows the stream until its end: everything arrived, compressed, and the gzip stream is whole. */
async function followToEnd(hub: MountedHub, body: Body): Promise<string> {
  await until(() => hub.counters.connections.sse + hub.counters.connections.ndjson === 1, 'the stream')
  await publishPrices(hub, 0, EVENTS)
  await hub.close()
  await until(() => body.isOver, 'the end')
  const text = gunzipSync(body.raw).toString()
  assert.ok(body.raw.length < text.length * 0.5, `${text.length} bytes took ${body.raw.length}`)
  return text
}

function checkEvents(text: string): void {
  const { messages } = parseStream(text)
  assert.deepEqual([messages[0]?.type, messages.at(-1)?.type], ['hydrant:open', 'hydrant:bye'])
  assert.deepEqual(
    messages.slice(1, -1).map(({ data }) => numberOf(data)),
    numbers(0, EVENTS),
  )
}

for (const door of ['ordinary', 'front'] as const) {
  test(`in chunks of HTTP/1.1, through the ${door} door`, async () => {
    await using server = await startServer(OPTIONS, {}, door)
    const body = new Body()
    get(`${server.url}${PATH}`, { headers: GZIP, agent: false }, (response) => {
      assert.deepEqual(
        [response.headers['content-encoding'], response.headers['transfer-encoding']],
        ['gzip', 'chunked'],
      )
      response.on('data', (part: Buffer) => body.take(part)).on('end', () => (body.isOver = response.complete))
    })
    checkEvents(await followToEnd(server.hub, body))
  })
}

test('to the end of the connection of HTTP/1.0', async () => {
  await using server = await startServer(OPTIONS)
  const body = new Body()
  const socket = connect(server.port, '127.0.0.1')
  socket.write(`GET ${PATH} HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n`)
  let head = Buffer.alloc(0)
  socket.on('close', () => (body.isOver = true))
  socket.on('data', (part: Buffer) => {
    const end = head.indexOf('\r\n\r\n')
    if (end >= 0) return body.take(part)
    head = Buffer.concat([head, part])
    const bodyAt = head.indexOf('\r\n\r\n') + 4
    if (bodyAt > 4 && bodyAt < head.length) body.take(head.subarray(bodyAt))
  })
  await until(() => head.includes('\r\n\r\n'), 'the head')
  assert.match(head.toString(), /content-encoding: gzip/i)
  assert.doesNotMatch(head.toString(), /transfer-encoding/i)
  checkEvents(await followToEnd(server.hub, body))
})

test('on a stream of HTTP/2', async () => {
  const hub = createHub(OPTIONS)
  const server = createHttp2(hub.handler as unknown as Parameters<typeof createHttp2>[1])
  await listen(server)
  const session = connectHttp2(`http://127.0.0.1:${portOf(server)}`)
  const body = new Body()
  const stream = session.request({ ':path': PATH, ...GZIP })
  stream.on('response', (headers) => assert.equal(headers['content-encoding'], 'gzip'))
  stream.on('data', (part: Buffer) => body.take(part)).on('end', () => (body.isOver = true))
  checkEvents(await followToEnd(hub, body))
  session.close()
  await closeServerOf(server)
})

test('in a Response of fetch', async () => {
  const hub = createHub(OPTIONS)
  await hub.ready
  const body = new Body()
  const response = await hub.fetch(new Request(`http://hub.example${PATH}`, { headers: GZIP }))
  assert.equal(response.headers.get('content-encoding'), 'gzip')
  const read = async (): Promise<void> => {
    for await (const part of response.body ?? []) body.take(part)
    body.isOver = true
  }
  const reading = read()
  checkEvents(await followToEnd(hub, body))
  await reading
})

test('as lines', async () => {
  await using server = await startServer(OPTIONS)
  const body = new Body()
  get(`${server.url}${PATH}`, { headers: { ...GZIP, accept: 'application/x-ndjson' }, agent: false }, (response) => {
    response.on('data', (part: Buffer) => body.take(part)).on('end', () => (body.isOver = true))
  })
  const lines = (await followToEnd(server.hub, body)).trimEnd().split('\n')
  assert.equal(lines.length, EVENTS + 2)
  assert.match(lines.at(-1) ?? '', /^\{"bye"/)
})

test('a client that reads nothing for a while holds nobody up, and then reads every event', async () => {
  await using server = await startServer(OPTIONS)
  const [slow, quick] = [new Body(), new Body()]
  const responses = [slow, quick].map(
    (body) =>
      new Promise<() => void>((resolve) => {
        get(`${server.url}${PATH}`, { headers: GZIP, agent: false }, (response) => {
          resolve(() => void response.on('data', (part: Buffer) => body.take(part)))
        })
      }),
  )
  const [readSlow, readQuick] = await Promise.all(responses)
  assert.ok(readSlow !== undefined && readQuick !== undefined)
  readQuick()
  let published = 0
  for (; server.hub.counters.stalls === 0; published += 100) await publishPrices(server.hub, published, published + 100)
  const hasAll = ({ read }: Body): boolean => read.length >= published
  await until(() => hasAll(quick), 'the quick one')
  assert.ok(!hasAll(slow))
  readSlow()
  await until(() => hasAll(slow), 'the slow one')
  await publishPrices(server.hub, published, published + EVENTS)
  published += EVENTS
  for (const body of [quick, slow]) {
    await until(() => hasAll(body), 'all of both')
    assert.deepEqual(body.read, numbers(0, published))
  }
})
