// What was trimmed, against a list of everything that was: never silent, never a false alarm that is called certain.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Trimmed } from '../../src/engine/trimmed.ts'
import { Selection } from '../../src/hub/selection.ts'
import { logEvent } from '../support/log-event.ts'
import { isWanted, type Wanted } from '../support/published-log.ts'

interface Gone {
  readonly offset: number
  readonly topic: string
  readonly type: string
}

const gone = fc
  .array(
    fc.record({
      step: fc.constantFrom(1, 1, 2, 10),
      topic: fc.constantFrom('a', 'a', 'b', 'c/1', 'c/2', 'c/3', 'd'),
      type: fc.constantFrom('message', 'x', 'y'),
    }),
    { maxLength: 40 },
  )
  .map((events) => {
    let offset = 0
    return events.map(({ step, topic, type }): Gone => ({ offset: (offset += step), topic, type }))
  })

const wanted: fc.Arbitrary<Wanted> = fc.record({
  topics: fc.oneof(
    fc.uniqueArray(fc.constantFrom('a', 'b', 'c/1', 'd', 'none'), { minLength: 1, maxLength: 3 }),
    fc.constantFrom(['**'], ['c/*'], ['a', 'c/**'], ['*/1']),
  ),
  types: fc.constantFrom(undefined, ['x'], ['x', 'y'], ['none']),
})

test('a cursor behind which something selected is gone is told so; certain is what was remembered', () => {
  fc.assert(
    fc.property(
      gone,
      wanted,
      fc.constantFrom(1, 2, 3, 5, 1_000),
      fc.nat({ max: 200 }),
      (events, want, rowsMax, place) => {
        const trimmed = new Trimmed(rowsMax)
        for (const one of events) trimmed.note(logEvent(one.offset, one))
        const after = Math.min(place, events.at(-1)?.offset ?? 0)
        const judged = trimmed.judge(after, Selection.of(want.topics, want.types, 100))
        const missed = events.filter((event) => event.offset > after && isWanted(want, event))
        const forgotten = forgottenFloor(events, rowsMax)

        if (judged.gone === false) {
          assert.deepEqual(missed, [], 'lost in silence')
          assert.ok(after >= forgotten, 'a certain answer where some was forgotten')
          return
        }
        assert.ok(judged.to > after, 'the gap is empty')
        assert.ok((missed.at(-1)?.offset ?? 0) <= judged.to, 'the gap ends before the last that is gone')
        if (judged.certain)
          assert.equal(missed.at(-1)?.offset, judged.to, 'a certain gap ends at the last that is gone')
        else assert.ok(after < forgotten && judged.to === forgotten, 'uncertain although nothing was forgotten')
      },
    ),
    { numRuns: 2_000 },
  )
})

/**
 * The rule, told naively: of each topic the pairs with its types are rows. While there are too many, the topic that
 * lost an event longest ago is forgotten, whole.
 */
function forgottenFloor(events: readonly Gone[], rowsMax: number): number {
  let rows: { readonly topic: string; readonly type: string; readonly offset: number }[] = []
  let floor = 0
  for (const one of events) {
    rows = [...rows.filter(({ topic, type }) => topic !== one.topic || type !== one.type), one]
    while (rows.length > rowsMax) {
      const last = new Map(rows.map(({ topic, offset }) => [topic, offset]))
      const [oldest] = [...last].toSorted(([, left], [, right]) => left - right)
      rows = rows.filter(({ topic }) => topic !== oldest?.[0])
      floor = oldest?.[1] ?? floor
    }
  }
  return floor
}
