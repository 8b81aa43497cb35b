// The pump, in virtual time: what is written, to whom, in which turn, and how often.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogEvent } from '../../src/hub/event.ts'
import type { Format } from '../../src/transport/format.ts'
import { StreamFormats } from '../../src/transport/sse.ts'
import { envelopeMessages, plainMessages } from '../../src/transport/websocket-format.ts'
import { PumpRoom, ROOM_EPOCH, type Listener } from '../support/pump-room.ts'

function numbers(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at)
}

function texts(from: number, to: number): readonly string[] {
  return numbers(from, to).map(String)
}

function written(listeners: readonly Listener[]): number {
  return listeners.reduce((sum, { writes }) => sum + writes.length, 0)
}

test('a flush is one write for each subscriber, however many events it holds, and the same bytes for all', async () => {
  const room = new PumpRoom()
  const listeners = await room.followMany(3)
  await room.publish('a', numbers(1, 50))
  await room.publish('b', numbers(51, 100))
  assert.equal(written(listeners), 0, 'nothing is written before the turn ends')
  await room.rest()
  for (const listener of listeners) {
    assert.deepEqual(listener.texts, texts(1, 100))
    assert.equal(listener.writes.length, 1)
    assert.equal(listener.writes[0], listeners[0]?.writes[0])
  }
  assert.deepEqual([room.hub.counters.writes, room.hub.counters.deliveries], [3, 300])
})

test('an event of one topic is written to nobody else', async () => {
  const room = new PumpRoom()
  const [one, other] = [await room.follow({ topics: ['a'] }), await room.follow({ topics: ['b', 'c/*'] })]
  await room.publish('a', [1])
  await room.publish('c/x', [2])
  await room.rest()
  assert.deepEqual([one.texts, other.texts], [['1'], ['2']])
})

test('selections that are equal share their flush however they are written', async () => {
  const room = new PumpRoom()
  const one = await room.follow({ topics: ['a', 'b'] })
  const same = await room.follow({ topics: ['b', 'a', 'b'] })
  const types = await room.follow({ topics: ['a', 'b'], types: ['x'] })
  await room.publish('a', [1, 2])
  await room.rest()
  assert.equal(one.writes[0], same.writes[0])
  assert.deepEqual([one.texts, types.texts], [['1', '2'], []])
})

test('formats never share a flush, whatever the topics are called', async () => {
  const room = new PumpRoom()
  const formats: readonly Format[] = [
    room.plain,
    new StreamFormats('').get('ndjson', 'bare'),
    plainMessages,
    envelopeMessages,
  ]
  const names = formats.flatMap(({ name }) => name.split(' '))
  const topics = [...names.filter((name) => /^[\w.-]+$/.test(name)), 'z']
  const followers: (readonly [Format, readonly string[], Listener])[] = []
  for (const format of formats)
    for (const selected of [['z'], ...topics.map((topic) => [topic, 'z']), topics])
      followers.push([format, selected, await room.follow({ format, topics: selected })])
  const published = topics.map((topic, at) => ({ topic, data: String(at) }))
  await room.hub.publishBatch(published)
  await room.rest()
  const log = [...logOf(room)]
  for (const [format, selected, { bytes }] of followers) {
    const expected = log.filter(({ topic }) => selected.includes(topic)).map((event) => format.event(event))
    assert.deepEqual(bytes, Buffer.concat(expected), `${format.name} of ${selected.join(' ')}`)
  }
})

function logOf({ hub }: PumpRoom): readonly LogEvent[] {
  const events: LogEvent[] = []
  hub.window.read(0, hub.select(['**']), (event) => (events.push(event), true), 1_000)
  return events
}

test('a turn writes to no more sockets than a slice has, and to an eighth of an audience at least', async () => {
  for (const [count, sliceSockets, most] of [
    [100, 64, 12],
    [1_000, 64, 64],
    [40, 4, 4],
    [10, 64, 8],
    [5, 64, 5],
  ] as const) {
    const room = new PumpRoom({ sliceSockets })
    const listeners = await room.followMany(count)
    await room.publish('a', [1])
    const perTurn: number[] = []
    while (!room.clock.isIdle) {
      const before = written(listeners)
      await room.clock.turn()
      perTurn.push(written(listeners) - before)
    }
    assert.equal(Math.max(...perTurn), most, `${count} in slices of ${sliceSockets}`)
    assert.equal(perTurn.length, Math.ceil(count / most))
    assert.equal(written(listeners), count)
  }
})

test('several broadcasts share the slice of a turn, and each gets its turn', async () => {
  const room = new PumpRoom({ sliceSockets: 10 })
  const topics = texts(1, 30)
  const listeners = await Promise.all(topics.map((topic) => room.follow({ topics: [topic] })))
  const crowd = await room.followMany(100, { topics: ['crowd'] })
  await room.publish('crowd', ['x'])
  for (const topic of topics) await room.publish(topic, ['x'])
  await room.clock.turn()
  assert.equal(written(listeners) + written(crowd), 10)
  for (let turns = 0; turns < 6; turns += 1) await room.clock.turn()
  assert.equal(written(listeners), 30, 'those with few subscribers do not wait until the crowd is served')
  await room.rest()
  assert.equal(written(crowd), 100)
})

test('what is published between the slices of a flush goes out joined, in the next one', async () => {
  const room = new PumpRoom()
  const listeners = await room.followMany(100)
  await room.publish('a', [1])
  await room.clock.turn()
  for (const number of numbers(2, 6)) {
    await room.publish('a', [number])
    await room.clock.turn()
  }
  await room.rest()
  for (const listener of listeners) {
    assert.deepEqual(listener.texts, texts(1, 6))
    assert.equal(listener.writes.length, 2)
  }
})

test('who comes in the middle of a flush gets what follows its start, once', async () => {
  const room = new PumpRoom()
  await room.followMany(100)
  await room.publish('a', [1])
  await room.clock.turn()
  const early = await room.follow()
  await room.publish('a', [2])
  const late = await room.follow()
  await room.publish('a', [3])
  await room.rest()
  assert.deepEqual([early.texts, late.texts], [['2', '3'], ['3']])
})

test('the start of a flush rotates: nobody is always the last', async () => {
  for (const count of [2, 3, 8, 16, 64, 100]) {
    const room = new PumpRoom({ sliceSockets: 1 })
    const listeners = await room.followMany(count)
    const lasts = new Set<number>()
    for (let round = 1; round <= 12; round += 1) {
      await room.publish('a', [round])
      let last = -1
      while (!room.clock.isIdle) {
        const before = listeners.map(({ writes }) => writes.length)
        await room.clock.turn()
        const found = listeners.findIndex(({ writes }, at) => writes.length > (before[at] ?? 0))
        if (found !== -1) last = found
      }
      lasts.add(last)
    }
    assert.ok(lasts.size > 1, `of ${count} always number ${[...lasts].join()} is last`)
  }
})

test('a flush is no larger than its bound, and what is left over follows at once', async () => {
  for (const lingerMs of [0, 5]) {
    const room = new PumpRoom({ flushBytesMax: 10_000, lingerMs })
    const listener = await room.follow()
    await room.publish('a', numbers(1, 50), 1_000)
    await room.clock.advance(lingerMs)
    await room.rest()
    assert.deepEqual(listener.texts, texts(1, 50), `lingering ${lingerMs} ms`)
    for (const { length } of listener.writes) assert.ok(length <= 10_000, `${length} bytes in a write`)
    assert.ok(listener.writes.length <= 6)
  }
})

test('an event that is larger than a flush goes alone', async () => {
  const room = new PumpRoom({ flushBytesMax: 4_096 })
  const listener = await room.follow()
  await room.publish('a', [1])
  await room.publish('a', [2], 20_000)
  await room.publish('a', [3])
  await room.rest()
  assert.deepEqual(listener.texts, texts(1, 3))
  assert.equal(listener.writes.length, 3)
})

test('events wait for each other as long as lingerMs, from the first of them', async () => {
  const room = new PumpRoom({ lingerMs: 10 })
  const listener = await room.follow()
  await room.publish('a', [1])
  await room.rest()
  await room.clock.advance(6)
  await room.publish('a', [2])
  await room.rest()
  await room.clock.advance(3)
  await room.rest()
  assert.equal(listener.writes.length, 0)
  await room.clock.advance(1)
  await room.rest()
  assert.deepEqual(listener.texts, ['1', '2'])
  assert.equal(listener.writes.length, 1)
  await room.publish('a', [3])
  await room.rest()
  assert.equal(listener.writes.length, 1)
  await room.clock.advance(10)
  await room.rest()
  assert.deepEqual(listener.texts, ['1', '2', '3'])
})

test('a broadcast without subscribers, and one whose last has left, costs nothing', async () => {
  const room = new PumpRoom()
  const listener = await room.follow({ topics: ['a'] })
  await room.publish('a', [1])
  listener.cut(0)
  await room.rest()
  await room.publish('a', [2])
  assert.equal(room.pump.isBusy, false, 'nothing is done for nobody')
  assert.equal(listener.writes.length, 0)
})

test('a subscriber that leaves in the middle of a flush gets nothing more; the others are served', async () => {
  const room = new PumpRoom({ sliceSockets: 1 })
  const listeners = await room.followMany(4)
  await room.publish('a', [1])
  await room.clock.turn()
  const [served] = listeners.filter(({ writes }) => writes.length > 0)
  const [first, second, third] = listeners.filter((one) => one !== served)
  assert.ok(first?.latest !== undefined && second !== undefined && third !== undefined)
  room.pump.unsubscribe(first.latest)
  second.cut(0)
  await room.publish('a', [2])
  await room.rest()
  assert.deepEqual([first.texts, second.texts, third.texts, served?.texts], [[], [], ['1', '2'], ['1', '2']])
})

test('unsubscribing twice, and after the connection is gone, does no harm', async () => {
  const room = new PumpRoom()
  const [one, other] = await room.followMany(2)
  assert.ok(one?.latest !== undefined && other !== undefined)
  room.pump.unsubscribe(one.latest)
  room.pump.unsubscribe(one.latest)
  one.cut(0)
  room.pump.unsubscribe(one.latest)
  await room.publish('a', [1])
  await room.rest()
  assert.deepEqual(other.texts, ['1'])
})

test('a connection that is gone before it subscribes is not kept', async () => {
  const room = new PumpRoom()
  const listener = await room.follow()
  listener.cut(0)
  await room.follow({ on: listener })
  await room.publish('a', [1])
  assert.equal(room.pump.isBusy, false)
})

test('a farewell names the id of the last event that was sent, and asks to wait a while', async () => {
  const room = new PumpRoom({ retryMs: 1_000 })
  const fresh = await room.follow({ topics: ['a'] })
  const quiet = await room.follow({ topics: ['quiet'] })
  await room.publish('a', [1, 2])
  await room.rest()
  await room.publish('b', [3])
  const closing = room.hub.close()
  await room.rest()
  await closing
  const [bye] = fresh.messages.slice(-1)
  assert.deepEqual([bye?.type, bye?.lastEventId], ['hydrant:bye', `${ROOM_EPOCH}-2`])
  assert.deepEqual([quiet.texts, quiet.messages[0]?.lastEventId], [['hydrant:bye'], `${ROOM_EPOCH}-0`])
  assert.deepEqual([fresh.ended, quiet.ended], ['shutting-down', 'shutting-down'])
  const waits = [fresh, quiet].map(({ bytes }) => Number(/retry: (\d+)/.exec(bytes.toString())?.[1]))
  for (const wait of waits) assert.ok(wait >= 1_000 && wait <= 2_000, `${wait} ms`)
})

test('what was published before the end still goes out; after it nothing does', async () => {
  const room = new PumpRoom()
  const listeners = await room.followMany(100)
  await room.publish('a', [1])
  const closing = room.hub.close()
  await room.rest()
  await closing
  for (const listener of listeners) assert.deepEqual(listener.texts, ['1', 'hydrant:bye'])
  assert.equal(room.clock.timers, 0)
})
