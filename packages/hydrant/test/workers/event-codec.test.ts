// Events travel between threads as they are, whatever is in them, and share nothing afterwards.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { checkedOf } from '../../src/engine/contract-events.ts'
import { LogEvent } from '../../src/hub/event.ts'
import { packEvents, sizeOf, unpackEvents } from '../../src/workers/event-codec.ts'
import { SharedBuffers } from '../../src/workers/shared-buffers.ts'

const text = fc.string({ unit: 'binary', maxLength: 40 })
const event = fc
  .record({
    epoch: fc.constantFrom('0123456789ab', 'ba9876543210'),
    offset: fc.maxSafeNat(),
    timeMs: fc.maxSafeNat(),
    topic: fc.constantFrom('a', 'a/b', 'stocks/AAPL'),
    type: fc.oneof(fc.constant('message'), fc.string({ minLength: 1, unit: 'binary' })),
    key: fc.option(fc.string({ minLength: 1, unit: 'binary' }), { nil: undefined }),
    data: fc.oneof(text, fc.string({ unit: 'grapheme-ascii' }), fc.uint8Array({ maxLength: 40 })),
  })
  .map(({ epoch, offset, timeMs, ...checked }) => new LogEvent(epoch, offset, timeMs, checked))

test('what was packed is what is unpacked', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20 }), (events) => {
      const packed = packEvents(events, new SharedArrayBuffer(sizeOf(events)))
      const unpacked = unpackEvents(structuredClone(packed))
      assert.deepEqual(unpacked.map(checkedOf), events.map(checkedOf))
      assert.deepEqual(
        unpacked.map(({ id, timeMs }) => [id, timeMs]),
        events.map(({ id, timeMs }) => [id, timeMs]),
      )
    }),
  )
})

test('what was unpacked does not change with the buffer', () => {
  const events = [new LogEvent('0123456789ab', 1, 1, { topic: 'a', type: 'b', key: 'c', data: Uint8Array.of(1, 2) })]
  const bytes = new SharedArrayBuffer(sizeOf(events))
  const unpacked = unpackEvents(packEvents(events, bytes))
  new Uint8Array(bytes).fill(255)
  assert.deepEqual(unpacked.map(checkedOf), events.map(checkedOf))
})

test('a buffer is used again only when nobody reads it any more', () => {
  const buffers = new SharedBuffers()
  const first = buffers.take(10)
  first.readers = 2
  buffers.release(first)
  assert.notEqual(buffers.take(10), first)
  first.readers = 1
  buffers.release(first)
  assert.notEqual(buffers.take(10), first)
  first.readers = 0
  buffers.release(first)
  assert.equal(buffers.take(10), first)
})

test('a large buffer is not kept', () => {
  const buffers = new SharedBuffers()
  const large = buffers.take(5_000_000)
  assert.ok(large.bytes.byteLength >= 5_000_000)
  buffers.release(large)
  assert.notEqual(buffers.take(10), large)
})
