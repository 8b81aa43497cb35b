// The pump and connections that take no more: they cost nothing, slow nobody, and miss nothing in silence.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainMessages } from '../../src/transport/websocket-format.ts'
import { PumpRoom, ROOM_EPOCH, type Listener } from '../support/pump-room.ts'

/** A window of about fifteen events of this size. */
const SMALL_WINDOW = { windowBytes: 65_536 } as const
const LARGE_BYTES = 4_000

function numbers(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at)
}

function texts(from: number, to: number): readonly string[] {
  return numbers(from, to).map(String)
}

async function stalled(room: PumpRoom, listener: Listener, text: number, bytes = 0): Promise<void> {
  listener.isFull = true
  await room.publish('a', [text], bytes)
  await room.rest()
  assert.ok(listener.isStalled)
}

test('a stalled subscriber gets no bytes, and once it drained all that it waits for, joined', async () => {
  const room = new PumpRoom()
  const [slow, fast] = await room.followMany(2)
  assert.ok(slow !== undefined && fast !== undefined)
  await stalled(room, slow, 1)
  for (const number of numbers(2, 50)) {
    await room.publish('a', [number])
    await room.rest()
  }
  assert.deepEqual([slow.writes.length, fast.writes.length], [1, 50])
  slow.drain()
  await room.rest()
  assert.deepEqual([slow.texts, fast.texts], [texts(1, 50), texts(1, 50)])
  assert.deepEqual([slow.writes.length, slow.forbidden], [2, 0])
  await room.publish('a', [51])
  await room.rest()
  assert.deepEqual([slow.texts, slow.writes.length], [texts(1, 51), 3], 'it is among the live again')
  assert.equal(room.hub.counters.stalls, 1)
})

test('who is far behind comes back in slices, and the live do not wait for it', async () => {
  const room = new PumpRoom({ flushBytesMax: 4_096 })
  const slows = await room.followMany(20)
  const fast = await room.follow()
  for (const slow of slows) slow.isFull = true
  await room.publish('a', numbers(1, 200), 900)
  await room.rest()
  for (const slow of slows) slow.drain()
  await room.publish('a', ['new'])
  await room.clock.turn()
  assert.equal(fast.texts.at(-1), 'new')
  await room.rest()
  for (const slow of slows) {
    assert.deepEqual(slow.texts, [...texts(1, 200), 'new'])
    for (const { length } of slow.writes) assert.ok(length <= 4_096)
    assert.equal(slow.forbidden, 0)
  }
})

test('a crowd with equal cursors gets equal bytes, made once', async () => {
  const room = new PumpRoom()
  await room.publish('a', numbers(1, 100))
  const crowd: Listener[] = []
  for (let at = 0; at < 30; at += 1) crowd.push(await room.follow({ start: { lastEventId: room.idAt(40) } }))
  await room.rest()
  for (const one of crowd) {
    assert.deepEqual(one.texts, texts(41, 100))
    assert.equal(one.writes[0], crowd[0]?.writes[0])
  }
})

test('one that stalls again while it catches up goes on from where it is', async () => {
  const room = new PumpRoom({ flushBytesMax: 4_096 })
  const slow = await room.follow()
  await stalled(room, slow, 1)
  await room.publish('a', numbers(2, 40), 900)
  for (let round = 0; round < 5; round += 1) {
    slow.drain()
    slow.isFull = true
    await room.rest()
    assert.ok(slow.isStalled)
  }
  slow.drain()
  await room.rest()
  assert.deepEqual([slow.texts, slow.forbidden], [texts(1, 40), 0])
})

test('what stalled connections hold is counted once for each Buffer', async () => {
  const room = new PumpRoom()
  const listeners = await room.followMany(5)
  for (const listener of listeners) listener.isFull = true
  await room.publish('a', ['x'], 10_000)
  await room.rest()
  const { counters } = room.hub
  const size = listeners[0]?.writes[0]?.length
  assert.equal(counters.pinnedBytes, size)
  listeners[0]?.drain()
  listeners[1]?.cut(0)
  assert.equal(counters.pinnedBytes, size)
  for (const listener of listeners.slice(2)) listener.drain()
  assert.equal(counters.pinnedBytes, 0)
})

test('beyond the bound of what is held, those that stalled longest ago are cut, one after the other', async () => {
  const room = new PumpRoom({ pinnedBytesMax: 262_144 })
  const listeners = await room.followMany(5)
  for (const [at, listener] of listeners.entries()) {
    await room.clock.advance(1)
    await stalled(room, listener, at, 100_000)
    assert.ok(room.hub.counters.pinnedBytes <= 262_144)
  }
  assert.deepEqual(
    listeners.map(({ ended }) => ended),
    ['destroyed', 'destroyed', 'destroyed', undefined, undefined],
  )
  assert.equal(room.hub.counters.ended.get('pinned'), 3)
})

test('one whose own bytes are beyond the bound is cut', async () => {
  const room = new PumpRoom({ pinnedBytesMax: 262_144, flushBytesMax: 1_000_000 })
  const [listener, other] = await room.followMany(2)
  assert.ok(listener !== undefined && other !== undefined)
  listener.isFull = true
  await room.publish('a', [1], 300_000)
  await room.rest()
  assert.deepEqual([listener.ended, other.texts, room.hub.counters.pinnedBytes], ['destroyed', ['1'], 0])
})

test('a client that reads nothing for stallMs is cut; one that reads a little stays', async () => {
  const room = new PumpRoom({ stallMs: 1_000, heartbeatMs: 400 })
  const [dead, slow] = await room.followMany(2)
  assert.ok(dead !== undefined && slow !== undefined)
  dead.isFull = slow.isFull = true
  await room.publish('a', [1])
  await room.rest()
  await room.pass(600)
  slow.drain()
  slow.isFull = true
  await room.publish('a', [2])
  await room.rest()
  await room.pass(300)
  assert.deepEqual([dead.ended, slow.ended], [undefined, undefined])
  await room.pass(200)
  assert.deepEqual([dead.ended, slow.ended], ['destroyed', undefined])
  assert.equal(room.hub.counters.ended.get('lagged'), 1)
})

test('whose events are gone is disconnected, and told of the gap when it comes back', async () => {
  const room = new PumpRoom(SMALL_WINDOW)
  const slow = await room.follow()
  await stalled(room, slow, 1)
  await room.publish('a', numbers(2, 60), LARGE_BYTES)
  await room.rest()
  slow.drain()
  await room.rest()
  assert.deepEqual([slow.texts, slow.ended], [['1', 'hydrant:bye'], 'lagged'])
  assert.equal(slow.messages.at(-1)?.lastEventId, room.idAt(1))

  const { floor } = room.hub.window
  const back = await room.follow({ start: { lastEventId: room.idAt(1) } })
  await room.rest()
  const gap = { from: room.idAt(1), to: room.idAt(floor), reason: 'trimmed', certain: true }
  assert.deepEqual(JSON.parse(back.messages[0]?.data ?? ''), gap)
  assert.equal(back.messages[0]?.lastEventId, room.idAt(floor))
  assert.deepEqual(back.texts.slice(1), texts(floor + 1, 60))
})

test('one that chose to skip is told of the gap at once, and goes on with what is published next', async () => {
  const room = new PumpRoom(SMALL_WINDOW)
  const slow = await room.follow({ lag: 'skip' })
  await stalled(room, slow, 1)
  await room.publish('a', numbers(2, 60), LARGE_BYTES)
  await room.rest()
  slow.drain()
  await room.rest()
  const gap = { from: room.idAt(1), to: room.idAt(60), reason: 'lagged', certain: true }
  assert.deepEqual(JSON.parse(slow.messages[1]?.data ?? ''), gap)
  await room.publish('a', [61])
  await room.rest()
  assert.deepEqual(slow.texts, ['1', 'hydrant:gap', '61'])
  assert.deepEqual([slow.ended, slow.forbidden, room.hub.counters.gaps], [undefined, 0, 1])
})

test('a slow client of a quiet topic loses nothing when others fill the window', async () => {
  for (const lag of ['disconnect', 'skip'] as const) {
    const room = new PumpRoom(SMALL_WINDOW)
    const slow = await room.follow({ topics: ['a'], lag })
    await stalled(room, slow, 1)
    await room.publish('noise', numbers(1, 60), LARGE_BYTES)
    await room.publish('a', [2])
    slow.drain()
    await room.rest()
    assert.deepEqual([slow.texts, slow.ended], [['1', '2'], undefined])
  }
})

test('a plain WebSocket, which cannot be told, ends where events are missing', async () => {
  const room = new PumpRoom(SMALL_WINDOW)
  const slow = await room.follow({ format: plainMessages, lag: 'skip' })
  await stalled(room, slow, 1)
  await room.publish('a', numbers(2, 60), LARGE_BYTES)
  await room.rest()
  slow.drain()
  await room.rest()
  assert.equal(slow.ended, 'gap')
  assert.equal(slow.bytes.length, slow.writes[0]?.length, 'nothing comes after what is missing')
})

test('publishing faster than the pump by more than the window loses nothing in silence', async () => {
  const room = new PumpRoom(SMALL_WINDOW)
  const [comes, skips, quiet] = [
    await room.follow(),
    await room.follow({ lag: 'skip' }),
    await room.follow({ topics: ['quiet'] }),
  ]
  await room.publish('quiet', [0])
  await room.publish('a', numbers(1, 60), LARGE_BYTES)
  await room.rest()
  assert.deepEqual([comes.texts, comes.ended], [['hydrant:bye'], 'lagged'])
  assert.equal(comes.messages[0]?.lastEventId, `${ROOM_EPOCH}-0`)
  assert.deepEqual(skips.texts, ['hydrant:gap'])
  assert.deepEqual([quiet.texts, quiet.ended], [['0'], undefined])
  await room.publish('a', [61])
  await room.rest()
  assert.deepEqual(skips.texts, ['hydrant:gap', '61'])
})

test('answers go to a stalled connection up to a flush; a client that takes none of them is cut', async () => {
  const room = new PumpRoom({ flushBytesMax: 10_000 })
  const listener = await room.follow()
  await stalled(room, listener, 1)
  listener.mayHold = true
  for (let at = 0; at < 9; at += 1) room.pump.send(listener, new Uint8Array(1_000))
  assert.equal(listener.ended, undefined)
  for (let at = 0; at < 3; at += 1) room.pump.send(listener, new Uint8Array(1_000))
  assert.equal(listener.ended, 'destroyed')
  assert.ok(listener.heldBytes < 12_000)
  room.pump.send(listener, new Uint8Array(1_000))
})

test('a stalled connection with several subscriptions gets each of them back', async () => {
  const room = new PumpRoom({ flushBytesMax: 4_096 })
  const both = await room.follow({ topics: ['a'] })
  await room.follow({ topics: ['b'], on: both, label: 1 })
  await stalled(room, both, 1)
  await room.publish('b', numbers(11, 30), 900)
  await room.publish('a', numbers(2, 10), 900)
  await room.rest()
  const late = await room.follow({ topics: ['c'], on: both, label: 2, start: { earliest: true } })
  await room.publish('c', ['c'])
  await room.rest()
  assert.equal(both.writes.length, 1)
  both.drain()
  await room.rest()
  assert.deepEqual(both.texts.toSorted(), [...texts(1, 30), 'c'].toSorted())
  assert.equal(late.forbidden, 0)
})

test('who leaves the live takes nobody along, in whatever order they leave and come back', async () => {
  for (const order of permutations([0, 1, 2, 3])) {
    const room = new PumpRoom()
    const listeners = await room.followMany(4)
    let published = 0
    for (const isFull of [true, false]) {
      for (const at of order) {
        const listener = listeners[at]
        assert.ok(listener !== undefined)
        if (isFull) await stalled(room, listener, (published += 1))
        else listener.drain()
        await room.rest()
        await room.publish('a', [(published += 1)])
        await room.rest()
        for (const one of listeners) if (!one.isStalled) assert.deepEqual(one.texts, texts(1, published), order.join())
        const live = listeners[0]?.latest?.broadcast.live ?? []
        const reading = listeners.flatMap((one) => (one.isStalled ? [] : [one.latest]))
        assert.deepEqual(new Set(live), new Set(reading))
        assert.equal(live.length, reading.length)
      }
    }
  }
})

function permutations(items: readonly number[]): readonly (readonly number[])[] {
  if (items.length === 0) return [[]]
  return items.flatMap((item) => permutations(items.filter((one) => one !== item)).map((rest) => [item, ...rest]))
}

test('one subscription that has ended on a connection stays so when the connection stalls and drains', async () => {
  const room = new PumpRoom()
  const both = await room.follow({ topics: ['a'] })
  await room.follow({ topics: ['b'], on: both, label: 1 })
  assert.ok(both.latest !== undefined)
  room.pump.unsubscribe(both.latest)
  await stalled(room, both, 1)
  await room.publish('b', ['b'])
  both.drain()
  await room.publish('b', ['b'])
  await room.publish('a', [2])
  await room.rest()
  assert.deepEqual([both.texts, both.subscribers.length], [['1', '2'], 1])
})
