// Binary frames and ids, written and read; and what is neither.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CLOSE_CODES, formatBinary, formatId, isReconnectable, parseBinary, parseId } from '../../src/wire/index.ts'

test('a binary frame holds its header and its bytes, also in the middle of a larger buffer', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.string()),
      fc.uint8Array(),
      fc.nat({ max: 9 }),
      (header, bytes, before) => {
        const frame = formatBinary({ ...header }, bytes)
        const larger = new Uint8Array(before + frame.length + 3)
        larger.set(frame, before)
        const parsed = parseBinary(larger.subarray(before, before + frame.length))
        assert.equal(JSON.stringify(parsed?.header), JSON.stringify({ ...header }))
        assert.deepEqual(Array.from(parsed?.bytes ?? []), Array.from(bytes))
      },
    ),
  )
})

test('what is cut short, no JSON or no UTF-8 is no frame', () => {
  const frame = formatBinary({ a: 'ü' }, Uint8Array.of(1))
  for (let length = 0; length < frame.length - 1; length += 1)
    assert.equal(parseBinary(frame.slice(0, length)), undefined)
  assert.equal(parseBinary(Uint8Array.of(0, 1, 0x7b)), undefined)
  assert.equal(parseBinary(Uint8Array.of(0, 3, 0x22, 0xff, 0x22)), undefined)
})

test('a header that its 16-bit length cannot say is refused', () => {
  assert.throws(() => formatBinary({ a: 'x'.repeat(65_536) }, Uint8Array.of()), RangeError)
})

test('an id is read as it was written, and nothing else is one', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (offset) => {
      assert.deepEqual(parseId(formatId('0123456789ab', offset)), { epoch: '0123456789ab', offset })
    }),
  )
  const others = ['', '1', '0123456789ab', '0123456789ab-', '0123456789ab-01', '0123456789AB-1', '0123456789ab--1']
  for (const text of [...others, '0123456789ab-9007199254740993', ' 0123456789ab-1', '0123456789ab-1\n'])
    assert.equal(parseId(text), undefined, JSON.stringify(text))
})

test('close codes tell a client whether to come back', () => {
  const back = Object.entries(CLOSE_CODES).filter(([, code]) => isReconnectable(code))
  assert.deepEqual(
    back.map(([name]) => name),
    ['going-away', 'internal-error', 'lagged', 'unresponsive', 'gap', 'too-many-connections', 'rate-exceeded'],
  )
  for (const code of [1005, 1006, 1011, 1012, 1013, 3000, 4499]) assert.ok(isReconnectable(code), String(code))
  for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 1010, 4500, 4999])
    assert.ok(!isReconnectable(code), String(code))
})
