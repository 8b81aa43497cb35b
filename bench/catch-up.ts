// Catching up: a crowd of clients comes back at once, each with an id of a thousand events ago, while others follow live.
//
//   node --conditions=hydrant-source bench/catch-up.ts                      three rounds; memory and file engine
//   node --conditions=hydrant-source bench/catch-up.ts --rounds 5 --engines file --protocol ws
//
// In each round, for each engine: a server on CPU 0 with the missed events in its log, live clients alone, then the same
// live clients while the crowd comes, gets what it missed and goes, again and again. The file engine's server is killed
// and started anew before, so that it has nothing in memory: the crowd that comes after a restart.
//
// What the crowd costs is the server's CPU less what the live clients took when alone, for each event that the crowd
// got. Both load generators share CPU 1; the crowd's has the lowest priority, so that it does not make the live clients'
// generator late. Ids differ by up to `--spread` events.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from './build.ts'
import { type Measurement, runGenerator } from './generator.ts'
import { GENERATOR_PIN, machineFacts, SERVER_PIN, whyNotPinned } from './machine.ts'
import { median } from './report.ts'
import { type RunningServer, startServer } from './running-server.ts'
import { HYDRANT, type Server } from './servers.ts'

const MISSED_EVENTS = 1_000
const CROWD_CLIENTS = 2_000
/** Far from the numbers of the live events, which the live clients' generator counts from 0. */
const MISSED_FIRST = 1_000_000_000
const EVENT_BYTES = 128
/** So many that none has to wait for the answer to its last event. */
const PUBLISHERS = 10
const CROWD_PIN = [...GENERATOR_PIN, 'chrt', '--idle', '0']

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    engines: { type: 'string', default: 'memory,file' },
    protocol: { type: 'string', default: 'sse' },
    live: { type: 'string', default: '200' },
    rate: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '8' },
    spread: { type: 'string', default: '100' },
    folder: { type: 'string' },
  },
})

interface Round {
  readonly alone: Measurement
  readonly together: Measurement
  readonly crowds: readonly Measurement[]
  /** CPU of the server for each event that the crowd got. */
  readonly crowdUs: number
}

process.once('SIGINT', () => process.exit(130)) // exiting ends the server that runs

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? `bench: ${error.message}` : error)
  process.exitCode = 2
}

async function main(): Promise<void> {
  const reason = whyNotPinned()
  if (reason !== undefined) throw new Error(reason)
  const generator = build('load')
  const found = new Map<string, Round[]>()
  for (let round = 1; round <= Number(options.rounds); round += 1) {
    for (const engine of options.engines.split(',')) {
      const one = await measure(generator, engine)
      found.set(engine, [...(found.get(engine) ?? []), one])
      console.error(`${round} ${engine}: ${lineOf(one)}`)
    }
  }
  report(found)
}

async function measure(generator: string, engine: string): Promise<Round> {
  const folder = mkdtempSync(join(options.folder ?? tmpdir(), 'hydrant-catch-up-'))
  const server = serverWith(engine === 'file' ? `file:${join(folder, 'log')}` : engine)
  let running = await startServer(server, SERVER_PIN)
  try {
    const { epoch, offset } = await publishMissed(running)
    if (engine === 'file') {
      await running.stop()
      running = await startServer(server, SERVER_PIN)
    }
    const alone = await runGenerator(generator, liveArguments(running), GENERATOR_PIN)
    const crowd = crowdArguments(running, epoch, offset - MISSED_EVENTS)
    const { together, crowds } = await runTogether(generator, liveArguments(running), crowd)
    return { alone, together, crowds, crowdUs: crowdUs(alone, crowds) }
  } finally {
    await running.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The crowd comes as long as the live clients' run lasts; what began within it is finished. */
async function runTogether(
  generator: string,
  live: readonly string[],
  crowd: readonly string[],
): Promise<Pick<Round, 'together' | 'crowds'>> {
  const run = { isOver: false }
  const ending = runGenerator(generator, live, GENERATOR_PIN).finally(() => (run.isOver = true))
  const crowds: Measurement[] = []
  while (!run.isOver) crowds.push(await runGenerator(generator, crowd, CROWD_PIN))
  // The last one may have had the server for itself.
  return { together: await ending, crowds: crowds.length > 1 ? crowds.slice(0, -1) : crowds }
}

/** Events are there already when the crowd comes: as many as it missed, and some more, since ids differ. */
async function publishMissed({ port }: RunningServer): Promise<{ epoch: string; offset: number }> {
  const count = MISSED_EVENTS + Number(options.spread)
  const lines = Array.from({ length: count }, (_, at) => {
    const number = MISSED_FIRST - Number(options.spread) + at
    const mark = `#!${'0'.repeat(16)}${number.toString(16).padStart(8, '0')}!`
    return `${JSON.stringify({ topic: 'bench', data: mark.padEnd(EVENT_BYTES, 'x') })}\n`
  })
  const answer = await fetch(`http://127.0.0.1:${port}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join(''),
  })
  const text = await answer.text()
  const [, epoch, offset] = /([0-9a-f]{12})-([0-9]+)/.exec(text) ?? []
  if (epoch === undefined || Number(offset) !== count) throw new Error(`events were not taken: ${text}`)
  return { epoch, offset: Number(offset) }
}

function serverWith(engine: string): Server {
  const command = (port: number): [string, ...string[]] => {
    const [file, ...args] = HYDRANT.command(port)
    return [file, ...args.with(args.indexOf('--engine') + 1, engine)]
  }
  return { ...HYDRANT, command }
}

function liveArguments({ port, pid }: RunningServer): readonly string[] {
  const rate = Number(options.rate)
  const path = HYDRANT.subscribePath[options.protocol === 'ws' ? 'ws' : 'sse'] ?? '/'
  return argumentsOf({
    protocol: options.protocol,
    port,
    pid,
    path,
    'publish-path': HYDRANT.publishPath,
    clients: Number(options.live),
    rate,
    events: rate * Number(options.seconds),
    warmup: rate,
    connections: PUBLISHERS,
    bytes: EVENT_BYTES,
  })
}

function crowdArguments({ port, pid }: RunningServer, epoch: string, offset: number): readonly string[] {
  return argumentsOf({
    protocol: options.protocol,
    port,
    pid,
    path: `/events/bench?lastEventId=${epoch}-$OFFSET`,
    clients: CROWD_CLIENTS,
    missed: MISSED_EVENTS,
    'missed-first': MISSED_FIRST,
    offset,
    spread: Number(options.spread),
    linger: 0,
  })
}

function argumentsOf(named: Readonly<Record<string, string | number>>): readonly string[] {
  return Object.entries(named).flatMap(([name, value]) => [`--${name}`, String(value)])
}

function crowdUs(alone: Measurement, crowds: readonly Measurement[]): number {
  const liveUsPerS = alone.usPerDelivery * alone.deliveriesPerS
  let [us, events] = [0, 0]
  for (const { usPerDelivery, delivered, deliveriesPerS, foreign } of crowds) {
    us += usPerDelivery * delivered - liveUsPerS * (delivered / deliveriesPerS)
    events += delivered + foreign
  }
  return us / events
}

function lineOf({ alone, together, crowds, crowdUs: us }: Round): string {
  const isExact = alone.exact && together.exact && crowds.every(({ exact }) => exact)
  const seconds = median(crowds.map(({ delivered, deliveriesPerS }) => delivered / deliveriesPerS))
  return (
    `${isExact ? 'exact' : 'NOT EXACT'}; live ${alone.usPerDelivery.toFixed(2)} µs/delivery, ` +
    `caught up ${us.toFixed(2)} µs/event (${(us / alone.usPerDelivery).toFixed(2)}x) ` +
    `in ${seconds.toFixed(2)} s, ${crowds.length} crowds; ` +
    `live p50 ${alone.p50Ms.toFixed(2)} → ${together.p50Ms.toFixed(2)} ms, ` +
    `p99 ${alone.p99Ms.toFixed(2)} → ${together.p99Ms.toFixed(2)} ms ` +
    `(${(together.p99Ms / alone.p99Ms).toFixed(2)}x); others' CPU ${(100 * together.othersCpuShare).toFixed(0)} %`
  )
}

function report(found: ReadonlyMap<string, readonly Round[]>): void {
  console.log(`${machineFacts()}; ${options.protocol}, ${options.live} live clients at ${options.rate} events/s`)
  for (const [engine, rounds] of found) {
    const cpu = median(rounds.map((round) => round.crowdUs / round.alone.usPerDelivery))
    const p99 = median(rounds.map(({ alone, together }) => together.p99Ms / alone.p99Ms))
    console.log(
      `${engine}: an event caught up with costs ${cpu.toFixed(2)}x of a live delivery (target: at most 0.2); ` +
        `p99 of live clients ${p99.toFixed(2)}x of what it is without the crowd (target: at most 2)`,
    )
  }
}
