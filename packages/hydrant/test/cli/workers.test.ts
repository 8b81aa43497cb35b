// `hydrant serve --workers`: to whoever starts and stops it, it is one server.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TempFolder } from '../fault/temp-folder.ts'
import { ask, post } from '../support/ask.ts'
import { runCommand, ServeCommand } from '../support/command.ts'
import { RawClient } from '../support/raw-client.ts'
import { StreamClient } from '../support/stream-client.ts'
import { WsClient } from '../support/ws-client.ts'

test('SIGTERM ends every worker as it ends a server: with the last events, and with farewells', async () => {
  await using server = await ServeCommand.start(['--workers', '2'])
  const { url, port } = server
  const streams = await Promise.all(Array.from({ length: 50 }, () => StreamClient.open(url, '/events/news')))
  for (const stream of streams) await stream.until(({ messages }) => messages.length > 0)
  using webSocket = await WsClient.open(`${url.replace('http', 'ws')}/events/news`)
  using silent = await RawClient.connect(port)
  using halfBody = await RawClient.connect(port)
  halfBody.say('POST /events/news HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf')
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
  await silent.closed()
  assert.match(await halfBody.closed(), /^HTTP\/1\.1 503 /)
})

test('it ends when closeMs is over, also when a client would take longer', async () => {
  await using server = await ServeCommand.start(['--workers', '2', '--close-ms', '600'])
  const mutes = await Promise.all(Array.from({ length: 8 }, async () => openMute(server.port)))
  const startMs = performance.now()
  server.signal('SIGTERM')
  assert.equal(await server.exit(), 0)
  const tookMs = performance.now() - startMs
  assert.ok(tookMs < 1_900, `it took ${tookMs} ms: as long as its clients`)
  for (const mute of mutes) mute[Symbol.dispose]()
})

test('what was acknowledged before it ended is there when it is started again, with another number of workers', async () => {
  using folder = new TempFolder()
  const engine = `file:${folder.path}`
  await using first = await ServeCommand.start(['--workers', '3', '--engine', engine])
  const ids: unknown[] = []
  for (let at = 0; at < 20; at += 1) ids.push((await post(first.url, '/events/news', String(at))).json['id'])
  first.signal('SIGTERM')
  await first.exit()
  await using second = await ServeCommand.start(['--workers', '2', '--engine', engine])
  const headers = { 'last-event-id': String(ids[4]) }
  using stream = await StreamClient.open(second.url, '/events/news', headers)
  await stream.until(({ data }) => data.length === 15)
  assert.deepEqual(
    stream.messages.map(({ lastEventId }) => lastEventId),
    ids.slice(5),
  )
})

test('a second server on its port is told that the port is taken', async () => {
  await using server = await ServeCommand.start(['--workers', '2', '--engine', 'memory'])
  for (const workers of ['1', '2']) {
    const second = await runCommand(['--port', String(server.port), '--workers', workers, '--engine', 'memory'])
    assert.equal(second.result, 1)
    assert.match(second.stderr, /^hydrant: port \d+ is taken by another program/)
  }
  assert.equal((await ask(server.url, 'GET', '/readyz')).status, 200)
})

test('a number of workers that makes no sense is an error, and auto is one for each core', async () => {
  const none = await runCommand(['--workers', '0'])
  assert.match(none.stderr, /--workers must be a whole number from 1 to 1024/)
  const auto = await runCommand(['config', '--workers', 'auto'])
  assert.match(auto.stdout, /workers\W+[1-9]/)
})

/** A WebSocket that answers nothing, not even a close. */
async function openMute(port: number): Promise<RawClient> {
  const mute = await RawClient.connect(port, { allowHalfOpen: true })
  const key = Buffer.alloc(16).toString('base64')
  mute.say('GET /events/news HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n')
  mute.say(`sec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`)
  await mute.hear('101 Switching Protocols')
  return mute
}
