// The pump and subscribers whose cursor lies before the window: they read the engine, a few at a time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryEngine } from '../../src/engine/memory.ts'
import type { History } from '../../src/engine/engine.ts'
import type { Limits } from '../../src/hub/limits.ts'
import { StreamFormats } from '../../src/transport/sse.ts'
import { envelopeMessages } from '../../src/transport/websocket-format.ts'
import { PumpRoom, ROOM_EPOCH, type Listener } from '../support/pump-room.ts'
import { SlowEngine } from '../support/slow-engine.ts'
import type { VirtualClock } from '../support/virtual-clock.ts'

/** A window of about fifteen events of this size. */
const SMALL_WINDOW = { windowBytes: 131_072 } as const
const LARGE_BYTES = 4_000

function numbers(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at)
}

function texts(from: number, to: number): readonly string[] {
  return numbers(from, to).map(String)
}

/** A room whose readings of history take so long each. */
function slowRoom(limits: Partial<Limits>, delaysMs: readonly number[]): { room: PumpRoom; engine: () => SlowEngine } {
  const all = { ...SMALL_WINDOW, ...limits }
  let made: SlowEngine | undefined
  let reads = 0
  const room = new PumpRoom(all, (clock: VirtualClock) => {
    const options = { limits: all, epoch: ROOM_EPOCH, nowMs: () => clock.nowMs() }
    return (made = new SlowEngine(options, clock, () => delaysMs[reads++ % delaysMs.length] ?? 1))
  })
  return {
    room,
    engine: () => {
      assert.ok(made !== undefined)
      return made
    },
  }
}

test('no more than eight readings are under way at once, and all are served in the end', async () => {
  const { room, engine } = slowRoom({}, [10])
  await room.publish('quiet', [0])
  await room.publish('a', numbers(1, 60), LARGE_BYTES)
  const cold: Listener[] = []
  for (let at = 0; at < 30; at += 1)
    cold.push(await room.follow({ topics: ['quiet'], start: { lastEventId: room.idAt(1) } }))
  await room.publish('quiet', ['x'])
  await room.rest()
  assert.equal(engine().reading, 8)
  await room.pass(100)
  assert.equal(engine().readingMost, 8)
  for (const listener of cold) assert.deepEqual(listener.texts, ['x'])
})

test('those who read the window do not wait for those who read the engine', async () => {
  const { room, engine } = slowRoom({}, [1_000])
  await room.publish('quiet', [0])
  await room.publish('a', numbers(1, 60), LARGE_BYTES)
  for (let at = 0; at < 40; at += 1) await room.follow({ topics: ['quiet'], start: { lastEventId: room.idAt(1) } })
  await room.rest()
  assert.equal(engine().reading, 8)
  const warm = await room.followMany(20, { start: { last: 2 } })
  const turns = await room.rest()
  for (const listener of warm) assert.deepEqual(listener.texts, ['59', '60'])
  assert.ok(turns < 10, `${turns} turns`)
})

test('one that unsubscribes, or goes, while it is being read for gets nothing, and frees its place', async () => {
  const { room, engine } = slowRoom({}, [10])
  await room.publish('a', numbers(1, 60), LARGE_BYTES)
  const [leaves, goes, stays] = [
    await room.follow({ start: { lastEventId: room.idAt(1) } }),
    await room.follow({ start: { lastEventId: room.idAt(1) } }),
    await room.follow({ start: { lastEventId: room.idAt(1) } }),
  ]
  await room.rest()
  assert.ok(leaves.latest !== undefined)
  room.pump.unsubscribe(leaves.latest)
  goes.cut(0)
  await room.pass(50)
  assert.deepEqual([leaves.texts, goes.texts, stays.texts[0], engine().reading], [[], [], 'hydrant:gap', 0])
})

test('a reading that comes back late, for a cursor that has moved on, is not used', async () => {
  const { room } = slowRoom({ flushBytesMax: 4_096 }, [500, 10, 1_000])
  await room.publish('quiet', ['old'])
  await room.publish('noise', numbers(1, 60), LARGE_BYTES)
  // Together they are a reading, but encoded more than a flush: the cursor stops between them.
  await room.publish('quiet', ['one', 'two'], 2_040)
  const both = await room.follow({ topics: ['quiet'], lag: 'skip', start: { lastEventId: room.idAt(1) } })
  await room.follow({ topics: ['other'], on: both, label: 1 })
  await room.rest() // the first reading is under way, for 500 ms
  both.isFull = true
  await room.publish('other', ['o'])
  await room.rest()
  assert.ok(both.isStalled, 'the other subscription stalls the connection')
  both.drain()
  await room.rest() // the second is under way, for 10 ms
  await room.publish('noise', numbers(61, 120), LARGE_BYTES)
  await room.pass(50)
  assert.deepEqual(both.texts, ['o', 'one'])
  await room.pass(600) // the first comes back, while the third is under way
  assert.deepEqual(both.texts, ['o', 'one'])
  await room.pass(600)
  assert.deepEqual(both.texts, ['o', 'one', 'hydrant:gap'])
})

test('a gap that fills the connection is not followed by what comes after it until it drained', async () => {
  const { room } = slowRoom({}, [10])
  await room.publish('a', numbers(1, 60), LARGE_BYTES)
  const { floor } = room.hub.window
  const listener = await room.follow({ start: { lastEventId: room.idAt(1) } })
  await room.rest()
  listener.isFull = true
  await room.pass(20)
  assert.deepEqual([listener.isStalled, listener.writes.length], [true, 1])
  listener.drain()
  await room.pass(100)
  assert.deepEqual([listener.texts, listener.forbidden], [['hydrant:gap', ...texts(floor + 1, 60)], 0])
})

test('an engine that fails ends the connections that needed it, with an error that is reported, and nobody else', async () => {
  class Failing extends MemoryEngine {
    override async read(): Promise<History> {
      throw new Error('the disk is gone')
    }
  }
  const room = new PumpRoom(SMALL_WINDOW, (clock) => new Failing({ limits: SMALL_WINDOW, nowMs: () => clock.nowMs() }))
  await room.hub.ready
  const live = await room.follow()
  await room.publish('a', ['x'])
  await room.rest()
  await room.publish('a', numbers(1, 10), LARGE_BYTES)
  await room.rest()
  await room.publish('a', numbers(11, 20), LARGE_BYTES)
  await room.rest()
  const cold = await room.follow({ start: { lastEventId: room.idAt(1) } })
  await room.publish('a', ['y'])
  await room.rest()
  assert.deepEqual([cold.ended, cold.texts], ['internal-error', ['hydrant:bye']])
  assert.deepEqual(room.errors.map(String), ['Error: the disk is gone'])
  assert.deepEqual([live.ended, live.texts.at(-1)], [undefined, 'y'])
})

test('a slice of history is no larger than a flush, however much the encoding adds', async () => {
  const limits = { ...SMALL_WINDOW, flushBytesMax: 8_000 }
  const room = new PumpRoom(limits)
  const format = new StreamFormats('').get('sse-envelope', 'chunked')
  await room.publish('quiet', [0])
  await room.publish('noise', numbers(1, 60), LARGE_BYTES)
  await room.publish(
    'quiet',
    Array.from({ length: 30 }, () => '\u0001'.repeat(200)),
  )
  const listener = await room.follow({ topics: ['quiet'], format, start: { lastEventId: room.idAt(1) } })
  await room.rest()
  assert.ok(listener.writes.length > 3)
  for (const { length } of listener.writes) assert.ok(length <= 8_000, `${length} bytes in a write`)
  assert.equal(listener.bytes.toString().split('"id"').length - 1, 30)
})

test('who resumes a quiet topic with an old id is told of no gap, and gets a fresher id at once', async () => {
  const room = new PumpRoom(SMALL_WINDOW)
  await room.publish('quiet', [0])
  await room.publish('a', numbers(1, 60), LARGE_BYTES)
  const listener = await room.follow({ topics: ['quiet'], start: { lastEventId: room.idAt(1) } })
  await room.rest()
  assert.deepEqual(
    listener.texts.filter((text) => text !== 'hydrant:position'),
    [],
  )
  await room.publish('quiet', [1])
  await room.rest()
  assert.equal(listener.texts.at(-1), '1')
})

test('where it is no longer known what was trimmed, the gap says so', async () => {
  const room = new PumpRoom({ ...SMALL_WINDOW, trimmedTopicsMax: 1 })
  await room.publish('quiet', [0])
  await room.publish('b', [1])
  await room.publish('a', numbers(1, 60), LARGE_BYTES)
  const listener = await room.follow({ topics: ['quiet'], start: { lastEventId: room.idAt(1) } })
  await room.rest()
  const gap = { from: room.idAt(1), to: room.idAt(2), reason: 'trimmed', certain: false }
  assert.deepEqual(JSON.parse(listener.messages[0]?.data ?? ''), gap)
  assert.equal(listener.ended, undefined)
})

test('reading history takes nothing away from others', async () => {
  const room = new PumpRoom(SMALL_WINDOW)
  const live = await room.follow()
  for (const number of numbers(1, 30)) {
    await room.publish('a', [number], 1_000)
    await room.rest()
  }
  const { floor } = room.hub.window
  const formats = new StreamFormats('')
  for (const kind of ['sse', 'sse-envelope', 'ndjson'] as const)
    for (const framing of ['chunked', 'bare'] as const)
      await room.follow({ format: formats.get(kind, framing), start: { earliest: true } })
  await room.follow({ format: envelopeMessages, start: { earliest: true } })
  await room.rest()
  assert.equal(room.hub.window.floor, floor)
  assert.ok(room.hub.window.bytes <= 65_536)
  assert.deepEqual(live.texts, texts(1, 30))
})
