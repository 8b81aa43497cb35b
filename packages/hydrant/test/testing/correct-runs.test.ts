// A correct run is ok, whatever happened in it: the checker has no false alarms.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { checkRun, naiveRun, randomOf, streamRun } from './naive-run.ts'

const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 })
const options = fc.record({ steps: fc.integer({ min: 1, max: 400 }), restarts: fc.boolean(), failures: fc.boolean() })

test('a correct run with trims, gaps, restarts and failed publishes is ok', () => {
  fc.assert(
    fc.property(seeds, options, (seed, option) => {
      const report = checkRun(naiveRun(seed, option))
      assert.ok(report.ok, String(report))
    }),
    { numRuns: 500 },
  )
})

test('a correct run is ok when it is settled as it goes, at any moments', () => {
  fc.assert(
    fc.property(seeds, options, fc.integer({ min: 1, max: 30 }), (seed, option, every) => {
      const random = randomOf(seed + 1)
      const report = streamRun(naiveRun(seed, option), () => random(every) === 0)
      assert.ok(report.ok, String(report))
    }),
    { numRuns: 500 },
  )
})
