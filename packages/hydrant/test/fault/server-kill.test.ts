// The server, killed at random moments under load and started again: what it acknowledged comes to every client, once
// and in order, whatever way the client comes by.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killRun } from './kill-run.ts'

const KILLS = 10

for (const seed of [1, 2]) {
  test(`killed ${KILLS} times under load (seed ${seed}), the server loses, doubles and reorders nothing`, async () => {
    const { report, stderr, losses, silences } = await killRun({ kills: KILLS, seed })
    assert.ok(report.ok, String(report))
    assert.equal(report.tally.gaps, 0, 'nothing is missing from a log on disk, so that nothing may be said to be')
    assert.ok(report.tally.acknowledged > 10 * KILLS, `only ${report.tally.acknowledged} events were acknowledged`)
    assert.ok(Math.min(...losses) >= KILLS / 2, `the clients lost ${losses.join(', ')} connections`)
    assert.ok(silences > 0, 'no publisher noticed')
    assert.equal(stderr, '')
  })
}
