// Waits between connections, and what follows the end of one: decisions over numbers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { backoffMs } from '../../src/backoff.ts'
import { stateAfter, type Circumstances, type WhyCode } from '../../src/state.ts'
import { judgeSilence } from '../../src/watchdog.ts'

const BACKOFF = { baseMs: 1_000, maxMs: 30_000 }

test('the longest wait doubles with each failure, up to the bound', () => {
  const longest = [1, 2, 3, 4, 5, 6, 7, 1_000].map((failures) => backoffMs(failures, BACKOFF, 1))
  assert.deepEqual(longest, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
})

test('a wait is anywhere between nothing and the longest: full jitter', () => {
  assert.deepEqual(
    [0, 0.25, 0.999].map((random) => backoffMs(3, BACKOFF, random)),
    [0, 1_000, 3_996],
  )
})

test('a base over the bound, as a server may ask for, is kept to', () => {
  assert.equal(backoffMs(1, { baseMs: 60_000, maxMs: 30_000 }, 0.5), 30_000)
  assert.equal(backoffMs(9, { baseMs: 60_000, maxMs: 30_000 }, 0.5), 30_000)
})

test('a wait is a whole number of milliseconds that a timer can have, whatever the numbers', () => {
  const anyMs = fc.nat({ max: 3_600_000 })
  fc.assert(
    fc.property(
      fc.integer({ min: 1 }),
      anyMs,
      anyMs,
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (n, base, max, random) => {
        const delayMs = backoffMs(n, { baseMs: base, maxMs: max }, random)
        assert.ok(Number.isInteger(delayMs) && delayMs >= 0 && delayMs <= Math.max(base, max))
      },
    ),
  )
})

test('what is final closes the stream; everything else is waited for', () => {
  const circumstances: Circumstances = { failures: 1, backoff: BACKOFF, nowMs: 10_000, random: 0.5 }
  const statusAfter = (code: WhyCode): string => stateAfter({ why: { code, detail: '' } }, circumstances).status
  for (const code of ['asked', 'ended', 'refused'] as const) assert.equal(statusAfter(code), 'closed')
  for (const code of ['unreachable', 'cut', 'silent', 'farewell', 'behind', 'malformed'] as const)
    assert.equal(statusAfter(code), 'waiting')
})

test('the wait after a useful connection is the first one, not none', () => {
  const state = stateAfter(
    { why: { code: 'cut', detail: '' } },
    { failures: 0, backoff: BACKOFF, nowMs: 10_000, random: 0.5 },
  )
  assert.deepEqual(state, { status: 'waiting', untilMs: 10_500, attempt: 0, why: { code: 'cut', detail: '' } })
})

test('silence is suspicious from two thirds on, and death from the whole on', () => {
  assert.deepEqual(
    [0, 29_999, 30_000, 44_999, 45_000].map((silentMs) => judgeSilence(silentMs, 45_000)),
    ['fine', 'fine', 'suspicious', 'suspicious', 'dead'],
  )
})
