// HTTP/2: many streams on one connection, through the same handler.

import assert from 'node:assert/strict'
import { connect, createSecureServer, createServer, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import { request } from 'node:https'
import { test } from 'node:test'
import { createHub, MemoryEngine, type HubOptions, type MountedHub } from '../../src/index.ts'
import { makeCertificate } from '../support/certificate.ts'
import { listen, portOf } from '../support/test-server.ts'
import { until } from '../support/until.ts'

const EPOCH = '0123456789ab'
const OPEN = `event: hydrant:open\ndata: {}\nretry: 2000\nid: ${EPOCH}-0\n\n`

test('streams share a connection and are bare of chunks', async () => {
  await using scene = await openScene()
  const streams = Array.from({ length: 20 }, (_, at) => scene.get(`/events/${at % 2 === 0 ? 'a' : 'b'}`))
  for (const stream of streams) await stream.until((text) => text === OPEN)
  await scene.hub.publish({ topic: 'a', data: 'one' })
  for (const [at, stream] of streams.entries()) if (at % 2 === 0) await stream.until((text) => text.includes('one'))
  assert.equal(streams[0]?.text, `${OPEN}data: one\nid: ${EPOCH}-1\n\n`)
  assert.equal(streams[1]?.text, OPEN)
  assert.equal(streams[0]?.headers[':status'], 200)
  assert.equal(streams[0]?.headers['content-type'], 'text/event-stream')
  assert.equal(scene.hub.counters.connections.sse, 20)
})

test('publishing, pages and problems are answered', async () => {
  await using scene = await openScene({ limits: { eventBytesMax: 1_000 } })
  const published = scene.post('/events/a', 'x')
  await published.ended()
  assert.deepEqual([published.headers[':status'], published.text], [200, `{"id":"${EPOCH}-1"}\n`])
  const page = scene.get('/events/a', { accept: 'application/json' })
  await page.ended()
  assert.match(page.text, /"data":"x"/)
  const problem = scene.post('/events/a', 'x'.repeat(100_000))
  await problem.until((text) => text.includes('event-too-large'))
  assert.equal(problem.headers[':status'], 413)
  const alive = scene.get('/livez')
  await alive.ended()
  assert.equal(alive.text, 'ok\n')
})

test('the :authority is what an Origin is compared with', async () => {
  await using scene = await openScene()
  const own = scene.post('/events/a', 'x', { origin: `http://localhost:${scene.port}` })
  await own.ended()
  assert.equal(own.headers[':status'], 200)
  const other = scene.post('/events/a', 'x', { origin: 'http://other.example' })
  await other.ended()
  assert.equal(other.headers[':status'], 403)
})

test('a stream that its client resets is gone, the others go on', async () => {
  await using scene = await openScene()
  const one = scene.get('/events/a')
  const two = scene.get('/events/a')
  await one.until((text) => text === OPEN)
  await two.until((text) => text === OPEN)
  one.stream.close()
  await until(() => scene.hub.counters.connections.sse === 1, 'one stream to be left')
  await scene.hub.publish({ topic: 'a', data: 'x' })
  await two.until((text) => text.includes('data: x'))
})

test('a stream that is not read holds a bounded amount and slows no other on its connection', async () => {
  await using scene = await openScene({ limits: { flushBytesMax: 50_000 } })
  const slow = scene.get('/events/a')
  const fast = scene.get('/events/a')
  await slow.until((text) => text === OPEN)
  slow.stream.pause()
  const total = 60
  for (let at = 1; at <= total; at += 1) {
    await scene.hub.publish({ topic: 'a', data: `${at} ${'x'.repeat(10_000)}` })
    await fast.until((text) => text.endsWith(`-${at}\n\n`))
  }
  assert.ok(scene.hub.counters.stalls > 0)
  slow.stream.resume()
  await slow.until((text) => text.endsWith(`-${total}\n\n`))
  assert.equal(slow.text, fast.text)
})

test('close ends every stream with its farewell', async () => {
  await using scene = await openScene()
  const stream = scene.get('/events/a')
  await stream.until((text) => text === OPEN)
  await scene.hub.close()
  await stream.ended()
  assert.match(stream.text, /event: hydrant:bye\ndata: \{\}\nretry: \d+\nid: 0123456789ab-0\n\n$/)
})

test('one server speaks HTTP/2 and HTTP/1.1 over TLS', async () => {
  const { key, cert } = makeCertificate()
  const hub = makeHub()
  const server = createSecureServer({ key, cert, allowHTTP1: true }, handlerOf(hub))
  await listen(server)
  const port = portOf(server)
  const session = connect(`https://localhost:${port}`, { ca: cert })
  const second = new Heard(session.request({ ':path': '/events/a' }))
  await second.until((text) => text === OPEN)
  let first = ''
  const outgoing = request({ port, host: 'localhost', path: '/events/a', ca: cert, agent: false }, (response) => {
    response.setEncoding('utf8').on('data', (text: string) => (first += text))
  }).end()
  await until(() => first === OPEN, 'the stream over HTTP/1.1')
  await hub.publish({ topic: 'a', data: 'x' })
  await until(() => first.endsWith('-1\n\n'), 'the event over HTTP/1.1')
  await second.until((text) => text === first)
  outgoing.destroy()
  session.destroy()
  await hub.close()
  await new Promise((resolve) => server.close(resolve))
})

/** The handler is made for node:http; node:http2 calls it with objects of the same shape. */
function handlerOf(hub: MountedHub): Parameters<typeof createServer>[1] & object {
  return hub.handler as never
}

function makeHub(options: HubOptions = {}): MountedHub {
  return createHub({ engine: new MemoryEngine({ epoch: EPOCH, limits: options.limits ?? {} }), ...options })
}

/** One client stream and what it got. */
class Heard {
  readonly stream: ClientHttp2Stream
  text = ''
  headers: Readonly<Record<string, unknown>> = {}
  isEnded = false

  constructor(stream: ClientHttp2Stream) {
    this.stream = stream
    stream.setEncoding('utf8')
    stream.on('response', (headers) => (this.headers = headers))
    stream.on('data', (text: string) => (this.text += text))
    stream.on('error', () => {}) // a reset is an end as well
    stream.on('close', () => (this.isEnded = true))
  }

  until(isSo: (text: string) => boolean): Promise<void> {
    return until(
      () => isSo(this.text),
      () => `more than ${JSON.stringify(this.text.slice(-200))}`,
    )
  }

  async ended(): Promise<void> {
    await until(() => this.isEnded, 'the end of the stream')
  }
}

/** A clear-text HTTP/2 server with a hub, and one session to it. */
class Scene implements AsyncDisposable {
  readonly hub: MountedHub
  readonly port: number
  readonly #session: ClientHttp2Session
  readonly #close: () => Promise<void>

  constructor(hub: MountedHub, port: number, session: ClientHttp2Session, close: () => Promise<void>) {
    this.hub = hub
    this.port = port
    this.#session = session
    this.#close = close
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}): Heard {
    return new Heard(this.#session.request({ ':path': path, ...headers }))
  }

  post(path: string, body: string, headers: Readonly<Record<string, string>> = {}): Heard {
    const stream = this.#session.request({ ':method': 'POST', ':path': path, ...headers })
    stream.end(body)
    return new Heard(stream)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session.destroy()
    await this.hub.close()
    await this.#close()
  }
}

async function openScene(options: HubOptions = {}): Promise<Scene> {
  const hub = makeHub(options)
  const server = createServer(handlerOf(hub))
  await listen(server)
  const port = portOf(server)
  return new Scene(hub, port, connect(`http://localhost:${port}`), async () => {
    await new Promise((resolve) => server.close(resolve))
  })
}
