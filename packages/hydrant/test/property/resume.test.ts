// The promise of the whole: whatever clients, publishers, disks and processes do, every stream ends exact, or with gaps
// that are right.
//
// The same runs each time. `npm run simulate` plays others, and more of them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { play, sceneOn, type Kind } from './simulation.ts'

const SEED = 20_260_131

test('the log on disk outlives a kill between any two of its statements', () => playAll('file', 15))

test('whatever happens to clients and hub, every stream is exact or has gaps that are right', () =>
  playAll('memory', 700))

test('what was acknowledged outlives a crash between any two steps of the engine, and every stream goes on', () =>
  playAll('disk', 700))

test('where the end of what was acknowledged can be undone, whoever saw it is told', () => playAll('shared', 600))

async function playAll(kind: Kind, runs: number): Promise<void> {
  const seen = { events: 0, gaps: 0 }
  await fc.assert(
    fc.asyncProperty(sceneOn(kind), async (given) => {
      const { events, gaps } = await play(given)
      seen.events += events
      seen.gaps += gaps
    }),
    { numRuns: runs, seed: SEED },
  )
  assert.ok(seen.events > runs && seen.gaps > runs / 10, `too tame to prove anything: ${JSON.stringify(seen)}`)
}
