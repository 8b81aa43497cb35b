// Faults of all kinds by the dice, some at once, on three nodes and the broker that they share; more of them, and a Redis
// that keeps what it has, by `npm run torture -- --cluster`.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clusterRun } from './cluster-run.ts'

const FAULTS = 3
const SEED = 1

for (const broker of ['redis that forgets', 'nats'] as const) {
  test(`${broker}, ${FAULTS} times faults by the dice: nothing is lost, doubled or reordered without a word`, async () => {
    const { report, complaints } = await clusterRun({ broker, faults: FAULTS, seed: SEED })
    assert.ok(report.ok, String(report))
    if (broker !== 'redis that forgets') assert.equal(report.tally.gaps, 0)
    assert.deepEqual(complaints, [])
  })
}
