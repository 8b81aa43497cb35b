// Terms of a log in NATS: whoever compares tables undoes what was undone, and nothing that both have in common.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { SeenMessages } from '../../src/engine/nats-seen.ts'
import {
  commonTo,
  formatRecord,
  nextRecord,
  parseRecord,
  termAt,
  type Term,
  type TermRecord,
} from '../../src/engine/nats-terms.ts'

const TERMS_MAX = 1_000
const moves = fc.array(fc.record({ more: fc.nat(5), lost: fc.nat(8), run: fc.constantFrom('r1', 'r2') }), {
  maxLength: 12,
})

/** A log that goes on, loses its end, and begins a term, again and again: its tables. */
function tablesOf(steps: readonly { more: number; lost: number; run: string }[]): readonly TermRecord[] {
  let record = nextRecord(undefined, { name: 'e0', to: 0, isAfterLoss: false, run: 'r0' }, TERMS_MAX)
  const tables = [record]
  let last = 1
  for (const [at, { more, lost, run }] of steps.entries()) {
    const to = Math.max(0, last + more - lost)
    record = nextRecord(record, { name: `e${at + 1}`, to, isAfterLoss: lost > 0, run }, TERMS_MAX)
    last = to + 1
    tables.push(record)
  }
  return tables
}

test('two tables are the same of every offset up to what they have in common, and of the next they are not', () => {
  fc.assert(
    fc.property(moves, fc.nat(12), fc.nat(12), (steps, one, other) => {
      const tables = tablesOf(steps)
      const [ours, theirs] = [tables[Math.min(one, steps.length)], tables[Math.min(other, steps.length)]]
      assert.ok(ours !== undefined && theirs !== undefined)
      const common = commonTo(ours.terms, theirs.terms)
      const nameAt = (terms: readonly Term[], offset: number): string => termAt(terms, offset)?.name ?? ''
      for (let offset = 1; offset <= Math.min(common, 200); offset += 1)
        assert.equal(nameAt(ours.terms, offset), nameAt(theirs.terms, offset))
      if (common < Number.POSITIVE_INFINITY && common > 0)
        assert.notEqual(nameAt(ours.terms, common + 1), nameAt(theirs.terms, common + 1))
    }),
  )
})

test('a table begins at the beginning, and its terms never go back', () => {
  fc.assert(
    fc.property(moves, (steps) => {
      for (const { terms } of tablesOf(steps)) {
        assert.equal(terms[0]?.first, 0)
        for (const [at, { first }] of terms.entries()) assert.ok(first >= (terms[at - 1]?.first ?? 0))
      }
    }),
  )
})

test('a record reads as it was written', () => {
  fc.assert(
    fc.property(moves, (steps) => {
      for (const record of tablesOf(steps)) assert.deepEqual(parseRecord(formatRecord(record)), record)
    }),
  )
})

test('what somebody else wrote is no record', () => {
  for (const text of ['', '{', 'null', '[]', '{}', '{"terms":[],"runs":[]}', '{"terms":[["a"]],"runs":[]}'])
    assert.equal(parseRecord(text), undefined)
})

test('a table that has forgotten its oldest terms is still the same table', () => {
  const long = tablesOf(Array.from({ length: 12 }, () => ({ more: 3, lost: 0, run: 'r1' }))).at(-1)
  assert.ok(long !== undefined)
  assert.equal(commonTo(long.terms, long.terms.slice(5)), Number.POSITIVE_INFINITY)
  assert.equal(commonTo(long.terms.slice(5), long.terms), Number.POSITIVE_INFINITY)
})

test('where a stream parts from what was seen is found, exactly when it is near', async () => {
  for (const [count, fork] of [
    [10, 0],
    [10, 4],
    [10, 10],
    [20_000, 19_000],
  ] as const) {
    const seen = new SeenMessages()
    for (let seq = 1; seq <= count; seq += 1) seen.note(seq, String(seq))
    assert.equal(await seen.sameTo(async ({ seq }) => seq <= fork), fork)
  }
})

test('far back it is found too early by no more than what was undone, never too late', async () => {
  const count = 50_000
  const seen = new SeenMessages()
  for (let seq = 1; seq <= count; seq += 1) seen.note(seq, String(seq))
  for (const fork of [1, 100, 5_000, 25_000, 30_000, 40_000, 45_000]) {
    const found = await seen.sameTo(async ({ seq }) => seq <= fork)
    assert.ok(found <= fork && found >= fork - (count - fork), `${found} for ${fork}`)
  }
})
