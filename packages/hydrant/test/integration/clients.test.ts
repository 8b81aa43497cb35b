// Clients that were not written here follow a topic, those that come back over cuts of their connection, each in the
// middle of something; each must end with every event once, in order.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SseParser } from 'hydrant-client/wire'
import { EventSource } from 'eventsource'
import { WebSocket } from 'ws'
import type { Hub } from '../../src/index.ts'
import { CuttingRelay } from '../support/cutting-relay.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'

const PYTHON = fileURLToPath(new URL('../../../../.cache/python/bin/python', import.meta.url))
const SUPPORT = fileURLToPath(new URL('../support/', import.meta.url))
const EVENTS = 300
const WANTED = [...Array.from({ length: EVENTS }, (_, at) => `${at} ${'é'.repeat(at % 40)}`), 'end']
/** After so many bytes of each connection: within the first blocks, and later. */
const CUTS = [333, 1_000, 2_345, 4_999, 777]
/** Within the head: some clients then wait for seconds, since nobody has told them otherwise yet. */
const CUTS_OF_PATIENT = [20, 100, ...CUTS]

/** Publishes while the followers follow: some before they come, some in bursts, the rest one by one. */
async function publishAll(hub: Hub): Promise<void> {
  for (const [at, data] of WANTED.entries()) {
    await hub.publish({ topic: 'a', data })
    if (at % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

test('curl -N prints a stream as it comes', async () => {
  await using server = await startServer()
  const data: string[] = []
  const parser = new SseParser({ message: (message) => void (message.type === 'message' && data.push(message.data)) })
  await using curl = new Follower('curl', ['-sSN', `${server.url}/events/a?earliest`], (text) => parser.feed(text))
  await publishAll(server.hub)
  await until(() => data.length === WANTED.length, 'all events')
  assert.deepEqual(data, WANTED)
  await server.hub.close()
  assert.equal(await curl.exit(), 0, 'the farewell is an orderly end')
})

test('curl -N prints a line per event', async () => {
  await using server = await startServer()
  const args = ['-sSN', '-H', 'accept: application/x-ndjson', `${server.url}/events/a?earliest`]
  await using curl = new Follower('curl', args)
  await publishAll(server.hub)
  await curl.until(() => curl.lines.some((line) => line.includes('"data":"end"')))
  const events = curl.lines
    .filter((line) => line.startsWith('{"id"'))
    .map((line) => JSON.parse(line) as { data: string })
  assert.deepEqual(
    events.map(({ data }) => data),
    WANTED,
  )
  await server.hub.close()
  assert.equal(await curl.exit(), 0)
})

test('curl -d publishes', async () => {
  await using server = await startServer()
  await using curl = new Follower('curl', ['-sS', '-d', 'hello', `${server.url}/events/news`])
  assert.equal(await curl.exit(), 0)
  assert.deepEqual(curl.lines, [JSON.stringify({ id: server.hub.idAt(1) })])
})

test('eventsource from npm misses nothing and sees nothing twice', async () => {
  await using server = await startServer({ limits: { retryMs: 10 } })
  await using relay = await CuttingRelay.start(server.port, CUTS)
  const source = new EventSource(`http://127.0.0.1:${relay.port}/events/a?earliest`)
  const data: string[] = []
  source.addEventListener('message', (event) => data.push(String(event.data)))
  try {
    await publishAll(server.hub)
    await until(() => data.at(-1) === 'end', 'the end', 30_000)
  } finally {
    source.close()
  }
  assert.deepEqual(data, WANTED)
  assert.equal(relay.cuts, CUTS.length)
})

test('eventsource from npm comes back from farewells until there is room for it', async () => {
  await using server = await startServer({ limits: { retryMs: 10, connectionsMax: 1 } })
  const first = await StreamClient.open(server.url, '/events/a')
  await first.until(({ messages }) => messages.length === 1)
  const source = new EventSource(`${server.url}/events/a`)
  const data: string[] = []
  let farewells = 0
  source.addEventListener('message', (event) => data.push(String(event.data)))
  source.addEventListener('hydrant:bye', () => (farewells += 1))
  try {
    await until(() => farewells === 3, 'farewells')
    await server.hub.publish({ topic: 'a', data: 'meanwhile' })
    first[Symbol.dispose]()
    await until(() => data.length === 1, 'what was published since its first farewell')
  } finally {
    source.close()
  }
  assert.deepEqual(data, ['meanwhile'])
})

test('ws from npm, resuming with its last id, misses nothing and sees nothing twice', async () => {
  await using server = await startServer()
  await using relay = await CuttingRelay.start(server.port, CUTS_OF_PATIENT)
  const data: string[] = []
  let start: object = { earliest: true }
  const publishing = publishAll(server.hub)
  while (data.at(-1) !== 'end') {
    const socket = new WebSocket(`ws://127.0.0.1:${relay.port}/events`, 'hydrant.v1')
    socket.on('open', () => socket.send(JSON.stringify({ subscribe: { sub: 1, topics: ['a'], ...start } })))
    socket.on('message', (text: Buffer) => {
      const message = JSON.parse(text.toString()) as Record<string, unknown>
      if (!('topic' in message)) return
      data.push(String(message['data']))
      start = { lastEventId: message['id'] }
      if (data.at(-1) === 'end') socket.close()
    })
    socket.on('error', () => {}) // a cut: it closes, and the next one resumes
    await new Promise((resolve) => socket.on('close', resolve))
  }
  await publishing
  assert.deepEqual(data, WANTED)
  assert.equal(relay.cuts, CUTS_OF_PATIENT.length)
})

for (const [words, script, cuts, args] of [
  ['sseclient-py', 'follow_sse.py', CUTS_OF_PATIENT, (port: number) => [`http://127.0.0.1:${port}/events/a?earliest`]],
  ['websockets from PyPI', 'follow_websocket.py', CUTS, (port: number) => [`ws://127.0.0.1:${port}/events`, 'a']],
] as const) {
  test(`${words}, coming back with its last id, misses nothing and sees nothing twice`, async () => {
    await using server = await startServer()
    await using relay = await CuttingRelay.start(server.port, cuts)
    await using client = new Follower(PYTHON, [`${SUPPORT}${script}`, ...args(relay.port)])
    await publishAll(server.hub)
    assert.equal(await client.exit(), 0, client.errors)
    assert.deepEqual(client.lines, WANTED)
    assert.equal(relay.cuts, cuts.length)
  })
}

/** A process that prints what it follows. */
class Follower implements AsyncDisposable {
  errors = ''
  #text = ''
  readonly #child
  readonly #exited: Promise<number | null>

  constructor(command: string, args: readonly string[], onText: (text: string) => void = () => {}) {
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#text += text
      onText(text)
    })
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.errors += text))
    this.#exited = new Promise((resolve) => this.#child.on('close', resolve))
  }

  /** Whole lines that it printed. */
  get lines(): readonly string[] {
    return this.#text
      .slice(0, this.#text.lastIndexOf('\n') + 1)
      .split('\n')
      .slice(0, -1)
  }

  async until(isSo: () => boolean): Promise<void> {
    await until(isSo, () => `more than ${JSON.stringify(this.#text.slice(-300))} and ${this.errors}`)
  }

  exit(): Promise<number | null> {
    return this.#exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}
