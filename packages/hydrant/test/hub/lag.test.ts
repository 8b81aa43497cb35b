// The decisions over slow subscribers and old ids, as tables.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHub } from '../../src/index.ts'
import { decideLag, isPositionDue, lagPolicyOf, type Lag, type LagDecision, type LagRule } from '../../src/hub/lag.ts'
import { Selection } from '../../src/hub/selection.ts'

test('nothing is done while nothing is lost; then the policy decides', () => {
  const table: readonly (readonly [Lag, LagDecision])[] = [
    [{ policy: 'disconnect', lost: false }, 'wait'],
    [{ policy: 'skip', lost: false }, 'wait'],
    [{ policy: 'disconnect', lost: true }, 'disconnect'],
    [{ policy: 'skip', lost: true }, 'skip'],
  ]
  for (const [lag, decision] of table) assert.equal(decideLag(lag), decision)
})

const RULES: readonly LagRule[] = [
  { topics: 'prices/exact', policy: 'disconnect' },
  { topics: 'prices/**', policy: 'latest' },
  { topics: 'quotes/*', policy: 'latest' },
  { topics: 'news', policy: 'skip' },
]

for (const [topics, policy, why] of [
  [['prices/AAPL'], 'latest', 'the first rule that covers a topic holds'],
  [['prices/exact'], 'disconnect', 'the first, not the widest'],
  [['prices/*'], 'latest', 'a pattern is covered by a wider one'],
  [['prices/AAPL', 'quotes/MSFT'], 'latest', 'rules that say the same agree'],
  [['prices/AAPL', 'news'], 'disconnect', 'rules that differ lose nothing'],
  [['prices/AAPL', 'prices/exact'], 'disconnect', 'also when a wide rule covers both'],
  [['news', 'other'], 'disconnect', 'a topic without a rule is not skipped for the sake of another'],
  [['other'], 'disconnect', 'no rule'],
  [['quotes/**'], 'disconnect', 'no rule covers the whole of a pattern'],
  [['**'], 'disconnect', 'a rule for a part of it does not hold for all'],
] as const) {
  test(`by rules the policy of ${topics.join(' and ')} is ${policy}: ${why}`, () => {
    assert.equal(lagPolicyOf(RULES, Selection.of(topics, undefined, 10)), policy)
  })
}

test('one policy holds for every selection, and a last rule for ** catches the rest', () => {
  const all = Selection.of(['**'], undefined, 10)
  assert.equal(lagPolicyOf('skip', all), 'skip')
  assert.equal(lagPolicyOf([...RULES, { topics: '**', policy: 'skip' }], all), 'skip')
})

test('a rule whose pattern cannot be used is refused when the hub is made', () => {
  assert.throws(() => createHub({ lag: [{ topics: 'a//b', policy: 'skip' }] }), { code: 'malformed-pattern' })
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
