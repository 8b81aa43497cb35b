// Plays the simulation of packages/hydrant/test/property for long: other schedules each time, until one fails.
//
//   npm run simulate                          a million steps
//   npm run simulate -- --runs 5000           so many schedules instead
//   npm run simulate -- --seed 42             from this seed on; a failure names the seed that replays it
//
// Each seed is a hundred schedules, and always the same hundred: over logs in memory, on disks that crash and fail,
// shared ones whose end can be undone, and, now and then, on real files.

import { parseArgs } from 'node:util'
import { asyncProperty, check } from 'fast-check'

const STEPS = 1_000_000
const RUNS_PER_SEED = 100
const REPORT_MS = 2_000
const SEEDS = 2 ** 31

/**
 * TypeScript, loaded as it runs: what checks this file does not read it.
 *
 * @typedef {{ readonly steps: number, readonly events: number, readonly gaps: number }} Outcome
 * @type {{ scene: import('fast-check').Arbitrary<unknown>, play: (given: unknown) => Promise<Outcome> }}
 */
const { play, scene } = await import(new URL('../packages/hydrant/test/property/simulation.ts', import.meta.url).href)

const { values } = parseArgs({ options: { runs: { type: 'string' }, seed: { type: 'string' } } })
const runsMax = wholeNumber('runs', values.runs) ?? Infinity
const firstSeed = wholeNumber('seed', values.seed) ?? Math.floor(Math.random() * SEEDS)
const stepsMax = values.runs === undefined ? STEPS : Infinity

const seen = { runs: 0, steps: 0, events: 0, gaps: 0 }
let reportedMs = performance.now()
let seed = firstSeed
for (; seen.runs < runsMax && seen.steps < stepsMax && process.exitCode === undefined; seed += 1) {
  await playSeed(seed, Math.min(RUNS_PER_SEED, runsMax - seen.runs))
  if (performance.now() - reportedMs > REPORT_MS) report()
}
report()

/**
 * @param {number} at
 * @param {number} runs
 */
async function playSeed(at, runs) {
  const property = asyncProperty(scene, async (given) => {
    const { steps, events, gaps } = await play(given)
    seen.runs += 1
    seen.steps += steps
    seen.events += events
    seen.gaps += gaps
  })
  const { failed, counterexample, errorInstance, numShrinks } = await check(property, { numRuns: runs, seed: at })
  if (!failed) return
  process.exitCode = 1
  console.error(`\nFAILED: npm run simulate -- --seed ${at} --runs ${runs}`)
  console.error(errorInstance)
  console.error(`\nthe schedule, made shorter ${numShrinks} times:\n${JSON.stringify(counterexample?.[0])}`)
}

function report() {
  reportedMs = performance.now()
  const { runs, steps, events, gaps } = seen
  console.log(`${runs} runs, ${steps} steps, ${events} events, ${gaps} gaps; seeds ${firstSeed} to ${seed - 1}`)
}

/**
 * @param {string} name
 * @param {string | undefined} text
 */
function wholeNumber(name, text) {
  if (text === undefined) return undefined
  if (/^\d{1,10}$/.test(text)) return Number(text)
  console.error(`hydrant: --${name} is ${text}; it must be a whole number`)
  return process.exit(1)
}
