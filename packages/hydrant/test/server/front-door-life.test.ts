// What becomes of a connection at the front door: before its request, while it is answered, and after.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { History, ReadRequest } from '../../src/engine/engine.ts'
import { HydrantError } from '../../src/hub/errors.ts'
import { MemoryEngine } from '../../src/index.ts'
import { openServer } from '../support/open-server.ts'
import { RawClient } from '../support/raw-client.ts'
import { startServer, type TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'

const HEAD = 'HTTP/1.1\r\nhost: x\r\n'
const STATE = `GET /events/a?state=latest ${HEAD}\r\n`

/** Its readings wait for the test. */
class WaitingEngine extends MemoryEngine {
  readonly waiting: { readonly go: () => void; readonly fail: () => void }[] = []

  override async read(request: ReadRequest): Promise<History> {
    await new Promise<void>((resolve, reject) => {
      const fail = (): void => reject(new HydrantError('malformed-id', 'The log knows better.'))
      this.waiting.push({ go: resolve, fail })
    })
    return super.read(request)
  }
}

test('a connection whose stream has come to its end takes the next request, of any kind', async () => {
  await using server = await openServer()
  await server.hub.publish({ topic: 'a', data: 'one' })
  await server.hub.end('a')
  using client = await RawClient.connect(server.port)
  for (const request of [`GET /events/a?earliest ${HEAD}\r\n`, `GET /events/a?last=2 ${HEAD}\r\n`]) {
    client.text = ''
    client.say(request)
    await client.hear(/event: hydrant:end\n[^]*\r\n0\r\n\r\n$/)
    assert.match(client.text, /data: one\n/)
  }
  client.say(`POST /events/b ${HEAD}content-length: 5\r\n\r\nhello`)
  await client.hear(/HTTP\/1\.1 200 OK[^]*"id":/)
  client.say(`GET /events/b?last=1 ${HEAD}\r\n`)
  await client.hear('data: hello')
})

test('a connection that was refused a stream takes the next request', async () => {
  await using server = await openServer()
  using client = await RawClient.connect(server.port)
  client.say(`GET /events/a?lats=1 ${HEAD}\r\n`)
  await client.hear('unknown-query-key')
  client.say(`GET /events/a ${HEAD}\r\n`)
  await client.hear('hydrant:open')
})

test('a client that asked for it is closed behind its answer, and behind its stream', async () => {
  await using server = await openServer()
  await server.hub.end('a')
  for (const query of ['lats=1', 'earliest']) {
    const said = await RawClient.exchange(server.port, `GET /events/a?${query} ${HEAD}connection: close\r\n\r\n`)
    assert.match(said, /^Connection: close\r$/m)
    assert.match(said, /(\n0\r\n\r\n|"code":"unknown-query-key".*\n)$/)
  }
})

test('a connection that was answered and asks nothing more is closed after keepAliveMs, without a word', async () => {
  await using server = await openServer({}, { keepAliveMs: 50 })
  using client = await RawClient.connect(server.port)
  client.say(`GET /events/a?lats=1 ${HEAD}\r\n`)
  assert.doesNotMatch(await client.closed(), /408/)
  assert.equal(server.hub.counters.refused.get('request-timeout'), undefined)
})

test('a client that ended its half and takes nothing more is given up after endedQuietMs', async () => {
  await using server = await openServer({}, { endedQuietMs: 50 })
  using client = await RawClient.connect(server.port, { allowHalfOpen: true })
  client.socket.pause()
  client.say(`GET /events/a ${HEAD}\r\n`)
  await until(() => server.hub.counters.connections.sse === 1, 'the stream')
  while (server.hub.counters.stalls === 0) {
    await server.hub.publish({ topic: 'a', data: 'x'.repeat(100_000) })
    await new Promise((resolve) => void setImmediate(resolve))
  }
  client.socket.end()
  await until(() => server.sockets === 0, 'its end')
})

test('a request behind one that is still being answered costs that connection, once a stream is the answer', async () => {
  const engine = new WaitingEngine()
  await using server = await startServer({ engine }, {}, 'front')
  const bytesRead = bytesReadBy(server)
  using client = await RawClient.connect(server.port)
  client.say(STATE)
  await until(() => engine.waiting.length === 1, 'the reading')
  const publish = `POST /events/a ${HEAD}content-length: 1\r\n\r\nx`
  client.say(publish)
  await until(() => bytesRead() === STATE.length + publish.length, 'both to be read')
  engine.waiting.at(-1)?.go()
  assert.equal(await client.closed(), '')
  assert.equal(server.hub.counters.opened.sse, 0)
  assert.equal(server.hub.counters.published, 0)
})

test('requests behind one that is still being answered wait for their turn, when a problem is the answer', async () => {
  const engine = new WaitingEngine()
  await using server = await startServer({ engine }, {}, 'front')
  const bytesRead = bytesReadBy(server)
  using client = await RawClient.connect(server.port)
  const livez = `GET /livez ${HEAD}\r\n`
  client.say(STATE)
  await until(() => engine.waiting.length === 1, 'the reading')
  client.say(livez)
  await until(() => bytesRead() === STATE.length + livez.length, 'both to be read')
  client.say(`GET /readyz ${HEAD}\r\n`)
  assert.equal(client.text, '')
  engine.waiting.at(-1)?.fail()
  await client.hear(/^HTTP\/1\.1 400 [^]*"code":"malformed-id"[^]*\r\n\r\nok\nHTTP[^]*\r\n\r\nok\n$/)
})

test('a client that goes while it is being answered leaves nothing behind', async () => {
  const engine = new WaitingEngine()
  await using server = await openServer({}, {}, engine)
  using client = await RawClient.connect(server.port)
  client.say(STATE)
  await until(() => engine.waiting.length === 1, 'the reading')
  client.socket.resetAndDestroy()
  await until(() => server.sockets === 0, 'the connection to be gone')
  engine.waiting.at(-1)?.go()
  await new Promise((resolve) => void setImmediate(resolve)) // it is answered within this turn, or never
  assert.equal(server.hub.counters.opened.sse, 0)
})

test('closing ends every stream with its farewell and its connection, however many they are', async () => {
  const server = await openServer({ closeMs: '60000' })
  const clients = await Promise.all(Array.from({ length: 300 }, () => RawClient.connect(server.port)))
  for (const client of clients) client.say(`GET /events/a ${HEAD}\r\n`)
  await Promise.all(clients.map((client) => client.hear('hydrant:open')))
  const closed = server.close()
  for (const client of clients) assert.match(await client.closed(), /event: hydrant:bye\n[^]*\r\n0\r\n\r\n$/)
  await closed
})

test('closing ends what is being answered with its answer, and what says nothing at once', async () => {
  const engine = new WaitingEngine()
  const server = await openServer({}, {}, engine)
  using silent = await RawClient.connect(server.port)
  using asking = await RawClient.connect(server.port)
  asking.say(STATE)
  await until(() => engine.waiting.length === 1, 'the reading')
  const closed = server.close()
  assert.equal(await silent.closed(), '')
  engine.waiting.at(-1)?.fail()
  assert.match(await asking.closed(), /^HTTP\/1\.1 400 [^]*\r\nConnection: close\r\n[^]*"code":"malformed-id"/)
  await closed
})

/** What was read of the next connection. */
function bytesReadBy({ server }: TestServer): () => number {
  let bytesRead = (): number => 0
  server.once('connection', (socket) => (bytesRead = () => socket.bytesRead))
  return () => bytesRead()
}
