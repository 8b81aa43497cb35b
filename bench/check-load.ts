// Holds load.c against another generator, whose binary is given: both measure the same server in turns, and where they
// agree neither has invented its figures. The other one must take the options below and print these figures as JSON.

import { type Measurement, outputOf, readFigures, runGenerator } from './generator.ts'
import type { Load } from './loads.ts'
import { GENERATOR_PIN, SERVER_PIN } from './machine.ts'
import { median } from './report.ts'
import { argumentsOf, measureQuietly } from './round.ts'
import { type RunningServer, startServer } from './running-server.ts'
import { FLOOR, type Protocol } from './servers.ts'

/** What is compared, and how often. */
export interface LoadCheck {
  /** Our generator's binary. */
  readonly generator: string
  /** The other one's. */
  readonly other: string
  readonly loads: readonly Load[]
  readonly protocols: readonly Protocol[]
  readonly rounds: number
  /** How often one of our measurements may be made again when others used the CPUs meanwhile. */
  readonly tries: number
}

interface Figures {
  readonly usPerDelivery: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly received: number
  readonly lost: number
  readonly doubled: number
}

/** Measures one running floor with both in turns, for each load and protocol, and prints them beside each other. */
export async function checkLoad(check: LoadCheck): Promise<void> {
  for (const load of check.loads) {
    for (const protocol of check.protocols) {
      const running = await startServer(FLOOR, SERVER_PIN)
      try {
        await compare(check, load, protocol, running)
      } finally {
        await running.stop()
      }
    }
  }
}

async function compare(check: LoadCheck, load: Load, protocol: Protocol, running: RunningServer): Promise<void> {
  const ours: Figures[] = []
  const theirs: Figures[] = []
  const others: number[] = []
  for (let round = 0; round < check.rounds; round++) {
    const args = ['--port', String(running.port), '--pid', String(running.pid), ...argumentsOf(load, FLOOR, protocol)]
    const measureOnce = (): Promise<Measurement> => runGenerator(check.generator, args, GENERATOR_PIN)
    const found = await measureQuietly(check.tries, measureOnce)
    ours.push(figuresIn(found))
    others.push(found.othersCpuShare)
    theirs.push(await runOther(check.other, load, protocol, running))
  }
  console.log(`${load.name}, ${protocol}, rounds of each in turns: ${check.rounds}`)
  print('  this generator ', ours)
  print('  the other one  ', theirs)
  const ratios = ours.map(({ usPerDelivery }, i) => usPerDelivery / (theirs[i]?.usPerDelivery ?? Number.NaN))
  console.log(`  CPU that others took meanwhile: ${others.map((share) => `${Math.round(share * 100)} %`).join(', ')}`)
  console.log(`  CPU per delivery, ours to theirs in the same round: ${ratios.map((r) => r.toFixed(2)).join(', ')}`)
}

async function runOther(binary: string, load: Load, protocol: Protocol, running: RunningServer): Promise<Figures> {
  const { publishing } = load
  const options: Record<string, string | number> = {
    mode: protocol,
    port: running.port,
    path: FLOOR.subscribePath[protocol] ?? '/',
    'pub-path': FLOOR.publishPath,
    'pub-conns': 'connections' in publishing ? publishing.connections : 1,
    messages: load.events,
    warmup: load.warmupEvents,
    rate: publishing.kind === 'paced' ? publishing.perS : 0,
    size: load.eventBytes,
    pid: running.pid,
  }
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
  const [pin = 'taskset', ...pinned] = GENERATOR_PIN
  const figures = readFigures(await outputOf([pin, ...pinned, binary, '-n', String(load.clients), ...args]))
  return {
    usPerDelivery: figures.of('cpu_s_per_million'),
    p50Ms: figures.of('p50_ms'),
    p99Ms: figures.of('p99_ms'),
    received: figures.of('received'),
    lost: figures.of('lost'),
    doubled: figures.of('duplicated'),
  }
}

function figuresIn(found: Measurement): Figures {
  const { usPerDelivery, p50Ms, p99Ms, delivered, lost, doubled } = found
  return { usPerDelivery, p50Ms, p99Ms, received: delivered, lost, doubled }
}

function print(who: string, runs: readonly Figures[]): void {
  const of = (figure: (run: Figures) => number): number => median(runs.map(figure))
  const us = `${of((run) => run.usPerDelivery).toFixed(2)} µs/delivery`
  const latency = `p50 ${of((run) => run.p50Ms).toFixed(2)} p99 ${of((run) => run.p99Ms).toFixed(2)} ms`
  const counts = runs.map(({ received, lost, doubled }) => `${received}/${lost}/${doubled}`)
  console.log(`${who} ${us}, ${latency}, delivered/lost/doubled ${[...new Set(counts)].join(' ')}`)
}
