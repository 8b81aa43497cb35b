// The benchmark.
//
//   npm run bench                                               every server and load, three rounds; writes results.md
//   npm run bench -- --only paced,many --rounds 1 --quick       some loads, once, with a quarter of the events
//   npm run bench -- --servers hydrant,axum                     some servers, and the floor, which is always there
//   npm run bench -- --protocols ws --out report.md             one protocol, another file, a chart beside it
//   npm run bench -- --tries 5                                  measures up to 5 times when others use the CPUs (3)
//   npm run bench -- --list                                     servers, loads, and how long it will take
//   npm run bench -- --check-load BINARY                        the generator against another one: see check-load.ts

import { writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from './build.ts'
import { chartOf } from './chart.ts'
import { checkLoad } from './check-load.ts'
import type { Measurement } from './generator.ts'
import { type Load, LOADS, quick } from './loads.ts'
import { machineFacts, whyNotPinned } from './machine.ts'
import { lineOf, type Row, summaryOf, tableOf } from './report.ts'
import { measure, measureQuietly, whyNotStarted } from './round.ts'
import { FLOOR, isThere, type Protocol, type Server, SERVERS } from './servers.ts'
import { ensureTools, TOOLS } from './tools.ts'

const PROTOCOLS: readonly Protocol[] = ['sse', 'ws']
const RESULTS = fileURLToPath(new URL('results.md', import.meta.url))
/** What a row takes without its events: starting, connecting, waiting for doubles. */
const ROW_S = 3

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    servers: { type: 'string' },
    protocols: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    tries: { type: 'string', default: '3' },
    quick: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    out: { type: 'string' },
    'check-load': { type: 'string' },
  },
})

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
  const rounds = times('rounds')
  const tries = times('tries')
  const servers = chosenServers()
  if (options.list) {
    listRows(rowsOf(chosenLoads(), servers), rounds)
    return
  }
  ensureTools([...TOOLS, ...servers.flatMap(({ tools = [] }) => tools)])
  const generator = build('load')
  const other = options['check-load']
  if (other !== undefined) {
    const loads = chosenLoads(['paced', 'saturated'])
    await checkLoad({ generator, other, loads, protocols: protocols(), rounds, tries })
    return
  }
  const refused = await refusedOf(servers)
  const rows = rowsOf(
    chosenLoads(),
    servers.filter((server) => !refused.has(server)),
  )
  for (let round = 1; round <= rounds; round++) {
    await runRound(generator, rows, tries, `${round}/${rounds}`)
    keep(rows, round, refused) // after each: what was measured stays when the next one is broken off
  }
  console.log(reportOf(rows, rounds, refused))
}

/** Starts each server once: those that cannot be started, or do not know a flag, are reported as such. */
async function refusedOf(servers: readonly Server[]): Promise<ReadonlyMap<Server, string>> {
  const refused = new Map<Server, string>()
  for (const server of servers) {
    const reason = await whyNotStarted(server)
    if (reason === undefined) continue
    if (server === FLOOR) throw new Error(`the floor cannot be measured: ${reason}`)
    refused.set(server, reason)
    console.error(`bench: ${server.name} is left out: ${reason}`)
  }
  return refused
}

/** Interleaved: every row once, then every row again, so that what disturbs the machine meets all rows alike. */
async function runRound(generator: string, rows: readonly Row[], tries: number, label: string): Promise<void> {
  let floor: Measurement | undefined
  for (const { load, protocol, server, rounds, failures } of rows) {
    process.stderr.write(`${label} ${load.name} ${protocol} ${server.name}: `)
    if (server === FLOOR) floor = undefined // it comes before the rows that it divides
    try {
      const found = await measureQuietly(tries, () => measure(generator, server, protocol, load))
      process.stderr.write(`${lineOf(found)}\n`)
      if (server === FLOOR) floor = found
      rounds.push({ found, floor: floor ?? found })
    } catch (error) {
      const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
      process.stderr.write(`${reason}\n`)
      failures.push(reason)
      if (server === FLOOR) throw error // without it nothing else has a meaning
    }
  }
}

function rowsOf(loads: readonly Load[], servers: readonly Server[]): Row[] {
  const rows: Row[] = []
  for (const load of loads) {
    for (const protocol of protocols()) {
      for (const server of servers) {
        if (isMeasured(server, load, protocol)) rows.push({ load, protocol, server, rounds: [], failures: [] })
      }
    }
  }
  return rows
}

function isMeasured(server: Server, load: Load, protocol: Protocol): boolean {
  if (server.subscribePath[protocol] === undefined) return false
  if (load.publishing.kind === 'lines' && server.publishLines === undefined && server !== FLOOR) return false
  return server.loads === undefined || server.loads.includes(load.name)
}

function listRows(rows: readonly Row[], rounds: number): void {
  const seconds = rows.map(({ load: { publishing, warmupEvents, events, idleS } }) => {
    const perS = publishing.kind === 'paced' ? publishing.perS : 250
    return ROW_S + idleS + (warmupEvents + (publishing.kind === 'lines' ? events / 10 : events)) / perS
  })
  for (const load of new Set(rows.map((row) => row.load))) {
    const own = rows.filter((row) => row.load === load)
    console.log(`${load.name}: ${own.map(({ server, protocol }) => `${server.name}/${protocol}`).join(' ')}`)
  }
  const minutes = (rounds * seconds.reduce((sum, one) => sum + one, 0)) / 60
  console.log(`${rows.length} rows, ${rounds} rounds: about ${Math.ceil(minutes)} minutes, when nothing is tried twice`)
}

function keep(rows: readonly Row[], rounds: number, refused: ReadonlyMap<Server, string>): void {
  const filters = [options.only, options.servers, options.protocols]
  const isWhole = filters.every((filter) => filter === undefined) && !options.quick
  const file = options.out ?? (isWhole ? RESULTS : undefined)
  if (file === undefined) return
  const chart = file.replace(/(\.md)?$/, '.svg')
  writeFileSync(chart, chartOf(rows))
  writeFileSync(file, reportOf(rows, rounds, refused, basename(chart)))
  console.error(`bench: written to ${file}`)
}

function reportOf(rows: readonly Row[], rounds: number, refused: ReadonlyMap<Server, string>, chart?: string): string {
  const loads = [...new Set(rows.map(({ load }) => load))]
  const summaries = protocols().map((protocol) => `${summaryOf(rows, protocol)}\n`)
  const picture = chart === undefined ? [] : [`![CPU for each delivery, × floor, as bars](${chart})\n`]
  const tables = loads.map((load) =>
    tableOf(
      load,
      rows.filter((row) => row.load === load),
    ),
  )
  return [head(rows, rounds, refused), ...summaries, ...picture, ...tables].join('\n')
}

function head(rows: readonly Row[], rounds: number, refused: ReadonlyMap<Server, string>): string {
  const servers = [...new Set(rows.map(({ server }) => server))]
  const left = [...refused].map(([{ name, about }, reason]) => `- **${name}**: ${about}. Not measured: ${reason}`)
  return `# Benchmark results

${new Date().toISOString().slice(0, 10)}. ${machineFacts()}.

Server on CPU 0, load generator on CPU 1, loopback, one server at a time, started anew for each load.
Rounds, interleaved: ${rounds}${options.quick ? ', with a quarter of the events: not to be quoted' : ''}. Figures are medians; in brackets the lowest and the highest.
CPU is user and system time of the server's processes, and on loopback that includes the receiving half of TCP.
"× floor" divides it by the floor's in the same round. Latency counts from the time at which an event was due.
What others took of the CPUs stands beside; above a tenth of one it was measured again, up to ${options.tries} times.
A star: the generator had its core full, and may be what was measured. How to read all this: README.md.

${[...servers.map(({ name, about }) => `- **${name}**: ${about}`), ...left].join('\n')}

"× floor" of all loads; "!" where not every event came once and in order, as the load's own table says:
`
}

function chosenLoads(fallback?: readonly string[]): Load[] {
  const names = namesIn(options.only) ?? fallback
  return choose(LOADS, names, 'load').map((load) => (options.quick ? quick(load) : load))
}

function chosenServers(): Server[] {
  const names = namesIn(options.servers)
  const servers = choose(SERVERS, names === undefined ? undefined : ['floor', ...names], 'server')
  return servers.filter(isThere)
}

function times(option: 'rounds' | 'tries'): number {
  const value = Number(options[option])
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${option} takes a whole number above 0`)
  return value
}

function protocols(): Protocol[] {
  const names = namesIn(options.protocols)
  return PROTOCOLS.filter((protocol) => names === undefined || names.includes(protocol))
}

/** Those of the table that are named, in the table's order; all of them when no name was given. */
function choose<Named extends { readonly name: string }>(
  table: readonly Named[],
  names: readonly string[] | undefined,
  what: string,
): Named[] {
  const known = table.map(({ name }) => name)
  const unknown = names?.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new Error(`no ${what} is named ${unknown}; there are ${known.join(', ')}`)
  return table.filter(({ name }) => names === undefined || names.includes(name))
}

function namesIn(list: string | undefined): string[] | undefined {
  return list?.split(',').filter((name) => name !== '')
}
