import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, post } from '../support/ask.ts'
import { ServeCommand } from '../support/command.ts'
import { RawClient } from '../support/raw-client.ts'
import { StreamClient } from '../support/stream-client.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

/** How long the server waits for the answer to the close of a WebSocket. */
const MUTE_MS = 2_000

/** A WebSocket that answers nothing, not even a close. */
async function openMute(server: ServeCommand): Promise<RawClient> {
  const mute = await RawClient.connect(server.port, { allowHalfOpen: true })
  const key = Buffer.alloc(16).toString('base64')
  mute.say('GET /events/news HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n')
  mute.say(`sec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`)
  await mute.hear('101 Switching Protocols')
  return mute
}

test('SIGTERM ends it with 0, whatever its clients do: streams, stalled, silent, half a head, half a body', async () => {
  await using server = await ServeCommand.start()
  const { url, port } = server
  const streams = await Promise.all(Array.from({ length: 50 }, () => StreamClient.open(url, '/events/news')))
  using webSocket = await WsClient.open(`${url.replace('http', 'ws')}/events/news`)
  using stalled = await RawClient.connect(port)
  stalled.socket.pause()
  stalled.say('GET /events/flood HTTP/1.1\r\nhost: a\r\n\r\n')
  using silent = await RawClient.connect(port)
  using halfHead = await RawClient.connect(port)
  halfHead.say('GET /events/news HTTP/1.1\r\nhost:')
  using halfBody = await RawClient.connect(port)
  halfBody.say('POST /events/news HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf')
  const flood = 'x'.repeat(1_000_000)
  for (let isStalled = false; !isStalled;) {
    await post(url, '/events/flood', flood)
    isStalled = (await ask(url, 'GET', '/metrics')).text.includes('hydrant_stalls_total 1')
  }
  const { json } = await post(url, '/events/news', 'last')

  const startMs = performance.now()
  server.signal('SIGTERM')
  assert.equal(await server.exit(), 0)
  assert.ok(performance.now() - startMs < 5_000, 'it waited for nobody until the deadline of 10 s')
  assert.equal(server.stderr, '')
  for (const stream of streams) {
    await stream.closed()
    const bye = stream.messages.at(-1)
    assert.deepEqual([stream.data.at(-1), bye?.type, bye?.lastEventId], ['last', 'hydrant:bye', json['id']])
  }
  assert.equal(await webSocket.closed(), 1001)
  await Promise.all([silent.closed(), halfHead.closed()])
  assert.match(await halfBody.closed(), /^HTTP\/1\.1 503 /)
})

test('it ends when closeMs is over, also when a client would take longer', async () => {
  await using server = await ServeCommand.start(['--close-ms', '500'])
  using mute = await openMute(server)
  const startMs = performance.now()
  server.signal('SIGINT')
  assert.equal(await server.exit(), 0)
  assert.ok(performance.now() - startMs < MUTE_MS, 'it did not wait for its client')
  assert.match(mute.text, /going-away/)
})

test('a second signal ends it at once, with 1', async () => {
  await using server = await ServeCommand.start()
  using mute = await openMute(server)
  const startMs = performance.now()
  server.signal('SIGTERM')
  await until(() => {
    server.signal('SIGTERM')
    return server.result !== undefined
  }, 'the end')
  assert.equal(server.result, 1)
  assert.ok(performance.now() - startMs < MUTE_MS, 'it did not wait for its client')
  assert.match(mute.text, /going-away/)
})

test('two signals in the same moment are one Ctrl-C, which npm passes on as well', async () => {
  await using server = await ServeCommand.start()
  using stream = await StreamClient.open(server.url, '/events/news')
  server.signal('SIGINT')
  server.signal('SIGTERM')
  assert.equal(await server.exit(), 0)
  await stream.closed()
  assert.equal(stream.messages.at(-1)?.type, 'hydrant:bye')
})

test('an error that nobody caught is one line with its stack, then a clean end with 1', async () => {
  const trap = "process.on('SIGUSR2', () => setImmediate(() => { throw new Error('boom') }))"
  await using server = await ServeCommand.start([], {
    env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(trap)}` },
  })
  using stream = await StreamClient.open(server.url, '/events/news')
  server.signal('SIGUSR2')
  assert.equal(await server.exit(), 1)
  assert.match(server.stderr, /^hydrant: [^\n]*Error: boom \| at [^\n]*\n$/)
  await stream.closed()
  assert.equal(stream.messages.at(-1)?.type, 'hydrant:bye')
})

test('after an end by SIGTERM the port is free for the next one', async () => {
  await using first = await ServeCommand.start()
  const { port } = first
  using client = await RawClient.connect(port)
  first.signal('SIGTERM')
  await first.exit()
  await client.closed()
  await using second = await ServeCommand.start(['--port', String(port)])
  assert.equal((await ask(second.url, 'GET', '/readyz')).status, 200)
})
