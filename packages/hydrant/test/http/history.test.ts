// History: pages of JSON, and where a stream starts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { History, ReadRequest } from '../../src/engine/engine.ts'
import { MemoryEngine, type HubOptions } from '../../src/index.ts'
import { ask, type Said } from '../support/ask.ts'
import { SteppedClock } from '../support/stepped-clock.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer, type TestServer } from '../support/test-server.ts'

const EPOCH = '0123456789ab'
const PAGE = { accept: 'application/json' }

interface Page {
  readonly events: readonly { readonly id: string; readonly topic: string; readonly data?: string }[]
  readonly id: string
  readonly more: boolean
  readonly gap?: { readonly from: string; readonly to: string; readonly reason: string; readonly certain: boolean }
}

function start(options: HubOptions = {}): Promise<TestServer> {
  const { limits = {}, clock } = options
  const nowMs = clock === undefined ? Date.now : () => clock.nowMs()
  return startServer({ engine: new MemoryEngine({ epoch: EPOCH, limits, nowMs }), ...options })
}

/** Events 1 … n: odd ones to `odd`, even ones to `even`. */
async function fill(server: TestServer, count: number): Promise<void> {
  for (let at = 1; at <= count; at += 1)
    await server.hub.publish({ topic: at % 2 === 0 ? 'even' : 'odd', data: String(at) })
}

async function page(server: TestServer, path: string): Promise<Page> {
  const said = await ask(server.url, 'GET', path, { headers: PAGE })
  assert.equal(said.status, 200, said.text)
  return pageOf(said)
}

function pageOf({ text }: Said): Page {
  return JSON.parse(text) as Page
}

function dataOf({ events }: Page): readonly (string | undefined)[] {
  return events.map(({ data }) => data)
}

test('a page has the oldest events first, the id to go on with, and whether there is more', async () => {
  await using server = await start()
  await fill(server, 5)
  const first = await page(server, '/events/odd?limit=2')
  assert.deepEqual([dataOf(first), first.id, first.more, first.gap], [['1', '3'], `${EPOCH}-4`, true, undefined])
  const last = await page(server, `/events/odd?limit=2&lastEventId=${first.id}`)
  assert.deepEqual([dataOf(last), last.id, last.more], [['5'], `${EPOCH}-5`, false])
})

test('an answer is JSON that nobody stores', async () => {
  await using server = await start()
  const { headers } = await ask(server.url, 'GET', '/events/a', { headers: PAGE })
  assert.equal(headers['content-type'], 'application/json')
  assert.equal(headers['cache-control'], 'no-store')
})

test('a page without an event says where the log ends', async () => {
  await using server = await start()
  assert.deepEqual(await page(server, '/events/a'), { events: [], id: `${EPOCH}-0`, more: false })
  await fill(server, 3)
  assert.deepEqual(await page(server, '/events/none'), { events: [], id: `${EPOCH}-3`, more: false })
})

test('envelopes on a page are whole', async () => {
  await using server = await start()
  await server.hub.publish({ topic: 'a', type: 't', key: 'k', data: 'x\r\n' })
  const { events } = await page(server, '/events/a')
  const { time, ...rest } = events[0] as Record<string, unknown>
  assert.deepEqual(rest, { id: `${EPOCH}-1`, topic: 'a', type: 't', key: 'k', data: 'x\r\n' })
  assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000)
})

test('a page has 100 events when no limit is given', async () => {
  await using server = await start()
  await fill(server, 101)
  const first = await page(server, '/events?topic=**')
  assert.deepEqual([first.events.length, first.more], [100, true])
})

for (const query of [
  '/events/odd',
  '/events/even',
  '/events?topic=odd&topic=even',
  '/events?topic=**',
  '/events/odd?type=none',
]) {
  test(`paging through ${query} with any limit yields every event once, in order`, async () => {
    await using server = await start({ limits: { scanEventsMax: 3 } })
    await fill(server, 17)
    const [wanted] = await pages(server, query, 1_000)
    assert.equal(wanted?.more, false)
    for (let limit = 1; limit <= 18; limit += 1) {
      const all = await pages(server, query, limit)
      assert.deepEqual(
        all.flatMap(({ events }) => events.map(({ id }) => id)),
        wanted?.events.map(({ id }) => id),
      )
      assert.ok(all.every(({ events }) => events.length <= limit))
    }
  })
}

async function pages(server: TestServer, query: string, limit: number): Promise<readonly Page[]> {
  const all: Page[] = []
  const join = query.includes('?') ? '&' : '?'
  for (let path = `${query}${join}limit=${limit}`; ;) {
    const next = await page(server, path)
    all.push(next)
    if (!next.more) return all
    assert.ok(all.length < 50, 'the pages do not end')
    path = `${query}${join}limit=${limit}&lastEventId=${next.id}`
  }
}

test('a page is bounded in bytes too, and says that there is more', async () => {
  await using server = await start({ limits: { batchBytesMax: 10_000 } })
  for (let at = 0; at < 30; at += 1) await server.hub.publish({ topic: 'a', data: 'x'.repeat(1_000) })
  const all = await pages(server, '/events/a', 1_000)
  assert.equal(all.flatMap(({ events }) => events).length, 30)
  assert.ok(all.every(({ events }) => events.length <= 11))
})

// ── gaps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A log whose oldest events are trimmed: `quiet` lost nothing, `old` lost all of its own, `loud` most. */
async function startTrimmed(): Promise<TestServer> {
  const server = await start({ limits: { windowBytes: 65_536 } })
  await server.hub.publish({ topic: 'old', data: '1' })
  for (let at = 0; at < 200; at += 1) await server.hub.publish({ topic: 'loud', data: 'x'.repeat(1_000) })
  await server.hub.publish({ topic: 'quiet', data: 'here' })
  assert.ok(server.hub.window.floor > 100)
  return server
}

test('a page after an id whose events were trimmed says so, where one of its own is gone', async () => {
  await using server = await startTrimmed()
  const after = `lastEventId=${EPOCH}-0`
  const old = await page(server, `/events/old?${after}`)
  assert.deepEqual(old.gap, { from: `${EPOCH}-0`, to: `${EPOCH}-1`, reason: 'trimmed', certain: true })
  const loud = await page(server, `/events/loud?${after}`)
  assert.deepEqual(loud.gap, {
    from: `${EPOCH}-0`,
    to: server.hub.idAt(server.hub.window.floor),
    reason: 'trimmed',
    certain: true,
  })
  const quiet = await page(server, `/events/quiet?${after}`)
  assert.deepEqual([quiet.gap, dataOf(quiet)], [undefined, ['here']])
})

test('a gap of a page has an id of its own where what is kept stands before the end of what is gone', async () => {
  const engine = new HoleyEngine({ epoch: EPOCH })
  await using server = await start({ engine })
  for (const data of ['1', '2', '3']) await server.hub.publish({ topic: 'a', data })
  const { gap, events, id } = await page(server, `/events/a?lastEventId=${EPOCH}-0`)
  assert.deepEqual(gap, { from: `${EPOCH}-0`, to: `${EPOCH}-2`, id: `${EPOCH}-1`, reason: 'trimmed', certain: false })
  assert.deepEqual([events.map((event) => event.id), id], [[`${EPOCH}-2`, `${EPOCH}-3`], `${EPOCH}-3`])
})

/** Has lost its first event, and knows no better than that the second one may have been among what it lost. */
class HoleyEngine extends MemoryEngine {
  override async read(request: ReadRequest): Promise<History> {
    const history = await super.read(request)
    const gap = { to: 2, certain: false, count: undefined }
    return { ...history, events: history.events.filter(({ offset }) => offset > 1), gap }
  }
}

test('a page that names no id starts with what is kept, and is no gap', async () => {
  await using server = await startTrimmed()
  for (const query of ['', '?earliest', '?since=2000-01-01T00:00:00Z', '?last=500'])
    assert.equal((await page(server, `/events/loud${query}`)).gap, undefined, query)
})

test('a stream resumed after an id whose events were trimmed begins with the gap; one that lost nothing does not', async () => {
  await using server = await startTrimmed()
  const headers = { 'last-event-id': `${EPOCH}-0` }
  using old = await StreamClient.open(server.url, '/events?topic=old&topic=quiet', headers)
  using quiet = await StreamClient.open(server.url, '/events/quiet', headers)
  await old.until(({ data }) => data.length === 1)
  await quiet.until(({ data }) => data.length === 1)
  const gap = JSON.stringify({ from: `${EPOCH}-0`, to: `${EPOCH}-1`, reason: 'trimmed', certain: true })
  assert.ok(old.text.startsWith(`: resumed\n\nevent: hydrant:gap\ndata: ${gap}\nid: ${EPOCH}-1\n\ndata: here\n`))
  assert.ok(quiet.text.startsWith(': resumed\n\ndata: here\n'))
  assert.equal(server.hub.counters.gaps, 1)
})

const STRANGE_IDS: readonly (readonly [words: string, id: string])[] = [
  ['of another epoch', 'ffffffffffff-3'],
  ['that is none of ours', 'yesterday'],
  ['that is a number', '17'],
  ['with quotes and letters', '"é\\'],
  ['that is very long', 'x'.repeat(5_000)],
]

for (const [words, id] of STRANGE_IDS) {
  test(`a Last-Event-ID ${words} is a gap, and the stream goes on from the oldest that is kept`, async () => {
    await using server = await start()
    await fill(server, 2)
    using client = await StreamClient.open(server.url, '/events?topic=**', { 'last-event-id': id })
    await client.until(({ data }) => data.length === 2)
    const told = client.messages[0]
    assert.equal(told?.type, 'hydrant:gap')
    const gap = { from: id.slice(0, 255), to: `${EPOCH}-0`, reason: 'epoch', certain: false }
    assert.deepEqual(JSON.parse(told?.data ?? ''), gap)
    assert.equal(told?.lastEventId, `${EPOCH}-0`)
    await server.hub.publish({ topic: 'a', data: '3' })
    await client.until(({ data }) => data.length === 3)
    assert.deepEqual(client.data, ['1', '2', '3'])
  })
}

test('an id beyond the end of the log is a gap to that end, and what follows is served', async () => {
  await using server = await start()
  await fill(server, 2)
  using client = await StreamClient.open(server.url, '/events?topic=**', { 'last-event-id': `${EPOCH}-9` })
  await client.until(({ messages }) => messages.length === 1)
  await fill(server, 1)
  await client.until(({ data }) => data.length === 1)
  const gap = { from: `${EPOCH}-9`, to: `${EPOCH}-2`, reason: 'epoch', certain: false }
  assert.deepEqual(JSON.parse(client.messages[0]?.data ?? ''), gap)
})

// ── starts ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const STARTS: readonly (readonly [query: string, header: string | undefined, wanted: readonly string[]])[] = [
  ['', undefined, ['new']],
  ['?earliest', undefined, ['1', '2', '3', '4', '5', '6', 'new']],
  ['?earliest=false', undefined, ['new']],
  ['?last=2', undefined, ['5', '6', 'new']],
  ['?last=0', undefined, ['new']],
  ['?last=1000', undefined, ['1', '2', '3', '4', '5', '6', 'new']],
  ['?since=25s', undefined, ['4', '5', '6', 'new']],
  ['?since=20000ms', undefined, ['4', '5', '6', 'new']],
  ['?since=19s', undefined, ['5', '6', 'new']],
  ['?since=1d', undefined, ['1', '2', '3', '4', '5', '6', 'new']],
  ['?since=0s', undefined, ['6', 'new']],
  ['?since=2026-01-01T00:00:30Z', undefined, ['4', '5', '6', 'new']],
  ['?since=2026-01-01T01:00:30.001%2B01:00', undefined, ['5', '6', 'new']],
  ['?since=2030-01-01T00:00:00Z', undefined, ['new']],
  [`?lastEventId=${EPOCH}-4`, undefined, ['5', '6', 'new']],
  [`?lastEventId=${EPOCH}-6`, undefined, ['new']],
  [`?lastEventId=${EPOCH}-4`, `${EPOCH}-5`, ['6', 'new']],
  [`?lastEventId=${EPOCH}-4`, '', ['5', '6', 'new']],
  ['?last=6', `${EPOCH}-5`, ['6', 'new']],
  [`?last=6&lastEventId=${EPOCH}-5`, undefined, ['6', 'new']],
]

for (const [query, header, wanted] of STARTS) {
  const words = `/events/a${query}${header === undefined ? '' : ` with Last-Event-ID "${header}"`}`
  test(`${words} starts with ${wanted.join(' ')}`, async () => {
    const clock = new SteppedClock()
    await using server = await start({ clock })
    for (let at = 1; at <= 6; at += 1) {
      await server.hub.publish({ topic: 'a', data: String(at) })
      await server.hub.publish({ topic: 'b', data: 'another' })
      if (at < 6) clock.advance(10_000)
    }
    // An event of another topic stands between any two: the ids of these are twice as high.
    const twice = (text: string): string => text.replace(/ab-(\d)/, (_, offset) => `ab-${Number(offset) * 2 - 1}`)
    const headers = header === undefined ? {} : { 'last-event-id': twice(header) }
    using client = await StreamClient.open(server.url, `/events/a${twice(query)}`, headers)
    await client.until(({ text }) => text.includes('\n\n'))
    await server.hub.publish({ topic: 'a', data: 'new' })
    await client.until(({ data }) => data.at(-1) === 'new')
    assert.deepEqual(client.data, wanted)
    assert.equal(client.messages[0]?.type === 'hydrant:open', header === undefined && !query.includes('lastEventId'))
  })
}

// ── NDJSON ───────────────────────────────────────────────────────────────────────────────────────────────────────────

test('an NDJSON stream is a line per event, its start and its end told as lines', async () => {
  await using server = await start()
  using client = await StreamClient.open(server.url, '/events/a', { accept: 'application/x-ndjson' })
  assert.equal(client.headers['content-type'], 'application/x-ndjson')
  await server.hub.publish({ topic: 'a', data: 'x\ny' })
  await server.hub.publish({ topic: 'a', data: Uint8Array.of(255) })
  await client.until(({ lines }) => lines.length === 3)
  await server.hub.close()
  await client.closed()
  const [open, first, second, bye] = client.lines
  assert.deepEqual(open, { open: `${EPOCH}-0` })
  assert.deepEqual([first?.['id'], first?.['data']], [`${EPOCH}-1`, 'x\ny'])
  assert.deepEqual([second?.['id'], second?.['dataBase64']], [`${EPOCH}-2`, '/w=='])
  assert.match(JSON.stringify(bye), /^\{"bye":\{"id":"0123456789ab-2","retryMs":\d+\}\}$/)
  assert.equal(client.lines.length, 4)
})

test('an NDJSON stream tells of gaps, fresher ids and life in lines of its own', async () => {
  const clock = new SteppedClock()
  await using server = await start({ clock, limits: { heartbeatMs: 1_000 } })
  const headers = { accept: 'application/x-ndjson', 'last-event-id': 'ffffffffffff-1' }
  using client = await StreamClient.open(server.url, '/events/a', headers)
  await client.until(({ lines }) => lines.length === 1)
  assert.deepEqual(client.lines, [
    { gap: { from: 'ffffffffffff-1', to: `${EPOCH}-0`, reason: 'epoch', certain: false } },
  ])
  clock.advance(1_000)
  await client.until(({ text }) => text.endsWith('}\n\n'))
  await server.hub.publish({ topic: 'b', data: 'of no interest' })
  clock.advance(1_000)
  await client.until(({ lines }) => lines.length === 2)
  assert.deepEqual(client.lines[1], { position: `${EPOCH}-1` })
})
