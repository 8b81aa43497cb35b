// Answers that are not the stream that was asked for: each ends in a state that says why, and none is taken for events.

import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { test } from 'node:test'
import { closeServer, listen, portOf, startServer } from '../../../hydrant/test/support/test-server.ts'
import { VirtualClock } from '../../../hydrant/test/support/virtual-clock.ts'
import { formatSse, type Envelope, type SseBlock } from '../../src/wire/index.ts'
import { startCuttable } from '../support/cuttable-server.ts'
import { follow, type Followed } from '../support/followed.ts'

const A = '00000000000a'
const FAREWELL = { type: 'hydrant:bye', data: '{}' }

type Answer = (response: ServerResponse, request: IncomingMessage) => void

/** A server that gives these answers, one after the other, and the last one ever after. */
async function startAnswering(...answers: readonly Answer[]): Promise<AsyncDisposable & { readonly url: string }> {
  const left = [...answers]
  const server = createServer((request, response) => {
    const [answer] = left.length > 1 ? left.splice(0, 1) : left
    answer?.(response, request)
  })
  await listen(server)
  return { url: `http://127.0.0.1:${portOf(server)}/events`, [Symbol.asyncDispose]: () => closeServer(server) }
}

function plain(status: number, headers: Readonly<Record<string, string>> = {}, body = ''): Answer {
  return (response) => void response.writeHead(status, headers).end(body)
}

/** A stream of these blocks; it stays open. */
function stream(...blocks: readonly SseBlock[]): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    response.write(blocks.map(formatSse).join(''))
  }
}

function event(offset: number): SseBlock {
  const id = `${A}-${offset}`
  const envelope: Envelope = { id, topic: 'a', type: 'message', time: '2026-01-01T00:00:00.000Z', data: String(offset) }
  return { data: JSON.stringify(envelope), id }
}

/** Why the stream waited first, or was closed. */
async function why(followed: Followed): Promise<string> {
  await followed.until(({ states }) => states.some((state) => 'why' in state))
  const state = followed.states.find((one) => 'why' in one)
  return state !== undefined && 'why' in state ? `${state.status} ${state.why.code}` : 'neither'
}

for (const status of [400, 401, 403, 404]) {
  test(`status ${status} is final, also without a problem in its body`, async () => {
    await using server = await startAnswering(plain(status, { 'content-type': 'text/html' }, '<p>no'))
    using followed = follow(server.url, { topics: ['a'] })
    assert.equal(await why(followed), 'closed refused')
  })
}

test('status 204 is the orderly end', async () => {
  await using server = await startAnswering(plain(204))
  using followed = follow(server.url, { topics: ['a'] })
  assert.equal(await why(followed), 'closed ended')
})

for (const status of [301, 405, 429, 500, 502, 503]) {
  test(`status ${status} is waited for`, async () => {
    await using server = await startAnswering(plain(status), stream(event(1)))
    using followed = follow(server.url, { topics: ['a'] })
    assert.equal(await why(followed), 'waiting unreachable')
    await followed.until(({ events }) => events.length === 1)
  })
}

test('Retry-After is kept to', async () => {
  await using server = await startAnswering(plain(503, { 'retry-after': '120' }))
  const beforeMs = Date.now()
  using followed = follow(server.url, { topics: ['a'] })
  await why(followed)
  const { state } = followed.stream
  assert.ok(state.status === 'waiting' && state.untilMs !== undefined)
  assert.ok(state.untilMs >= beforeMs + 120_000)
})

test('a page instead of a stream, as of a hotel, is waited for', async () => {
  await using server = await startAnswering(
    plain(200, { 'content-type': 'text/html' }, '<h1>Welcome'),
    stream(event(1)),
  )
  using followed = follow(server.url, { topics: ['a'] })
  assert.equal(await why(followed), 'waiting malformed')
  await followed.until(({ events }) => events.length === 1)
})

test('blocks that hold no envelope, and gaps that say nothing, end the connection before anything after them counts', async () => {
  const broken: SseBlock[] = [
    { data: 'no json' },
    { data: '{}' },
    { data: '{"id":"x","topic":"a","type":"t","time":"","data":""}' },
    { data: JSON.stringify({ id: `${A}-9`, topic: 'a', type: 't', time: '', dataBase64: '*' }) },
    { type: 'hydrant:gap', data: '{"from":"","to":"x","reason":"epoch","certain":true}' },
    { type: 'hydrant:gap', data: 'null' },
  ]
  const answers = broken.map((block) => stream(block, event(7)))
  await using server = await startAnswering(...answers, stream(event(1)))
  using followed = follow(server.url, { topics: ['a'] })
  await followed.until(({ events }) => events.length > 0)
  assert.deepEqual(followed.data, ['1'])
  const codes = followed.states.flatMap((state) => (state.status === 'waiting' ? [state.why.code] : []))
  assert.deepEqual(codes, Array<string>(broken.length).fill('malformed'))
})

test('events and words of ours that a newer server may have are passed over, their ids kept', async () => {
  const newer: SseBlock = { type: 'hydrant:live', data: '{"of":"tomorrow"}', id: `${A}-5` }
  await using server = await startAnswering(stream(event(1), newer))
  using followed = follow(server.url, { topics: ['a'] })
  await followed.until(({ stream: { lastEventId } }) => lastEventId === newer.id)
  assert.deepEqual(followed.data, ['1'])
})

test('a farewell ends the connection and names the id to come back with; what follows it does not count', async () => {
  const asked: (string | null)[] = []
  const note: Answer = (_response, { url = '' }) =>
    void asked.push(new URL(url, 'http://x').searchParams.get('lastEventId'))
  await using server = await startAnswering(stream(event(1), { ...FAREWELL, id: `${A}-4`, retryMs: 1 }, event(5)), note)
  using followed = follow(server.url, { topics: ['a'] })
  assert.equal(await why(followed), 'waiting farewell')
  await followed.until(() => asked.length === 1, 'the next connection')
  assert.deepEqual(followed.data, ['1'])
  assert.deepEqual(asked, [`${A}-4`])
})

test('a refusal for now does not move a stream that was to start in the past: it would lose that past', async () => {
  await using server = await startServer({ limits: { connectionsMax: 1, retryMs: 1 } })
  await server.hub.publish({ topic: 'a', data: 'the past' })
  const url = `${server.url}/events`
  using first = follow(url, { topics: ['a'] })
  await first.opened()
  using second = follow(url, { topics: ['a'], earliest: true })
  assert.equal(await why(second), 'waiting farewell')
  assert.equal(second.timesOpen, 0)
  first.stream.close()
  await second.until(({ events }) => events.length === 1)
  assert.deepEqual(second.data, ['the past'])
})

test('a refusal for now keeps the place of a stream that was to start now', async () => {
  await using server = await startServer({ limits: { connectionsMax: 1, retryMs: 1 } })
  const url = `${server.url}/events`
  using first = follow(url, { topics: ['a'] })
  await first.opened()
  using second = follow(url, { topics: ['a'] })
  assert.equal(await why(second), 'waiting farewell')
  await server.hub.publish({ topic: 'a', data: 'while it was refused' })
  first.stream.close()
  await second.until(({ events }) => events.length === 1)
  assert.deepEqual(second.data, ['while it was refused'])
})

test('a WebSocket that does not speak our subprotocol is waited for, and nothing that it says is taken for an event', async () => {
  await using server = await startCuttable()
  // A server without the subprotocol answers the handshake without naming one.
  class Unspoken extends WebSocket {
    constructor(url: string | URL, _protocols?: string | string[]) {
      super(url)
    }
  }
  using followed = follow(`${server.url}/a`, { topics: ['a'], transport: 'websocket', WebSocket: Unspoken })
  assert.equal(await why(followed), 'waiting malformed')
  await server.hub.publish({ topic: 'a', data: '{"topic":"a"}' })
  assert.deepEqual(followed.data, [])
})

test('a quiet WebSocket shows that it is alive when it is asked, and stays open', async () => {
  await using server = await startCuttable()
  const sent: unknown[] = []
  const answers: string[] = []
  class Watched extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols)
      this.addEventListener('message', ({ data }: MessageEvent<string>) => void answers.push(data))
    }
    override send(message: string): void {
      sent.push(JSON.parse(message))
      super.send(message)
    }
  }
  const clock = new VirtualClock()
  using followed = follow(server.url, { topics: ['a'], transport: 'websocket', WebSocket: Watched, clock })
  await followed.opened()
  for (let asked = 1; asked <= 2; asked += 1) {
    await clock.advance(30_000)
    await followed.until(() => answers.at(-1) === `{"pong":${asked}}`, 'an answer')
  }
  assert.deepEqual(sent.slice(1), [{ ping: 1 }, { ping: 2 }])
  assert.deepEqual(followed.statuses, ['open'])
})
