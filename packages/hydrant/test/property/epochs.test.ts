// Ids over the terms of a log, against a model that remembers which offsets each term wrote, and which were undone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { formatId, parseId } from 'hydrant-client/wire'
import { Epochs } from '../../src/hub/epochs.ts'

/** A term: it wrote so many events, and of them so many were lost at its end. */
interface Term {
  readonly wrote: number
  readonly lost: number
}

const terms: fc.Arbitrary<readonly Term[]> = fc.array(
  fc
    .record({ wrote: fc.nat({ max: 6 }), lost: fc.nat({ max: 6 }) })
    .map(({ wrote, lost }) => ({ wrote, lost: Math.min(wrote, lost) })),
  { minLength: 1, maxLength: 6 },
)

function nameOf(at: number): string {
  return `${at}`.padStart(12, '0')
}

test('an id goes on exactly where what it stood for is known, and at the end of its term where it was undone', () => {
  fc.assert(
    fc.property(terms, (given) => {
      const epochs = new Epochs([], 1_000)
      const written: { readonly name: string; readonly offset: number; readonly isUndone: boolean }[] = []
      const ends: number[] = []
      let head = 0
      for (const [at, { wrote, lost }] of given.entries()) {
        epochs.begin({ name: nameOf(at), first: head + 1 })
        const end = head + wrote - (at === given.length - 1 ? 0 : lost)
        for (let offset = head + 1; offset <= head + wrote; offset += 1)
          written.push({ name: nameOf(at), offset, isUndone: offset > end })
        head = end
        ends.push(end)
      }
      for (const { name, offset, isUndone } of written) {
        const id = parseId(formatId(name, offset))
        assert.ok(id !== undefined)
        const expected = isUndone ? { after: ends[Number(name)], known: false } : { after: offset, known: true }
        assert.deepEqual(epochs.resume(id, 0, head), expected, `${name}-${offset}`)
        if (!isUndone) assert.equal(epochs.idAt(offset), formatId(name, offset))
      }
      assert.deepEqual(epochs.resume({ epoch: 'ffffffffffff', offset: 1 }, 3, head), { after: 3, known: false })
    }),
  )
})

test('every id that was ever given for a place leads back to it, also when terms are forgotten', () => {
  fc.assert(
    fc.property(terms, fc.integer({ min: 1, max: 3 }), (given, rowsMax) => {
      const epochs = new Epochs([], rowsMax)
      let head = 0
      for (const [at, { wrote }] of given.entries()) {
        epochs.begin({ name: nameOf(at), first: head + 1 })
        head += wrote
      }
      for (let offset = 0; offset <= head; offset += 1) {
        const id = parseId(epochs.idAt(offset))
        assert.ok(id !== undefined)
        assert.deepEqual(epochs.resume(id, 0, head), { after: offset, known: true })
      }
      const forgotten = given.length - rowsMax
      if (forgotten > 0) assert.equal(epochs.resume({ epoch: nameOf(forgotten - 1), offset: 1 }, 0, head).known, false)
    }),
  )
})

test('ids are read back as they were written, and nothing else is an id', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9a-f]{12}$/), fc.nat({ max: 2 ** 31 }), (epoch, offset) => {
      assert.deepEqual(parseId(formatId(epoch, offset)), { epoch, offset })
    }),
  )
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('0', '1', 'a', 'f', '-', 'A', ' ', '\n', '+', '.') }), (text) => {
      const id = parseId(text)
      if (id !== undefined) assert.equal(formatId(id.epoch, id.offset), text)
    }),
  )
  for (const wrong of [
    '',
    '-',
    '0123456789ab',
    '0123456789ab-',
    '0123456789ab-01',
    '0123456789ab--1',
    '0123456789ab-1 ',
    '0123456789AB-1',
    '0123456789ab-9007199254740992',
    '0123456789ab-1e3',
    '0123456789abc-1',
    '\n0123456789ab-1',
  ])
    assert.equal(parseId(wrong), undefined, JSON.stringify(wrong))
  assert.deepEqual(parseId('0123456789ab-9007199254740991'), { epoch: '0123456789ab', offset: 2 ** 53 - 1 })
})

test('terms must begin in order, and a place before any term has no id', () => {
  const epochs = new Epochs([{ name: nameOf(1), first: 5 }], 10)
  assert.throws(() => epochs.begin({ name: nameOf(2), first: 4 }), /begins at 4/)
  assert.throws(() => new Epochs([], 10).idAt(1), /has no epoch/)
})
