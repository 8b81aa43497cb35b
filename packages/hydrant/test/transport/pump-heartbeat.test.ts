// Signs of life, and fresher ids for quiet streams: one timer for all, nothing where something was just sent.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { envelopeMessages, plainMessages } from '../../src/transport/websocket-format.ts'
import { PumpRoom } from '../support/pump-room.ts'

const HEARTBEAT_MS = 400

test('an idle stream gets a comment, no more often than heartbeatMs and no later than that', async () => {
  const room = new PumpRoom({ heartbeatMs: HEARTBEAT_MS })
  const listener = await room.follow()
  await room.pass(HEARTBEAT_MS * 10)
  const beats = listener.writes.length
  assert.ok(beats >= 10 && beats <= 14, `${beats} in ten times heartbeatMs`)
  assert.equal(listener.bytes.toString(), ': \n\n'.repeat(beats))
  assert.equal(room.hub.counters.heartbeats, beats)
  assert.deepEqual(listener.texts, [])
})

test('a busy stream gets none; an idle one beside it does', async () => {
  const room = new PumpRoom({ heartbeatMs: HEARTBEAT_MS })
  const busy = await room.follow({ topics: ['busy'] })
  const idle = await room.follow({ topics: ['idle'] })
  for (let passed = 0; passed < 20; passed += 1) {
    await room.publish('busy', [passed])
    await room.pass(HEARTBEAT_MS / 4)
  }
  assert.equal(busy.bytes.toString().includes(': \n'), false)
  assert.equal(busy.texts.length, 20)
  assert.ok(idle.writes.length >= 4)
})

test('there is one timer, however many streams there are', async () => {
  const room = new PumpRoom({ heartbeatMs: HEARTBEAT_MS })
  const { timers } = room.clock
  await room.followMany(50)
  await room.follow({ topics: ['other'] })
  assert.equal(room.clock.timers, timers)
})

test('a crowd gets its heartbeats in slices, the same bytes for all', async () => {
  const room = new PumpRoom({ heartbeatMs: HEARTBEAT_MS })
  const listeners = await room.followMany(100)
  await room.clock.advance(HEARTBEAT_MS)
  await room.clock.turn()
  const inOneTurn = listeners.filter(({ writes }) => writes.length > 0).length
  assert.ok(inOneTurn > 0 && inOneTurn <= 64)
  await room.rest()
  for (const { writes } of listeners) assert.equal(writes[0], listeners[0]?.writes[0])
})

test('an event that comes while heartbeats are under way is neither lost nor doubled', async () => {
  const room = new PumpRoom({ heartbeatMs: HEARTBEAT_MS })
  const listeners = await room.followMany(100)
  await room.clock.advance(HEARTBEAT_MS)
  await room.clock.turn()
  await room.publish('a', [1])
  await room.rest()
  await room.publish('a', [2])
  await room.rest()
  for (const { texts } of listeners) assert.deepEqual(texts, ['1', '2'])
})

test('a quiet stream whose id is a quarter of the log behind gets a fresher one, once', async () => {
  const room = new PumpRoom({ heartbeatMs: HEARTBEAT_MS })
  const listener = await room.follow({ topics: ['quiet'] })
  await room.publish('a', [1, 2, 3])
  await room.pass(HEARTBEAT_MS)
  assert.deepEqual(listener.messages, [{ type: 'hydrant:position', data: '{}', lastEventId: room.idAt(3) }])
  await room.pass(HEARTBEAT_MS * 4)
  assert.equal(listener.messages.length, 1, 'then comments again')
  await room.publish('quiet', [4])
  await room.rest()
  assert.deepEqual(listener.texts, ['hydrant:position', '4'])
})

test('an id that is fresh enough is left alone', async () => {
  const room = new PumpRoom({ heartbeatMs: HEARTBEAT_MS })
  await room.publish('a', Array.from({ length: 100 }, String))
  const listener = await room.follow({ topics: ['quiet'] })
  await room.publish('a', Array.from({ length: 20 }, String))
  await room.pass(HEARTBEAT_MS * 3)
  assert.deepEqual(listener.messages, [])
  assert.ok(listener.writes.length > 0)
})

test('a fresher id never stands for an event that was not sent', async () => {
  const room = new PumpRoom({ heartbeatMs: HEARTBEAT_MS, sliceSockets: 2 })
  const listeners = await room.followMany(20, { topics: ['quiet'] })
  await room.publish('a', [1, 2, 3])
  await room.clock.advance(HEARTBEAT_MS)
  await room.clock.turn()
  await room.publish('quiet', [4])
  await room.clock.turn()
  const late = await room.follow({ topics: ['quiet'] })
  await room.publish('quiet', [5])
  await room.rest()
  assert.deepEqual(late.texts, ['5'])
  for (const { texts, messages } of listeners) {
    assert.deepEqual(texts, ['hydrant:position', '4', '5'])
    assert.equal(messages[0]?.lastEventId, room.idAt(3))
  }
})

test('whoever has read beyond a fresher id while it was under way is not set back to it', async () => {
  const count = 12
  for (let place = 0; place < count; place += 1) {
    const room = new PumpRoom({ heartbeatMs: HEARTBEAT_MS, sliceSockets: 1 })
    const listeners = await room.followMany(count, { topics: ['quiet'] })
    const both = listeners[place]
    assert.ok(both !== undefined)
    await room.follow({ topics: ['other'], on: both, label: 1 })
    await room.publish('a', [1, 2, 3])
    await room.clock.advance(HEARTBEAT_MS)
    await room.clock.turn()
    both.isFull = true
    await room.publish('other', ['o'])
    for (let turns = 0; turns < 3; turns += 1) await room.clock.turn()
    await room.publish('quiet', [5])
    both.drain()
    await room.rest()
    await room.publish('quiet', [6])
    await room.rest()
    for (const { texts } of listeners) {
      const quiet = texts.filter((text) => text === '5' || text === '6')
      assert.deepEqual(quiet, ['5', '6'], `the one at ${place} stalled`)
    }
  }
})

test('a reconnect with an old id to a quiet stream is given a fresher one at once', async () => {
  const room = new PumpRoom({ heartbeatMs: HEARTBEAT_MS })
  await room.publish('a', Array.from({ length: 100 }, String))
  const listener = await room.follow({ topics: ['quiet'], start: { lastEventId: room.idAt(10) } })
  await room.rest()
  assert.deepEqual(listener.messages, [{ type: 'hydrant:position', data: '{}', lastEventId: room.idAt(100) }])
})

test('WebSockets, whose heartbeats are pings, are sent and counted none here; envelopes get fresher ids', async () => {
  const room = new PumpRoom({ heartbeatMs: HEARTBEAT_MS })
  const plain = await room.follow({ topics: ['quiet'], format: plainMessages })
  const enveloped = await room.follow({ topics: ['quiet'], format: envelopeMessages })
  await room.pass(HEARTBEAT_MS * 3)
  assert.deepEqual([plain.writes.length, enveloped.writes.length, room.hub.counters.heartbeats], [0, 0, 0])
  await room.publish('a', [1, 2, 3])
  await room.pass(HEARTBEAT_MS * 3)
  assert.equal(plain.writes.length, 0)
  assert.equal(enveloped.bytes.subarray(2).toString(), JSON.stringify({ position: room.idAt(3) }))
})

test('a stalled stream gets no heartbeats', async () => {
  const room = new PumpRoom({ heartbeatMs: HEARTBEAT_MS })
  const listener = await room.follow()
  listener.isFull = true
  await room.publish('a', [1])
  await room.rest()
  await room.pass(HEARTBEAT_MS * 3)
  assert.deepEqual([listener.writes.length, listener.forbidden], [1, 0])
})
