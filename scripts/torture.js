// Kills a server at random moments under load, again and again, and holds what became of its events against what it
// acknowledged, for every client: packages/hydrant/test/fault/kill-run.ts for long.
//
//   npm run torture                    200 kills, about four minutes
//   npm run torture -- --kills 2000    so many
//   npm run torture -- --seed 42       the same publishers, hops and lives; the network does the rest
//   npm run torture -- --cluster nats  three nodes on one NATS, and so many faults of all kinds; or `redis`, or
//                                      `redis that forgets`: packages/hydrant/test/fault/cluster-run.ts
//
// Exits with 1 when something was lost, doubled, reordered or not declared, or when the server complained.

import { parseArgs } from 'node:util'

const KILLS = '200'
const SEEDS = 2 ** 31
const REPORT_MS = 2_000
const BROKERS = ['redis', 'redis that forgets', 'nats']

/**
 * TypeScript, loaded as it runs: what checks this file does not read it.
 *
 * @typedef {{ readonly kills: number, readonly seed: number, readonly onKill: (kills: number, acknowledged: number) =>
 * void }} Options
 * @typedef {{ readonly ok: boolean, readonly tally: { readonly gaps: number }, readonly toString: () => string }}
 * Report
 * @typedef {{ readonly report: Report, readonly stderr: string }} Outcome
 * @typedef {{ readonly broker: string, readonly faults: number, readonly seed: number, readonly onFault: (fault:
 * string, acknowledged: number) => void }} ClusterOptions
 * @typedef {{ readonly report: Report, readonly complaints: readonly string[] }} ClusterOutcome
 * @type {{ killRun: (options: Options) => Promise<Outcome> }}
 */
const { killRun } = await import(new URL('../packages/hydrant/test/fault/kill-run.ts', import.meta.url).href)

/** @type {{ clusterRun: (options: ClusterOptions) => Promise<ClusterOutcome> }} */
const { clusterRun } = await import(new URL('../packages/hydrant/test/fault/cluster-run.ts', import.meta.url).href)

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: KILLS },
    seed: { type: 'string', default: randomSeed() },
    cluster: { type: 'string' },
  },
})
const kills = wholeNumber('kills', values.kills)
const seed = wholeNumber('seed', values.seed)

let reportedMs = performance.now()
if (values.cluster === undefined) await torture()
else await tortureCluster(values.cluster)

async function torture() {
  console.log(`${kills} kills, with the seed ${seed}`)
  const { report, stderr } = await killRun({ kills, seed, onKill })
  console.log(report.toString())
  if (stderr !== '') console.error(`the server complained:\n${stderr}`)
  if (report.tally.gaps > 0) console.error('gaps were declared, although nothing leaves so small a log')
  if (!report.ok || stderr !== '' || report.tally.gaps > 0) process.exitCode = 1
}

/** @param {string} broker */
async function tortureCluster(broker) {
  if (!BROKERS.includes(broker)) fail(`--cluster is ${broker}; it must be one of ${BROKERS.join(', ')}`)
  console.log(`${kills} times faults of three nodes and ${broker}, with the seed ${seed}`)
  const { report, complaints } = await clusterRun({ broker, faults: kills, seed, onFault })
  console.log(report.toString())
  if (complaints.length > 0) console.error(`nodes complained:\n${complaints.join('\n')}`)
  if (!report.ok || complaints.length > 0) process.exitCode = 1
}

/**
 * @param {string} fault
 * @param {number} acknowledged
 */
function onFault(fault, acknowledged) {
  console.log(`${acknowledged} events acknowledged; ${fault}`)
}

/**
 * @param {number} count
 * @param {number} acknowledged
 */
function onKill(count, acknowledged) {
  if (performance.now() - reportedMs < REPORT_MS) return
  reportedMs = performance.now()
  console.log(`killed ${count} times, ${acknowledged} events acknowledged`)
}

function randomSeed() {
  return String(Math.floor(Math.random() * SEEDS))
}

/**
 * @param {string} name
 * @param {string} text
 */
function wholeNumber(name, text) {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text)
  return fail(`--${name} is ${text}; it must be a whole number above 0`)
}

/**
 * @param {string} why
 * @returns {never}
 */
function fail(why) {
  console.error(`hydrant: ${why}`)
  return process.exit(1)
}
