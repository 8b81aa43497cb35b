// The front door against `node:http` itself: the same bytes in, the same bytes out.

import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { MemoryEngine, type HubOptions } from '../../src/index.ts'
import { RawClient } from '../support/raw-client.ts'
import { SteppedClock } from '../support/stepped-clock.ts'
import { startServer, type Door, type TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'

const EPOCH = '0123456789ab'
const PLAIN = 'GET /events/a HTTP/1.1\r\nhost: x\r\n\r\n'

interface Watched extends TestServer {
  /** The server's sides of all connections so far. */
  readonly accepted: readonly Socket[]
  /** How many requests `node:http` has seen. */
  readonly seen: () => number
}

async function start(door: Door = 'front', options: HubOptions = {}): Promise<Watched> {
  const engine = new MemoryEngine({ epoch: EPOCH, limits: {} })
  const server = await startServer({ engine, ...options }, {}, door)
  const accepted: Socket[] = []
  let seen = 0
  server.server.on('connection', (socket) => void accepted.push(socket))
  server.server.on('request', () => (seen += 1))
  return Object.assign(server, { accepted, seen: () => seen })
}

/** Says something, then nothing more, and answers all that was heard but for the time of day. */
async function exchange(port: number, text: string): Promise<string> {
  using client = await RawClient.connect(port)
  client.say(text)
  client.socket.end()
  return undated(await client.closed())
}

function undated(text: string): string {
  return text.replaceAll(/^Date: .*$/gm, 'Date: now').replaceAll(/"time":"[^"]*"/g, '"time":"now"')
}

test('a plain stream never reaches node:http, and carries on without it', async () => {
  await using server = await start()
  using client = await RawClient.connect(server.port)
  client.say(PLAIN)
  await client.hear('hydrant:open')
  await server.hub.publish({ topic: 'a', data: 'hello' })
  await client.hear('data: hello')
  assert.equal(server.seen(), 0)
  assert.equal(server.hub.counters.connections.sse, 1)
})

const ORDINARY: readonly (readonly [words: string, request: string])[] = [
  ['a page of history', PLAIN.replace('host', 'accept: application/json\r\nhost')],
  ['a stream of NDJSON', PLAIN.replace('host', 'accept: application/x-ndjson\r\nhost')],
  ['what no stream can be answered with', PLAIN.replace('host', 'accept: image/png\r\nhost')],
  ['another path', PLAIN.replace('/events/a', '/livez')],
  ['a path that only begins like it', PLAIN.replace('/events/a', '/eventsa')],
  ['HTTP/1.0', PLAIN.replace('1.1', '1.0')],
  ['a body', PLAIN.replace('host', 'content-length: 0\r\nhost')],
  ['a publish', 'POST /events/a HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx'],
]

for (const [words, request] of ORDINARY) {
  test(`${words} is left to node:http`, async () => {
    await using server = await start()
    assert.match(await exchange(server.port, request), /^HTTP\/1\.1 /)
    assert.equal(server.seen(), 1)
  })
}

test('two streams have every function in common', async () => {
  await using server = await start()
  using first = await RawClient.connect(server.port)
  using second = await RawClient.connect(server.port)
  for (const client of [first, second]) {
    client.say(PLAIN)
    await client.hear('hydrant:open')
  }
  const [one, two] = server.accepted
  assert.ok(one !== undefined && two !== undefined)
  assert.ok(one.eventNames().includes('drain'))
  assert.deepEqual(one.eventNames(), two.eventNames())
  for (const name of one.eventNames()) assert.deepEqual(one.rawListeners(name), two.rawListeners(name))
})

// ── cut anywhere ─────────────────────────────────────────────────────────────────────────────────────────────────────

const CUT: readonly (readonly [words: string, request: string])[] = [
  ['a stream', PLAIN],
  ['a refused stream', PLAIN.replace('/a', '/a?lats=1')],
  ['a stream of another kind', PLAIN.replace('host', 'accept: application/x-ndjson\r\nhost')],
  ['a publish', 'POST /events/b HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello'],
]

for (const [words, request] of CUT) {
  test(`the request of ${words}, cut in two at every byte, is answered as if whole`, async () => {
    await using server = await start()
    const answer = answerOf(await exchange(server.port, request))
    await Promise.all(
      Array.from(request.slice(1), async (_, at) => {
        using client = await RawClient.connect(server.port)
        await sayApart(client, server, [request.slice(0, at + 1), request.slice(at + 1)])
        client.socket.end()
        assert.equal(answerOf(undated(await client.closed())), answer, `cut after ${at + 1} bytes`)
      }),
    )
  })

  test(`the request of ${words}, a byte at a time, is answered as if whole`, async () => {
    await using server = await start()
    const answer = answerOf(await exchange(server.port, request))
    using client = await RawClient.connect(server.port)
    await sayApart(client, server, request.split(''))
    client.socket.end()
    assert.equal(answerOf(undated(await client.closed())), answer)
  })
}

/** Each part in a segment of its own: the next is said when the server has read the one before. */
async function sayApart(client: RawClient, server: Watched, parts: readonly string[]): Promise<void> {
  const { localPort } = client.socket
  const side = (): Socket | undefined => server.accepted.find(({ remotePort }) => remotePort === localPort)
  client.socket.setNoDelay()
  let said = 0
  for (const part of parts) {
    client.say(part)
    said += part.length
    await until(
      () => (side()?.bytesRead ?? (client.isClosed ? said : 0)) >= said || client.isClosed,
      `${said} bytes to be read`,
    )
  }
}

/** The ids of what is published differ. */
function answerOf(text: string): string {
  return text.replaceAll(new RegExp(`${EPOCH}-\\d+`, 'g'), 'id').replaceAll(/content-length: \d+/g, 'content-length: n')
}

// ── the same at both doors ───────────────────────────────────────────────────────────────────────────────────────────

const often = <Value>(weight: number, usual: Value, rare: readonly Value[]): fc.Arbitrary<Value> =>
  fc.oneof({ weight, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...rare) })

const targets = [
  '/events',
  '/events?topic=a&topic=b/**',
  '/events/a?last=2',
  '/events/a?last=two',
  '/events/a?lats=2',
  '/events/a?since=1h&last=2',
  '/events/a?earliest&format=envelope',
  '/events/a?state=latest',
  '/events/a?lastEventId=x',
  '/events/a%2Fb',
  '/events/%zz',
  '/events/a//b',
  '/events/a?topic=%00',
  '/events/a?limit=1',
  '/events/\xe9',
  '/livez',
  '/nothing',
  'http://x/events/a',
  'HTTP://x/events/a',
  '*',
  '//x/events/a',
]
const lines = [
  ...['*/*', 'text/event-stream', 'TEXT/*;q=0.5', 'application/json', 'image/png', ';;', ''].map(
    (it) => `Accept: ${it}`,
  ),
  ...[`${EPOCH}-0`, `${EPOCH}-1`, 'x', '', 'é'].map((it) => `Last-Event-ID: ${it}`),
  ...['https://app.example', 'https://b.example', 'null'].map((it) => `Origin: ${it}`),
  ...['close', 'Keep-Alive', 'keep-alive, close', 'Upgrade', 'x'].map((it) => `Connection: ${it}`),
  'Content-Length: 0',
  'content-length: 3',
  'Content-Length: +3',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding: gzip',
  'Expect: 100-continue',
  'Expect: x',
  'Upgrade: h2c',
  'Upgrade: websocket',
  'Host: y',
  'Host:',
  ' folded',
  '\tfolded',
  'x',
  'x:y',
  'x:  y \t',
  ': y',
  'x\0: y',
  'x: \x01',
  'Proxy-Connection: close',
  'TE: trailers',
  'Keep-Alive: timeout=1',
  'X_Y: z',
  'Cookie: a=b; c="d"',
  'Accept-Encoding: gzip, deflate, br',
  '"x": y',
]
const lineEnd = often(40, '\r\n', ['\n', '\r', '\r\r\n', ' \r\n', '\r\n\r\n'])
const requests = fc
  .record({
    before: often(20, '', ['\r\n', '\n', ' ', '\0']),
    method: often(8, 'GET', ['HEAD', 'POST', 'OPTIONS', 'get', 'GETS', 'BREW']),
    target: often(2, '/events/a', targets),
    version: often(8, 'HTTP/1.1', ['HTTP/1.0', 'HTTP/2.0', 'HTTP/1.1 ', 'http/1.1', '']),
    lines: fc.array(fc.tuple(often(1, 'X-A: b', lines), lineEnd), { maxLength: 4 }),
    host: often(12, 'Host: x\r\n', ['', 'Host: x\n', 'host:x\r\n', 'HOST: \r\n']),
    end: often(12, '\r\n', ['', '\n', '\r']),
    behind: often(12, '', [
      'x',
      '\r\n',
      'abc',
      '3\r\nabc\r\n0\r\n\r\n',
      'GET /livez HTTP/1.1\r\nhost: x\r\n\r\n',
      PLAIN,
    ]),
    spoilt: often(6, undefined, [0, 3, 4, 5, 13, 14, 20, 24, 30, 40]),
    spoil: fc.constantFrom('\0', ' ', '\n', '\r', ':', '\x7f', '\xff', 'a', ''),
  })
  .map(({ before, method, target, version, lines: some, host, end, behind, spoilt, spoil }) => {
    const head = `${before}${method} ${target} ${version}\r\n${host}${some.map((pair) => pair.join('')).join('')}${end}`
    const text = spoilt === undefined ? head : `${head.slice(0, spoilt)}${spoil}${head.slice(spoilt + 1)}`
    return text + behind
  })

test('whatever is asked, however it is spoilt, is answered the same at both doors', async () => {
  const options = { cors: ['https://app.example'], compression: true }
  await using front = await start('front', { ...options, clock: new SteppedClock() })
  await using ordinary = await start('ordinary', { ...options, clock: new SteppedClock() })
  let asked = 0
  await fc.assert(
    fc.asyncProperty(requests, async (request) => {
      asked += 1
      const [one, other] = await Promise.all([exchange(front.port, request), exchange(ordinary.port, request)])
      if (!isSeveral(request)) assert.equal(one, other)
    }),
    { numRuns: 500 },
  )
  await until(() => front.hub.counters.connections.sse === 0, 'all streams to be gone')
  assert.deepEqual(front.hub.counters.refused, ordinary.hub.counters.refused)
  assert.deepEqual(front.hub.counters.opened, ordinary.hub.counters.opened)
  assert.ok(front.seen() < ordinary.seen(), 'some of them were plain')
  assert.ok(front.seen() > asked / 4, 'some of them were not')
})

/**
 * Whether something stands behind the first head. With an error in it, what is read all in one go is answered with that
 * error alone, for the first answer has not begun by then: which of the two is heard is a matter of how it was read.
 */
function isSeveral(request: string): boolean {
  return /\n\r?\n[^]/.test(request.trimStart())
}
