// The promise of the whole: whatever clients and publishers do, every stream ends exact, or with gaps that are right.
//
// The same runs each time. `npm run simulate` plays others, and more of them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { play, scene } from './simulation.ts'

const RUNS = 500
const SEED = 20_260_131

test('whatever happens to clients and hub, every stream is exact or has gaps that are right', async () => {
  const seen = { events: 0, gaps: 0 }
  await fc.assert(
    fc.asyncProperty(scene, async (given) => {
      const { events, gaps } = await play(given)
      seen.events += events
      seen.gaps += gaps
    }),
    { numRuns: RUNS, seed: SEED },
  )
  assert.ok(seen.events > RUNS && seen.gaps > RUNS / 10, `too tame to prove anything: ${JSON.stringify(seen)}`)
})
