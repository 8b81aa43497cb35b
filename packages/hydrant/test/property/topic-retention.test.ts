// Retention by topic against naive arrays: of each selected event that is retained every client gets one, whatever of
// other topics is gone before and after it, and what is gone is declared; over cuts and changes of transport.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parseId, type Gap } from 'hydrant-client/wire'
import { createHub, FileEngine, type MountedHub } from '../../src/index.ts'
import type { StartRequest } from '../../src/hub/start.ts'
import { Connections } from '../../src/transport/connections.ts'
import { StreamFormats, type StreamKind } from '../../src/transport/sse.ts'
import { envelopeMessages } from '../../src/transport/websocket-format.ts'
import { FileLog } from '../fault/file-log.ts'
import { TempFolder } from '../fault/temp-folder.ts'
import { FakeConnection } from '../support/fake-connection.ts'
import { isWanted, type Wanted } from '../support/published-log.ts'
import { decodeReceived } from '../support/received.ts'
import { until } from '../support/until.ts'

interface Draft {
  readonly topic: string
  readonly type: string
}

/** What a client was told that moves it: an event or a gap, and the id that it may come back with. */
interface Told {
  readonly id: string
  readonly event?: number
  readonly gap?: Gap
}

type Way = StreamKind | 'websocket' | 'in-process'

const draft: fc.Arbitrary<Draft> = fc.record({
  topic: fc.constantFrom('brief', 'brief', 'long', 'long', 'mid', 'kept'),
  type: fc.constantFrom('message', 'x'),
})

const wanted: fc.Arbitrary<Wanted> = fc.record({
  topics: fc.constantFrom(['brief', 'kept'], ['brief', 'mid', 'long'], ['**'], ['kept', 'long'], ['brief']),
  types: fc.constantFrom(undefined, undefined, ['x']),
})

const client = fc.record({
  wanted,
  from: fc.oneof(fc.nat({ max: 60 }), fc.constantFrom('earliest' as const, 'last' as const)),
  /** Of each connection: what it is, and how much of it arrives. */
  connections: fc.array(
    fc.record({
      way: fc.constantFrom<Way>('sse', 'sse-envelope', 'ndjson', 'websocket', 'in-process'),
      arriving: fc.integer({ min: 1, max: 4 }),
    }),
    { minLength: 1, maxLength: 8 },
  ),
})

const scene = fc.record({
  drafts: fc.array(draft, { minLength: 30, maxLength: 60, size: 'max' }),
  briefMax: fc.integer({ min: 1, max: 3 }),
  midMax: fc.integer({ min: 2, max: 6 }),
  clients: fc.array(client, { minLength: 2, maxLength: 5 }),
})

/** So large that a slice of history has only a few. */
const EVENT_BYTES = 3_000
const LIMITS = { flushBytesMax: 10_000 }

test('what is retained of a selection comes once and in order, and what is gone is declared, over every transport', async () => {
  const seen = { events: 0, gaps: 0, early: 0 }
  await fc.assert(
    fc.asyncProperty(scene, async ({ drafts, briefMax, midMax, clients }) => {
      using folder = new TempFolder()
      const rules = [
        { topics: 'brief', eventsMax: briefMax },
        { topics: 'mid', eventsMax: midMax },
      ]
      const open = (): MountedHub => {
        const engine = new FileEngine({ folder: folder.path, limits: LIMITS, retention: { rules } })
        return createHub({ engine, limits: LIMITS })
      }
      const writer = open()
      for (let at = 0; at < drafts.length; at += 8)
        await writer.publishBatch(drafts.slice(at, at + 8).map((one) => ({ ...one, data: 'x'.repeat(EVENT_BYTES) })))
      await writer.close()
      const hub = open() // its window is empty: everything is read from the log
      await hub.ready
      const kept = [briefMax, midMax].flatMap((count, at) => newest(drafts, ['brief', 'mid'][at] ?? '', count))
      const isKept = (offset: number): boolean =>
        ['long', 'kept'].includes(drafts[offset - 1]?.topic ?? '') || kept.includes(offset)
      for (const one of clients) {
        const told = await follow(hub, one.wanted, startOf(hub, one.from), one.connections)
        judge(told, drafts, isKept, one.wanted, one.from)
        seen.events += told.filter(({ event }) => event !== undefined).length
        seen.gaps += told.filter(({ gap }) => gap !== undefined).length
        seen.early += told.filter(({ gap }) => gap?.id !== undefined).length
      }
      await hub.close()
    }),
    { numRuns: 12, seed: 6_000 },
  )
  assert.ok(seen.events > 300 && seen.gaps > 40 && seen.early > 30, `too tame: ${JSON.stringify(seen)}`)
})

function newest(drafts: readonly Draft[], topic: string, count: number): readonly number[] {
  return drafts.flatMap((one, at) => (one.topic === topic ? [at + 1] : [])).slice(-count)
}

function startOf(hub: MountedHub, from: number | 'earliest' | 'last'): StartRequest {
  if (from === 'earliest') return { earliest: true }
  return from === 'last' ? { last: 1_000 } : { lastEventId: hub.idAt(Math.min(from, hub.window.head)) }
}

/** Follows to the head, by one connection after the other; the last one is not cut. */
async function follow(
  hub: MountedHub,
  want: Wanted,
  start: StartRequest,
  connections: readonly { readonly way: Way; readonly arriving: number }[],
): Promise<readonly Told[]> {
  const all: Told[] = []
  let request = start
  for (const [at, { way, arriving }] of connections.entries()) {
    const told = way === 'in-process' ? await iterate(hub, want, request) : await connect(hub, way, want, request)
    const arrived = at === connections.length - 1 ? told : told.slice(0, arriving)
    all.push(...arrived)
    const last = arrived.at(-1)
    if (last !== undefined) request = { lastEventId: last.id }
  }
  return all
}

async function connect(
  hub: MountedHub,
  way: Exclude<Way, 'in-process'>,
  want: Wanted,
  request: StartRequest,
): Promise<Told[]> {
  const connections = new Connections(hub)
  const arrived: Uint8Array[] = []
  const connection = new FakeConnection(connections, { onArrive: (bytes) => void arrived.push(bytes) })
  connections.add(connection)
  const selection = hub.select(want.topics, want.types)
  const start = await hub.start(request, selection)
  const format = way === 'websocket' ? envelopeMessages : new StreamFormats('').get(way, 'chunked')
  const subscriber = connections.pump.subscribe({ connection, selection, format, start, lag: 'disconnect', label: 0 })
  await until(() => subscriber.state === 'live' || connection.isClosed, 'the head')
  assert.equal(connection.ended, undefined)
  connection.cut(1)
  connections.pump.close()
  return decodeReceived(way, Buffer.concat(arrived)).flatMap((one): Told[] => {
    const id = `${one.epoch}-${one.offset}`
    if (one.kind === 'gap') return [{ id, gap: one.gap }]
    return one.kind === 'event' && one.offset !== undefined ? [{ id, event: one.offset }] : []
  })
}

/** Takes as many as are there: who waits for more would wait for ever. */
async function iterate(hub: MountedHub, want: Wanted, request: StartRequest): Promise<Told[]> {
  const told: Told[] = []
  await using subscription = hub.subscribe(want.topics, { types: want.types ?? [], ...request, state: undefined })
  for (let left = await countOf(hub, want, request); left > 0;) {
    const { value } = await subscription.next()
    assert.ok(value !== undefined)
    if (value.gap !== undefined) told.push({ id: value.id, gap: value.gap })
    else told.push({ id: value.id, event: offsetOf(value.id) })
    if (value.gap === undefined) left -= 1
  }
  return told
}

/** How many retained events are selected after the start. */
async function countOf(hub: MountedHub, want: Wanted, { lastEventId }: StartRequest): Promise<number> {
  const selection = hub.select(want.topics, want.types)
  let after = lastEventId === undefined ? 0 : offsetOf(lastEventId)
  let count = 0
  while (after < hub.window.head) {
    const { events, to } = await hub.engine.read({ after, selection, eventsMax: 1_000, bytesMax: 10_000_000 })
    count += events.length
    after = to
  }
  return count
}

function judge(
  told: readonly Told[],
  drafts: readonly Draft[],
  isKept: (offset: number) => boolean,
  want: Wanted,
  from: number | 'earliest' | 'last',
): void {
  const after = typeof from === 'number' ? Math.min(from, drafts.length) : 0
  const selected = drafts.flatMap((one, at) => (at + 1 > after && isWanted(want, one) ? [at + 1] : []))
  const context = JSON.stringify({ told, want, from, selected, kept: selected.filter(isKept) })
  assert.deepEqual(
    told.flatMap(({ event }) => event ?? []),
    selected.filter(isKept),
    context,
  )
  const gaps = told.flatMap(({ gap }) => gap ?? [])
  const gone = selected.filter((offset) => !isKept(offset))
  for (const { from: begin, to, certain } of gaps) {
    assert.ok(certain)
    assert.ok(gone.includes(offsetOf(to)) && offsetOf(to) > offsetOf(begin), context)
  }
  if (typeof from !== 'number') return
  const isDeclared = (offset: number): boolean =>
    gaps.some((gap) => offset > offsetOf(gap.from) && offset <= offsetOf(gap.to))
  const lastKept = selected.findLast(isKept) ?? 0
  // In-process nobody waits for a gap behind the last event.
  assert.deepEqual(
    gone.filter((offset) => offset < lastKept && !isDeclared(offset)),
    [],
    context,
  )
}

function offsetOf(id: string): number {
  const parsed = parseId(id)
  assert.ok(parsed !== undefined, id)
  return parsed.offset
}

test('a client that is cut right behind a gap, or within what follows it, comes back to the rest', async () => {
  using folder = new TempFolder()
  const retention = { rules: [{ topics: 'brief', eventsMax: 1 }] }
  await using log = await FileLog.open({ folder: folder.path, retention })
  for (const topic of ['brief', 'kept', 'brief', 'kept', 'brief']) await log.texts(topic, topic)
  assert.deepEqual(await log.read(0, 'brief', 'kept'), { data: ['kept', 'kept', 'brief'], gaps: [3] })
  assert.deepEqual(await log.read(2, 'brief', 'kept'), { data: ['kept', 'brief'], gaps: [3] })
  assert.deepEqual(await log.read(3, 'brief', 'kept'), { data: ['kept', 'brief'], gaps: [] })
})
