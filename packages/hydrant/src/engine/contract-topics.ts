// The part of the contract (contract.ts) that is about topics and keys: ends, writers' conditions, state.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONTROL_TYPES } from 'hydrant-client/wire'
import { HydrantError } from '../hub/errors.ts'
import type { CheckedEvent } from '../hub/event.ts'
import { Selection } from '../hub/selection.ts'
import { ALL, eventOf, idOf, texts } from './contract-events.ts'
import { AMPLE, type OpenLog } from './contract-log.ts'
import type { EngineCapabilities } from './engine.ts'

const KEY = { key: 'a key', fingerprint: 'a body' } as const

/** Registers the tests of topics; `open` answers a new log of its own for each. */
export function testTopics(open: () => Promise<OpenLog>, { atomicBatch }: EngineCapabilities): void {
  testEnds(open)
  testIfLast(open)
  if (atomicBatch) testBatches(open)
  testState(open)
}

// ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

function testEnds(open: () => Promise<OpenLog>): void {
  test('a topic goes on until its end is stored, and from then on knows where it ended', async () => {
    await using log = await open()
    await log.append(texts('a', 2))
    assert.equal(log.engine.endOf('a'), undefined)
    await log.append([endOf('a')])
    await log.until((events) => events.length === 3)
    assert.equal(log.engine.endOf('a'), log.events[2]?.offset)
    assert.equal(log.engine.endOf('b'), undefined)
  })

  test('when the tail tells of an end, the engine knows it already', async () => {
    await using log = await open()
    await log.append([...texts('a', 1), endOf('a')])
    await log.until((events) => events.length === 2)
    assert.equal(log.engine.endOf('a'), log.events[1]?.offset)
  })

  test('nothing of an ended topic is stored', async () => {
    await using log = await open()
    await log.append([endOf('a')])
    await assert.rejects(async () => log.append(texts('a', 1)), isError('topic-ended'))
    await assert.rejects(async () => log.append([endOf('a')]), isError('topic-ended'))
    await log.append(texts('c', 1))
    await log.until((events) => events.at(-1)?.topic === 'c')
    assert.equal(log.events.length, 2)
  })

  test('a retry of the request that ended a topic answers its first ids', async () => {
    await using log = await open()
    const ids = await log.engine.append([endOf('a')], KEY)
    assert.deepEqual(await log.engine.append([endOf('a')], KEY), ids)
  })

  test('of an end and an event that come at once, whichever is second is refused', async () => {
    await using log = await open()
    const race = await Promise.allSettled([log.append([endOf('a')]), log.append(texts('a', 1))])
    assert.deepEqual(
      race.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    )
  })
}

// ── conditions ───────────────────────────────────────────────────────────────────────────────────────────────────────

function testIfLast(open: () => Promise<OpenLog>): void {
  test('a batch on the condition of a newest event is stored only while that is the newest', async () => {
    await using log = await open()
    const [first = ''] = await log.engine.append(texts('a', 1), undefined, 'none')
    await log.append(texts('b', 1))
    const [second = ''] = await log.engine.append(texts('a', 1), undefined, first)
    for (const ifLast of ['none', first, 'nonsense']) {
      await assert.rejects(async () => log.engine.append(texts('a', 1), undefined, ifLast), isError('last-conflict'))
    }
    await log.engine.append(texts('a', 1), undefined, second)
    await log.until((events) => events.length === 4)
  })

  test('of writers that come at once with the same condition, the first wins', async () => {
    await using log = await open()
    const race = await Promise.allSettled(
      Array.from({ length: 5 }, async () => log.engine.append(texts('a', 1), undefined, 'none')),
    )
    assert.deepEqual(
      race.map(({ status }) => status),
      ['fulfilled', 'rejected', 'rejected', 'rejected', 'rejected'],
    )
  })

  test('a known idempotency key comes before the condition', async () => {
    await using log = await open()
    const ids = await log.engine.append(texts('a', 1), KEY, 'none')
    assert.deepEqual(await log.engine.append(texts('a', 1), KEY, 'none'), ids)
  })
}

// ── batches ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function testBatches(open: () => Promise<OpenLog>): void {
  test('nothing is stored of a batch that has an event of an ended topic', async () => {
    await using log = await open()
    await log.append([endOf('a')])
    await assert.rejects(async () => log.append([...texts('b', 1), ...texts('a', 1)]), isError('topic-ended'))
    await assert.rejects(async () => log.append([endOf('a')]), isError('topic-ended'))
    await log.append(texts('c', 1))
    await log.until((events) => events.at(-1)?.topic === 'c')
    assert.equal(log.events.length, 2)
  })

  test('a condition is about one topic', async () => {
    await using log = await open()
    await assert.rejects(
      async () => log.engine.append([...texts('a', 1), ...texts('b', 1)], undefined, 'none'),
      isError('malformed-event'),
    )
  })
}

// ── state ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function testState(open: () => Promise<OpenLog>): void {
  test('the state is the newest event of each topic and key, in log order', async () => {
    await using log = await open()
    await log.append([keyed('a', 'x', '1'), keyed('a', 'y', '2'), keyed('b', 'x', '3'), keyed('a', 'x', '4')])
    await log.append([...texts('c', 3), keyed('a', 'y', ''), keyed('b', 'z', '5')])
    assert.deepEqual(await stateOf(log, ALL), ['3', '4', 'c 2', '5'])
    assert.deepEqual(await stateOf(log, Selection.of(['a', 'c'], undefined, 100)), ['4', 'c 2'])
    assert.deepEqual(await stateOf(log, Selection.of(['none'], undefined, 100)), [])
  })

  test('among some types only they count: an event of another type neither supersedes nor deletes', async () => {
    await using log = await open()
    const batch = [keyed('a', 'x', '1'), keyed('a', 'y', '2'), eventOf('a', '3')]
    await log.append(batch.map((event) => ({ ...event, type: 'tick' })))
    await log.append([keyed('a', 'x', '4'), keyed('a', 'y', ''), eventOf('a', '5')])
    await log.until((events) => events.length === 6)
    assert.deepEqual(await stateOf(log, Selection.of(['a'], ['tick'], 100)), ['1', '2', '3'])
    assert.deepEqual(await stateOf(log, Selection.of(['**'], ['tick'], 100)), ['1', '2', '3'])
    assert.deepEqual(await stateOf(log, Selection.of(['a'], ['tick', 'message'], 100)), ['4', '5'])
    for (const topics of [['a'], ['**']]) {
      const selection = Selection.of(topics, ['tick'], 100)
      const { events, gap } = await log.engine.read({ after: 0, selection, ...AMPLE, latest: true })
      assert.equal(gap, undefined)
      assert.deepEqual(
        events.map(({ data }) => String(data)),
        ['1', '2', '3'],
      )
    }
  })

  test('the state as of an offset does not know what came later', async () => {
    await using log = await open()
    await log.append([keyed('a', 'x', '1'), keyed('a', 'y', '2')])
    await log.until((events) => events.length === 2)
    const { head } = log.engine.bounds()
    await log.append([keyed('a', 'x', '3'), keyed('a', 'y', ''), keyed('a', 'z', '4')])
    await log.until((events) => events.length === 5)
    assert.deepEqual(await stateOf(log, ALL, head), ['1', '2'])
    assert.deepEqual(await stateOf(log, ALL), ['3', '4'])
  })

  test('read in small parts the state is the same', async () => {
    await using log = await open()
    await log.append(Array.from({ length: 40 }, (_, at) => keyed('a', `k${at % 15}`, String(at))))
    await log.until((events) => events.length === 40)
    const { head } = log.engine.bounds()
    const parts: string[] = []
    for (let after = 0; after < head;) {
      const request = { after, to: head, selection: ALL, eventsMax: 4, bytesMax: 1_000_000 }
      const { events, to } = await log.engine.state(request)
      assert.ok(to > after && to <= head && events.length <= 4)
      parts.push(...events.map(({ data }) => String(data)))
      after = to
    }
    assert.deepEqual(
      parts,
      Array.from({ length: 15 }, (_, at) => String(25 + at)),
    )
  })

  test('events of the state have the ids that they were given', async () => {
    await using log = await open()
    const [, second = ''] = await log.append([keyed('a', 'x', '1'), keyed('a', 'x', '2')])
    await log.until((events) => events.length === 2)
    const { events } = await log.engine.state({ after: 0, to: log.engine.bounds().head, selection: ALL, ...AMPLE })
    assert.deepEqual(events.map(idOf), [second])
  })
}

async function stateOf(log: OpenLog, selection: Selection, to?: number): Promise<readonly string[]> {
  const upTo = to ?? log.engine.bounds().head
  const { events } = await log.engine.state({ after: 0, to: upTo, selection, ...AMPLE })
  return events.map(({ data }) => String(data))
}

function keyed(topic: string, key: string, data: string): CheckedEvent {
  return { ...eventOf(topic, data), key }
}

function endOf(topic: string): CheckedEvent {
  return { topic, type: CONTROL_TYPES.end, key: undefined, data: '{}' }
}

function isError(code: HydrantError['code']): (error: unknown) => boolean {
  return (error) => error instanceof HydrantError && error.code === code
}
