// When a feed is compressed, when it is not, and what that takes in memory.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storedBlocks } from '../../src/compression/gzip-stream.ts'
import { GzipListener, gzipFormatOf } from '../support/gzip-listener.ts'
import { PumpRoom } from '../support/pump-room.ts'

const HEARTBEAT_MS = 1_000
const FORMAT = gzipFormatOf({ flushes: 1_000, bytes: 1_000_000 })
const EVENT_BYTES = 1_000
/** An event of nothing but the same letter, once it is compressed. */
const COMPRESSED_MAX = 200

async function follow(room: PumpRoom, count: number): Promise<readonly GzipListener[]> {
  const all: GzipListener[] = []
  for (let at = 0; at < count; at += 1) all.push(await GzipListener.open(room, FORMAT))
  return all
}

/** Publishes an event; answers how many bytes each got for it. */
async function publish(room: PumpRoom, listeners: readonly GzipListener[]): Promise<readonly number[]> {
  const before = listeners.map(({ bytes }) => bytes)
  await room.publish('prices', ['x'], EVENT_BYTES)
  await room.rest()
  return listeners.map(({ bytes }, at) => bytes - (before[at] ?? 0))
}

const isCompressed = (bytes: number): boolean => bytes < COMPRESSED_MAX

test('a feed is compressed as soon as enough clients can read it, and as long', async () => {
  const room = new PumpRoom({ shareConnectionsMin: 3 })
  const two = await follow(room, 2)
  assert.deepEqual((await publish(room, two)).map(isCompressed), [false, false])
  const three = [...two, ...(await follow(room, 1))]
  assert.deepEqual((await publish(room, three)).map(isCompressed), [true, true, true])
  three.pop()?.socket.cut(0)
  assert.deepEqual((await publish(room, two)).map(isCompressed), [false, false])
})

test('who comes in the middle of a segment waits; a feed that was quiet forgets its past, and all are in step', async () => {
  const room = new PumpRoom({ shareConnectionsMin: 1, heartbeatMs: HEARTBEAT_MS })
  const early = await follow(room, 1)
  await publish(room, early)
  const both = [...early, ...(await follow(room, 1))]
  assert.deepEqual((await publish(room, both)).map(isCompressed), [true, false])
  await room.pass(HEARTBEAT_MS, HEARTBEAT_MS / 4)
  assert.equal(early[0]?.stream.comments.length, 1)
  assert.deepEqual((await publish(room, both)).map(isCompressed), [true, true])
})

test('who is not in step gets the same Buffer as all others who are not, and what it takes is counted once', async () => {
  const room = new PumpRoom({ shareConnectionsMin: 1 })
  await publish(room, await follow(room, 1))
  const late = await follow(room, 5)
  for (const { socket } of late) socket.isFull = true
  await publish(room, late)
  const held = late.map(({ socket }) => socket.writes.at(-1))
  assert.ok(held.every((bytes) => bytes === held[0]))
  const { counters } = room.hub
  const { pinnedBytes } = counters
  assert.ok(pinnedBytes > 2 * EVENT_BYTES, `plain and stored, not ${pinnedBytes}`)
  assert.ok(pinnedBytes < 3 * EVENT_BYTES, `once for all, not ${pinnedBytes}`)
  for (const { socket } of late) socket.drain()
  assert.equal(counters.pinnedBytes, 0)
})

test('stored blocks end with an empty one, without which some decoders hold back what they have', () => {
  for (const length of [0, 1, 65_534, 65_535, 65_536, 200_000]) {
    const blocks = Buffer.from(storedBlocks(new Uint8Array(length)))
    assert.equal(blocks.subarray(-5).toString('hex'), '000000ffff')
    assert.equal(blocks.length, length + 5 * (Math.ceil(length / 65_535) + 1))
  }
})
