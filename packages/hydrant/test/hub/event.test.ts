// What may be published, and what is refused before the log sees it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProblemCode } from 'hydrant-client/wire'
import { HydrantError } from '../../src/hub/errors.ts'
import { checkEvent, LogEvent, type EventInput, type JsonValue } from '../../src/hub/event.ts'
import { fingerprintOf } from '../../src/hub/fingerprint.ts'
import { resolveLimits } from '../../src/hub/limits.ts'
import { QuietHub } from '../support/quiet-hub.ts'

const limits = resolveLimits({ eventBytesMax: 10, nameBytesMax: 8 })
const MESSAGE = { topic: 'a', type: 'message', key: undefined, data: '' } as const

test('an event needs nothing but a topic', () => {
  assert.deepEqual(checkEvent({ topic: 'a' }, limits), MESSAGE)
  assert.deepEqual(checkEvent({ topic: 'a', type: undefined, key: undefined, data: undefined }, limits), MESSAGE)
})

test('text stays text, bytes stay bytes, all else becomes JSON', () => {
  const bytes = new Uint8Array([0, 255])
  const table: readonly (readonly [JsonValue | Uint8Array, string | Uint8Array])[] = [
    ['x', 'x'],
    ['', ''],
    [bytes, bytes],
    [7, '7'],
    [null, 'null'],
    [false, 'false'],
    [[1, 'a'], '[1,"a"]'],
    [{ a: 1 }, '{"a":1}'],
  ]
  for (const [data, expected] of table) assert.deepEqual(checkEvent({ topic: 'a', data }, limits).data, expected)
})

const circle: { [name: string]: JsonValue } = {}
circle['self'] = circle
const unsayable: unknown = () => 1
const tooLarge: unknown = 1n

const REFUSED: readonly (readonly [string, EventInput, ProblemCode])[] = [
  ['no topic', { topic: '' }, 'malformed-topic'],
  ['a pattern', { topic: 'a/*' }, 'malformed-topic'],
  ['a topic with a line break', { topic: 'a\nb' }, 'malformed-topic'],
  ["EventSource's error", { topic: 'a', type: 'error' }, 'reserved-type'],
  ["EventSource's open", { topic: 'a', type: 'open' }, 'reserved-type'],
  ['a type of ours', { topic: 'a', type: 'hydrant:gap' }, 'reserved-type'],
  ['the prefix of ours alone', { topic: 'a', type: 'hydrant:' }, 'reserved-type'],
  ['an empty type', { topic: 'a', type: '' }, 'malformed-type'],
  ['a type with LF', { topic: 'a', type: 'x\ndata: y' }, 'malformed-type'],
  ['a type with CR', { topic: 'a', type: 'x\ry' }, 'malformed-type'],
  ['a type with NUL', { topic: 'a', type: 'x\0' }, 'malformed-type'],
  ['half a character in the type', { topic: 'a', type: '\ud83d' }, 'malformed-type'],
  ['a long type', { topic: 'a', type: 'x'.repeat(256) }, 'malformed-type'],
  ['an empty key', { topic: 'a', key: '' }, 'malformed-key'],
  ['a key with a line break', { topic: 'a', key: 'x\ny' }, 'malformed-key'],
  ['a key with NUL', { topic: 'a', key: 'x\0' }, 'malformed-key'],
  ['half a character in the key', { topic: 'a', key: '\udc00' }, 'malformed-key'],
  ['a long key', { topic: 'a', key: 'x'.repeat(9) }, 'malformed-key'],
  ['half a character in the data', { topic: 'a', data: 'x\ud83d' }, 'malformed-utf8'],
  ['long text', { topic: 'a', data: 'x'.repeat(11) }, 'event-too-large'],
  ['text that is long in UTF-8', { topic: 'a', data: '語語語語' }, 'event-too-large'],
  ['long bytes', { topic: 'a', data: new Uint8Array(11) }, 'event-too-large'],
  ['long JSON', { topic: 'a', data: { a: '12345' } }, 'event-too-large'],
  ['data that goes in a circle', { topic: 'a', data: circle }, 'malformed-event'],
  ['data that JSON cannot say', { topic: 'a', data: unsayable }, 'malformed-event'],
  ['a number too large for JSON', { topic: 'a', data: { n: tooLarge as number } }, 'malformed-event'],
]

test('each fault is refused with its code, and stores nothing', async () => {
  const hub = new QuietHub({ eventBytesMax: 10, nameBytesMax: 8 })
  for (const [name, event, code] of REFUSED) {
    assert.throws(
      () => checkEvent(event, limits),
      (error) => error instanceof HydrantError && error.code === code,
      name,
    )
    await assert.rejects(hub.publish(event), { name: 'HydrantError', code }, name)
    await assert.rejects(hub.publishBatch([{ topic: 'a' }, event]), { code, message: /^Event 1: / }, name)
  }
  assert.equal(hub.window.length, 0)
  assert.equal(hub.counters.published, 0)
})

test('what is at its bound is taken', () => {
  const taken: readonly EventInput[] = [
    { topic: 'a', data: 'x'.repeat(10) },
    { topic: 'a', data: '語語語x' },
    { topic: 'a', data: new Uint8Array(10) },
    { topic: 'a', key: 'x'.repeat(8) },
    { topic: 'a', type: 'x'.repeat(255) },
    { topic: 'a', type: 'hydrant' },
    { topic: 'a', type: 'Error' },
    { topic: 'a', type: ' : ' },
    { topic: 'a', data: '\r\n\0' },
  ]
  for (const event of taken) assert.equal(checkEvent(event, limits).topic, 'a')
})

test('messages quote what a stranger sent in a form that cannot break a line, and cut it', () => {
  assert.throws(
    () => checkEvent({ topic: `a\n${'x'.repeat(500)}` }, limits),
    (error) => {
      assert.ok(error instanceof HydrantError)
      assert.ok(!error.message.includes('\n') && error.message.length < 250, error.message)
      return true
    },
  )
})

test('an event of the log has an id, and a size that holds its texts', () => {
  const event = new LogEvent('0123456789ab', 7, 5, { topic: 'abc', type: 'x', key: 'de', data: 'fghi' })
  assert.equal(event.id, '0123456789ab-7')
  assert.ok(event.sizeBytes >= 'abcdefghi'.length)
  const larger = new LogEvent('0123456789ab', 8, 5, { topic: 'abc', type: 'x', key: 'de', data: 'fghijkl' })
  assert.equal(larger.sizeBytes, event.sizeBytes + 3)
})

test('a fingerprint is the same for the same batch only', () => {
  const event = { topic: 'a', type: 'b', key: 'c', data: 'd' }
  const batches = [
    [event],
    [event, event],
    [{ ...event, topic: 'ab', type: '' }],
    [{ ...event, key: undefined }],
    [{ ...event, key: '' }],
    [{ ...event, type: 'bc', key: '' }],
    [{ ...event, data: 'D' }],
    [{ ...event, data: new Uint8Array([100]) }],
    [{ ...event, data: '' }],
    [{ ...event, data: new Uint8Array() }],
    [],
  ]
  assert.equal(new Set(batches.map(fingerprintOf)).size, batches.length)
  assert.equal(
    fingerprintOf([{ ...event, data: new Uint8Array([1]) }]),
    fingerprintOf([{ ...event, data: Buffer.from([1]) }]),
  )
})
