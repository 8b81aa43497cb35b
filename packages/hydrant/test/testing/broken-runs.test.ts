// A broken run is not ok: each way to break one is found, in its category and in no other.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokenRun, MUTATIONS } from './mutations.ts'
import { checkRun } from './naive-run.ts'

const SEEDS = Array.from({ length: 60 }, (_, seed) => seed)

for (const mutation of MUTATIONS) {
  test(`${mutation.name}: ${mutation.kind}`, () => {
    let broken = 0
    for (const seed of SEEDS) {
      const run = brokenRun(mutation, seed, ((seed * 7) % 10) / 10)
      if (run === undefined) continue
      broken += 1
      const report = checkRun(run)
      const found = report.count(mutation.kind)
      assert.equal(report.ok, false, `seed ${seed}`)
      assert.equal(report.count(), found, `seed ${seed}: ${String(report)}`)
      if (mutation.count !== undefined) assert.equal(found, mutation.count, `seed ${seed}: ${String(report)}`)
    }
    assert.ok(broken >= 5, `${broken} of ${SEEDS.length} runs could be broken so`)
  })
}
