// The decisions over slow subscribers and old ids, as tables.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decideLag, isPositionDue, type Lag, type LagDecision } from '../../src/hub/lag.ts'

test('nothing is done while nothing is lost; then the policy decides', () => {
  const table: readonly (readonly [Lag, LagDecision])[] = [
    [{ policy: 'disconnect', lost: false }, 'wait'],
    [{ policy: 'skip', lost: false }, 'wait'],
    [{ policy: 'disconnect', lost: true }, 'disconnect'],
    [{ policy: 'skip', lost: true }, 'skip'],
  ]
  for (const [lag, decision] of table) assert.equal(decideLag(lag), decision)
})

test('a fresher id is due when the last one is a quarter of the log behind', () => {
  const table: readonly (readonly [sent: number, floor: number, head: number, isDue: boolean])[] = [
    [100, 0, 100, false],
    [75, 0, 100, false],
    [74, 0, 100, true],
    [0, 0, 100, true],
    [0, 0, 0, false],
    [7, 7, 7, false],
    [0, 0, 1, true],
    [1_000, 900, 1_025, false],
    [1_000, 900, 1_034, true],
    [500, 900, 1_000, true],
  ]
  for (const [sent, floor, head, isDue] of table)
    assert.equal(isPositionDue(sent, floor, head), isDue, `${sent} in (${floor}, ${head}]`)
})
