import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isOverdue, type Phase } from '../../src/server/patience.ts'

const patience = { headMs: 10, keepAliveMs: 60, bodyQuietMs: 30, bodyMs: 300, endedQuietMs: 20 }

test('who says nothing is given as long as a head, who was answered as long as a kept connection', () => {
  assert.equal(isOverdue({ phase: 'silent', ageMs: 9, quietMs: 9 }, patience), false)
  assert.equal(isOverdue({ phase: 'silent', ageMs: 10, quietMs: 0 }, patience), true)
  assert.equal(isOverdue({ phase: 'kept', ageMs: 59, quietMs: 59 }, patience), false)
  assert.equal(isOverdue({ phase: 'kept', ageMs: 60, quietMs: 0 }, patience), true)
})

test('a body that is held whole must come on, and must end', () => {
  assert.equal(isOverdue({ phase: 'body', ageMs: 299, quietMs: 29 }, patience), false)
  assert.equal(isOverdue({ phase: 'body', ageMs: 30, quietMs: 30 }, patience), true)
  assert.equal(isOverdue({ phase: 'body', ageMs: 300, quietMs: 0 }, patience), true)
})

test('an answer must be taken, for as long as it takes', () => {
  assert.equal(isOverdue({ phase: 'ended', ageMs: 1_000_000, quietMs: 19 }, patience), false)
  assert.equal(isOverdue({ phase: 'ended', ageMs: 20, quietMs: 20 }, patience), true)
})

test('a publish stream, an open stream and what node:http watches are never overdue', () => {
  const phases = fc.constantFrom<Phase>('publish-stream', 'open', 'idle')
  fc.assert(
    fc.property(phases, fc.nat(), fc.nat(), (phase, ageMs, quietMs) => !isOverdue({ phase, ageMs, quietMs }, patience)),
  )
})
