// The stream over a transport that the test plays: what it takes for news, when it comes back, and from where.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock, settle } from '../../../hydrant/test/support/virtual-clock.ts'
import { Stream, type StreamParts } from '../../src/stream.ts'
import { FakeSource } from '../support/fake-source.ts'

const A = '00000000000a'
const B = '00000000000b'

interface Played {
  readonly stream: Stream
  readonly source: FakeSource
  readonly clock: VirtualClock
  /** The ids of the events that were delivered, and gaps as from..to. */
  readonly delivered: string[]
}

async function play(parts: Partial<StreamParts> = {}): Promise<Played> {
  const source = new FakeSource()
  const clock = new VirtualClock()
  const delivered: string[] = []
  const stream = new Stream({
    source,
    publisher: { publish: () => Promise.reject(new Error('not here')), close: () => {} },
    clock,
    random: () => 0.5,
    backoff: { baseMs: 1_000, maxMs: 30_000 },
    silenceMs: 45_000,
    queueBytesMax: 1_000_000,
    wanted: { topics: ['a'] },
    signal: undefined,
    handlers: {
      onEvent: ({ id }) => void delivered.push(id),
      onGap: ({ from, to }) => void delivered.push(`${from}..${to}`),
    },
    ...parts,
  })
  await settle()
  return { stream, source, clock, delivered }
}

/** Why a stream waits, if it does. */
function whyOf({ state }: Stream): string | undefined {
  return state.status === 'waiting' ? state.why.code : undefined
}

test('an event that comes again, or out of order, is dropped and counted', async () => {
  const { stream, source, delivered } = await play()
  source.last.listener.opened(`${A}-5`)
  for (const offset of [6, 7, 7, 6, 5, 9]) source.last.bring(`${A}-${offset}`)
  source.last.bring(`${B}-1`)
  source.last.bring(`${B}-1`)
  assert.deepEqual(delivered, [`${A}-6`, `${A}-7`, `${A}-9`, `${B}-1`])
  assert.equal(stream.duplicates, 4)
  stream.close()
})

test('the next connection resumes from the last id, be it of an opening, an event, a gap or a position', async () => {
  const { stream, source, clock, delivered } = await play()
  const reconnect = async (): Promise<string | undefined> => {
    source.last.cut()
    await clock.advance(30_000)
    return source.last.after
  }
  assert.equal(source.last.after, undefined)
  source.last.listener.opened(`${A}-5`)
  assert.equal(await reconnect(), `${A}-5`)
  source.last.bring(`${A}-6`)
  assert.equal(await reconnect(), `${A}-6`)
  source.last.listener.position(`${A}-90`)
  source.last.listener.position(`${A}-80`)
  assert.equal(await reconnect(), `${A}-90`)
  source.last.listener.gap({ from: `${A}-90`, to: `${A}-70`, reason: 'epoch', certain: false })
  assert.equal(await reconnect(), `${A}-70`)
  source.last.bring(`${B}-71`)
  assert.equal(await reconnect(), `${B}-71`)
  assert.deepEqual(delivered, [`${A}-6`, `${A}-90..${A}-70`, `${B}-71`])
  assert.equal(stream.lastEventId, `${B}-71`)
  stream.close()
})

test('a server that ignores the id and starts anew is found out: a gap, never silence', async () => {
  const { stream, source, clock, delivered } = await play({ wanted: { topics: ['a'], lastEventId: `${A}-5` } })
  source.last.listener.opened(`${A}-8`)
  assert.deepEqual(delivered, [`${A}-5..${A}-8`])
  source.last.cut()
  await clock.advance(30_000)
  source.last.listener.opened(`${A}-8`)
  assert.equal(delivered.length, 1)
  stream.close()
})

test('the cursor moves only after the event was handed over; what a handler throws is reported and the stream goes on', async (t) => {
  const seen: (string | undefined)[] = []
  const { stream, source } = await play({
    handlers: {
      onEvent: () => {
        seen.push(stream.lastEventId)
        if (seen.length === 1) throw new Error('a mistake of the program')
      },
    },
  })
  const reported: unknown[] = []
  t.mock.method(globalThis, 'queueMicrotask', (run: () => void) => {
    assert.throws(run, (error) => reported.push(error) > 0)
  })
  source.last.listener.opened(`${A}-5`)
  source.last.bring(`${A}-6`)
  source.last.bring(`${A}-7`)
  assert.deepEqual(seen, [`${A}-5`, `${A}-6`])
  assert.equal(stream.lastEventId, `${A}-7`)
  assert.deepEqual(reported.map(String), ['Error: a mistake of the program'])
  stream.close()
})

test('nothing that a connection says after its end is heard', async () => {
  const { stream, source, delivered } = await play()
  const { last } = source
  last.listener.opened(`${A}-5`)
  last.cut()
  last.bring(`${A}-6`)
  last.listener.gap({ from: `${A}-5`, to: `${A}-9`, reason: 'trimmed', certain: true })
  last.listener.position(`${A}-9`)
  last.cut()
  assert.deepEqual(delivered, [])
  assert.deepEqual([stream.lastEventId, stream.state.status, last.isClosed], [`${A}-5`, 'waiting', true])
  stream.close()
})

test('waits grow while connections fail, and start anew after one that brought something or stood for a while', async () => {
  const { stream, source, clock } = await play()
  const waitMs = async (): Promise<number> => {
    source.last.cut()
    const { state } = stream
    assert.ok(state.status === 'waiting' && state.untilMs !== undefined)
    const delayMs = state.untilMs - clock.nowMs()
    await clock.advance(delayMs)
    return delayMs
  }
  assert.deepEqual([await waitMs(), await waitMs(), await waitMs()], [500, 1_000, 2_000])
  source.last.listener.opened(`${A}-1`)
  await clock.advance(4_999)
  assert.equal(await waitMs(), 4_000)
  source.last.listener.opened()
  await clock.advance(5_000)
  assert.equal(await waitMs(), 500)
  assert.equal(await waitMs(), 500)
  assert.equal(await waitMs(), 1_000)
  source.last.bring(`${A}-2`)
  assert.equal(await waitMs(), 500)
  stream.close()
})

test("the server's retry is the first wait from then on; a farewell is waited for at least as long as it asks", async () => {
  const { stream, source, clock } = await play()
  source.last.listener.retry(6_000)
  source.last.cut()
  assert.ok(stream.state.status === 'waiting')
  assert.equal(stream.state.untilMs, clock.nowMs() + 3_000)
  await clock.advance(3_000)
  source.last.listener.ended({ why: { code: 'farewell', detail: 'later' }, waitMs: 20_000 })
  assert.equal(stream.state.status === 'waiting' && stream.state.untilMs, clock.nowMs() + 20_000)
  await clock.advance(20_000)
  source.last.listener.ended({ why: { code: 'farewell', detail: 'much later' }, waitMs: Number.MAX_SAFE_INTEGER })
  assert.equal(stream.state.status === 'waiting' && stream.state.untilMs, clock.nowMs() + 300_000)
  stream.close()
})

test('a quiet connection is asked for a sign of life, once, before it is given up', async () => {
  const { stream, source, clock } = await play()
  const { last } = source
  last.listener.opened(`${A}-1`)
  await clock.advance(30_000)
  assert.equal(last.probes, 1)
  last.listener.heard()
  await clock.advance(29_999)
  assert.equal(last.probes, 1)
  await clock.advance(1)
  assert.equal(last.probes, 2)
  await clock.advance(14_999)
  assert.equal(stream.state.status, 'open')
  await clock.advance(1)
  assert.equal(whyOf(stream), 'silent')
  assert.deepEqual([last.probes, last.isClosed], [2, true])
  stream.close()
})

test('a stream that reads nothing because its program has enough is not taken for dead, until it reads again', async () => {
  const { stream, source, clock } = await play({ handlers: {}, queueBytesMax: 300 })
  const { last } = source
  last.listener.opened(`${A}-1`)
  last.bring(`${A}-2`)
  last.bring(`${A}-3`)
  assert.notEqual(last.listener.room(), undefined)
  await clock.advance(200_000)
  assert.equal(stream.state.status, 'open')
  const iterator = stream[Symbol.asyncIterator]()
  await iterator.next()
  await iterator.next()
  assert.equal(last.listener.room(), undefined)
  await clock.advance(44_999)
  assert.equal(stream.state.status, 'open')
  await clock.advance(1)
  assert.equal(stream.state.status, 'waiting')
  stream.close()
})

test('a stream that fell behind connects again once half of its queue is free, from what has come, not from what was taken', async () => {
  const { stream, source, clock } = await play({ handlers: {}, queueBytesMax: 1_000 })
  source.last.listener.opened(`${A}-1`)
  for (let offset = 2; offset <= 6; offset += 1) source.last.bring(`${A}-${offset}`)
  source.last.listener.ended({ why: { code: 'behind', detail: 'slow' } })
  assert.ok(stream.state.status === 'waiting')
  assert.equal(stream.state.untilMs, undefined)
  const iterator = stream[Symbol.asyncIterator]()
  await iterator.next()
  await clock.advance(1_000_000)
  assert.equal(source.connections.length, 1)
  for (let taken = 0; taken < 3; taken += 1) await iterator.next()
  await settle()
  assert.equal(source.connections.length, 2)
  assert.equal(source.last.after, `${A}-6`)
  assert.equal(stream.lastEventId, `${A}-5`)
  stream.close()
})

test('a position among what was not yet taken counts once everything before it is taken', async () => {
  const { stream, source } = await play({ handlers: {} })
  const { listener } = source.last
  listener.opened(`${A}-1`)
  assert.equal(stream.lastEventId, `${A}-1`)
  listener.position(`${A}-2`)
  assert.equal(stream.lastEventId, `${A}-2`)
  source.last.bring(`${A}-3`)
  listener.position(`${A}-8`)
  listener.position(`${A}-9`)
  assert.equal(stream.lastEventId, `${A}-2`)
  await stream[Symbol.asyncIterator]().next()
  assert.equal(stream.lastEventId, `${A}-9`)
  stream.close()
})

test('closed while it waits, it never connects again, and leaves no timer', async () => {
  const { stream, source, clock } = await play()
  source.last.cut()
  stream.close()
  await clock.advance(1_000_000)
  assert.equal(source.connections.length, 1)
  assert.equal(clock.timers, 0)
})
