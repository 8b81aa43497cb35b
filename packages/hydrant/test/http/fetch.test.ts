// The handler in fetch style: a Request in, a streaming Response out.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SseParser } from 'hydrant-client/wire'
import { createHub, MemoryEngine, type HubOptions } from '../../src/index.ts'
import { until } from '../support/until.ts'

const EPOCH = '0123456789ab'
const URL_A = 'http://x/events/a'
/** What a Request with a stream for its body must say; not in the types of browsers. */
const HALF = { duplex: 'half' }
const OPEN = `event: hydrant:open\ndata: {}\nretry: 2000\nid: ${EPOCH}-0\n\n`

function makeHub(options: HubOptions = {}) {
  return createHub({ engine: new MemoryEngine({ epoch: EPOCH, limits: options.limits ?? {} }), ...options })
}

test('a stream is a Response whose body goes on', async () => {
  await using hub = closing(makeHub())
  const response = await hub.fetch(new Request(URL_A))
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  assert.equal(response.headers.get('transfer-encoding'), null)
  const reader = new BodyReader(response)
  await hub.publish({ topic: 'a', data: 'one' })
  assert.equal(await reader.textUntil('one'), `${OPEN}data: one\nid: ${EPOCH}-1\n\n`)
  await hub.close()
  assert.match(await reader.rest(), /^event: hydrant:bye\n/)
})

test('publishing, pages, problems and preflights are answered as over sockets', async () => {
  await using hub = closing(makeHub({ cors: ['https://app.example'] }))
  const published = await hub.fetch(new Request(URL_A, { method: 'POST', body: 'x' }))
  assert.deepEqual(await published.json(), { id: `${EPOCH}-1` })
  const page = await hub.fetch(new Request(URL_A, { headers: { accept: 'application/json' } }))
  assert.equal(((await page.json()) as { readonly id: string }).id, `${EPOCH}-1`)
  const problem = await hub.fetch(new Request('http://x/events/a?typ=x'))
  assert.deepEqual([problem.status, problem.headers.get('content-type')], [400, 'application/problem+json'])
  const headers = { origin: 'https://app.example' }
  const preflight = await hub.fetch(new Request(URL_A, { method: 'OPTIONS', headers }))
  assert.deepEqual([preflight.status, preflight.body], [204, null])
  assert.equal(preflight.headers.get('access-control-allow-origin'), 'https://app.example')
  const head = await hub.fetch(new Request('http://x/livez', { method: 'HEAD' }))
  assert.deepEqual([head.status, head.body], [200, null])
  const other = await hub.fetch(
    new Request(URL_A, { method: 'POST', body: 'x', headers: { origin: 'https://b.example' } }),
  )
  assert.equal(other.status, 403)
})

test('the host of the URL is what an Origin is compared with', async () => {
  await using hub = closing(makeHub())
  const headers = { origin: 'http://x' }
  assert.equal((await hub.fetch(new Request(URL_A, { method: 'POST', body: '1', headers }))).status, 200)
})

test('below a base path, and not beside it', async () => {
  await using hub = closing(makeHub({ basePath: '/api' }))
  assert.equal((await hub.fetch(new Request('http://x/api/livez'))).status, 200)
  assert.equal((await hub.fetch(new Request('http://x/livez'))).status, 404)
})

test('a reader that cancels is gone', async () => {
  await using hub = closing(makeHub())
  const response = await hub.fetch(new Request(URL_A))
  assert.equal(hub.counters.connections.sse, 1)
  await response.body?.cancel()
  assert.equal(hub.counters.connections.sse, 0)
  await hub.publish({ topic: 'a', data: 'x' })
})

test('a request that is aborted ends its stream, also when it was aborted before', async () => {
  await using hub = closing(makeHub())
  const aborter = new AbortController()
  const response = await hub.fetch(new Request(URL_A, { signal: aborter.signal }))
  aborter.abort()
  assert.equal(hub.counters.connections.sse, 0)
  await assert.rejects(new BodyReader(response).rest())
  await hub.fetch(new Request(URL_A, { signal: AbortSignal.abort() })).catch(() => undefined)
  assert.equal(hub.counters.connections.sse, 0)
})

test('a slow reader holds a bounded amount, and gets every event once, in order', async () => {
  await using hub = closing(makeHub({ limits: { flushBytesMax: 50_000 } }))
  const response = await hub.fetch(new Request(URL_A))
  const total = 500
  for (let at = 1; at <= total; at += 1) {
    await hub.publish({ topic: 'a', data: `${at} ${'x'.repeat(10_000)}` })
    await new Promise(setImmediate)
  }
  assert.ok(hub.counters.stalls > 0)
  assert.ok(hub.counters.deliveredBytes < 300_000, `${hub.counters.deliveredBytes} bytes were handed over unread`)
  const numbers: number[] = []
  const parser = new SseParser({ message: ({ data }) => void numbers.push(Number.parseInt(data, 10)) })
  const reader = new BodyReader(response)
  while (numbers.length < total + 1) parser.feed(await reader.next())
  assert.deepEqual(
    numbers.slice(1),
    Array.from({ length: total }, (_, at) => at + 1),
  )
})

test('bytes that a reader overwrites are its own', async () => {
  await using hub = closing(makeHub())
  const one = await hub.fetch(new Request(URL_A))
  const two = await hub.fetch(new Request(URL_A))
  const reader = one.body?.getReader()
  await hub.publish({ topic: 'a', data: 'shared' })
  for (let at = 0; at < 2; at += 1) (await reader?.read())?.value?.fill(0)
  assert.match(await new BodyReader(two).textUntil('shared'), /data: shared\n/)
})

test('a body that is too large is not read to its end', async () => {
  await using hub = closing(makeHub({ limits: { eventBytesMax: 1_000 } }))
  let pulled = 0
  let isCancelled = false
  const body = new ReadableStream({
    pull: (controller) => {
      pulled += 1
      controller.enqueue(new Uint8Array(600))
    },
    cancel: () => void (isCancelled = true),
  })
  const response = await hub.fetch(new Request(URL_A, { method: 'POST', body, ...HALF }))
  assert.equal(response.status, 413)
  await until(() => isCancelled, 'the rest to be cancelled')
  assert.ok(pulled < 10)
})

test('a body that fails publishes nothing', async () => {
  await using hub = closing(makeHub())
  let at = 0
  const body = new ReadableStream({
    pull: (controller) =>
      (at += 1) === 1 ? controller.enqueue(Buffer.from('half')) : controller.error(new Error('cut')),
  })
  const response = await hub.fetch(new Request(URL_A, { method: 'POST', body, ...HALF }))
  assert.equal(response.status, 400)
  assert.equal(hub.counters.published, 0)
})

/** Reads the body of a Response as text. */
class BodyReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  readonly #decoder = new TextDecoder()

  constructor(response: Response) {
    this.#reader = response.body?.getReader()
  }

  /** The next piece; empty at the end. */
  async next(): Promise<string> {
    const read = await this.#reader?.read()
    return read?.value === undefined ? '' : this.#decoder.decode(read.value, { stream: true })
  }

  async textUntil(word: string): Promise<string> {
    let text = ''
    while (!text.includes(word)) text += await this.next()
    return text
  }

  async rest(): Promise<string> {
    let text = ''
    for (let piece = await this.next(); piece !== ''; piece = await this.next()) text += piece
    return text
  }
}

function closing<Closable extends { close(): Promise<void> }>(it: Closable): Closable & AsyncDisposable {
  return Object.assign(it, { [Symbol.asyncDispose]: () => it.close() })
}
