// Which filters the tail of NATS gets: they bring everything that is followed, and never two of them meet.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { FollowedSubjects } from '../../src/engine/nats-following.ts'
import { coversSubject, subjectsMeet, Subjects } from '../../src/engine/nats-subject.ts'
import { Selection } from '../../src/hub/selection.ts'

const subjects = new Subjects('hydrant.main')
const name = fc.array(fc.constantFrom('a', 'b', 'end', 'term'), { minLength: 1, maxLength: 3 })
const pattern = fc
  .tuple(name, fc.constantFrom('', '/*', '/**'), fc.boolean())
  .map(([segments, last, isWide]) => (isWide ? ['*', ...segments.slice(1)] : segments).join('/') + last)
const selection = fc
  .array(pattern, { minLength: 1, maxLength: 4 })
  .map((patterns) => Selection.of(patterns, undefined, 100))

type Step = { readonly selection: Selection; readonly moves: number }
const step = fc.record({ selection, moves: fc.nat(5) })

test('filters cover what is followed, and ends and terms, and no two of them meet', () => {
  fc.assert(
    fc.property(fc.array(selection, { maxLength: 20 }), fc.boolean(), (selections, hasManyFilters) => {
      const followed = new FollowedSubjects(subjects)
      for (const one of selections) followed.add(one)
      const wanted = followed.wanted(hasManyFilters)
      const wants = selections.flatMap(({ topics }) => topics.map((topic) => subjects.filter(topic)))
      for (const filter of [...wants, subjects.control])
        assert.ok(
          wanted.some((wide) => coversSubject(wide, filter)),
          `${filter} is not in ${wanted.join()}`,
        )
      for (const [at, one] of wanted.entries())
        for (const other of wanted.slice(at + 1)) assert.ok(!subjectsMeet(one, other), `${one} meets ${other}`)
      if (!hasManyFilters) assert.equal(wanted.length, 1)
    }),
  )
})

test('who follows nothing any more is brought ends and terms only', () => {
  fc.assert(
    fc.property(fc.array(selection), (selections) => {
      const followed = new FollowedSubjects(subjects)
      for (const one of selections) followed.add(one)
      for (const one of selections.toReversed()) followed.remove(one)
      assert.deepEqual(followed.wanted(true), [subjects.control])
    }),
  )
})

test('what is followed without a break is complete from where it was followed first', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), (steps: readonly Step[]) => {
      const followed = new FollowedSubjects(subjects)
      let head = 10
      const begun: { readonly selection: Selection; readonly at: number }[] = []
      for (const { selection: asked, moves } of steps) {
        followed.add(asked)
        followed.switched(followed.wanted(true), head)
        begun.push({ selection: asked, at: head })
        head += moves
        for (const { selection: one, at } of begun) {
          assert.ok(followed.covers(one))
          assert.ok(followed.from(one) <= at, `complete from ${followed.from(one)}, not from ${at}`)
        }
      }
    }),
  )
})
