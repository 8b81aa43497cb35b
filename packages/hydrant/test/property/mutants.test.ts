// The list of planted bugs must not rot: each still has its place in the sources.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { itemsOf, recordOf } from '../support/record.ts'

const ROOT = new URL('../../../../', import.meta.url)

test('every mutant has a name of its own, a promise that it breaks, and a text that stands exactly once', () => {
  const mutants = itemsOf(JSON.parse(readFileSync(new URL('scripts/mutants/mutants.json', ROOT), 'utf8'))).map(recordOf)
  assert.ok(mutants.length >= 12)
  assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length)
  for (const { name, file, text, replacement, breaks } of mutants) {
    const source = readFileSync(new URL(String(file), ROOT), 'utf8')
    assert.equal(source.split(String(text)).length - 1, 1, `${String(name)}: its text in ${String(file)}`)
    assert.notEqual(text, replacement)
    assert.match(String(breaks), /^\S.*\.$/)
  }
})
