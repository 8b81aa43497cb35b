// The benchmark.
//
//   npm run bench                                               floor and hydrant, three rounds; writes results.md
//   npm run bench -- --only paced,many --rounds 1 --quick       some loads, once, with a quarter of the events
//   npm run bench -- --servers hydrant,node-http,ws-loop        other servers beside the floor, which is always there
//   npm run bench -- --protocols ws --out report.md             one protocol, another file
//   npm run bench -- --tries 5                                  measures up to 5 times when others use the CPUs (3)
//   npm run bench -- --check-load BINARY                        the generator against another one: see check-load.ts

import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from './build.ts'
import { checkLoad } from './check-load.ts'
import type { Measurement } from './generator.ts'
import { type Load, LOADS, quick } from './loads.ts'
import { machineFacts, whyNotPinned } from './machine.ts'
import { lineOf, type Row, tableOf } from './report.ts'
import { measure, measureQuietly } from './round.ts'
import { FLOOR, isThere, type Protocol, type Server, SERVERS } from './servers.ts'

const PROTOCOLS: readonly Protocol[] = ['sse', 'ws']
const RESULTS = fileURLToPath(new URL('results.md', import.meta.url))

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    servers: { type: 'string', default: 'hydrant' },
    protocols: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    tries: { type: 'string', default: '3' },
    quick: { type: 'boolean', default: false },
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
  const generator = build('load')
  const other = options['check-load']
  if (other !== undefined) {
    await checkLoad({
      generator,
      other,
      loads: chosenLoads(['paced', 'saturated']),
      protocols: protocols(),
      rounds,
      tries,
    })
    return
  }
  const rows = rowsOf(chosenLoads(), chosenServers())
  for (let round = 1; round <= rounds; round++) await runRound(generator, rows, tries, `${round}/${rounds}`)
  publish(rows, rounds)
}

/** Interleaved: every row once, then every row again, so that what disturbs the machine meets all rows alike. */
async function runRound(generator: string, rows: readonly Row[], tries: number, label: string): Promise<void> {
  let floor: Measurement | undefined
  for (const { load, protocol, server, rounds } of rows) {
    process.stderr.write(`${label} ${load.name} ${protocol} ${server.name}: `)
    const found = await measureQuietly(tries, () => measure(generator, server, protocol, load))
    process.stderr.write(`${lineOf(found)}\n`)
    if (server === FLOOR) floor = found // it comes before the rows that it divides
    rounds.push({ found, floor: floor ?? found })
  }
}

function rowsOf(loads: readonly Load[], servers: readonly Server[]): Row[] {
  const rows: Row[] = []
  for (const load of loads) {
    for (const protocol of protocols()) {
      for (const server of servers) {
        if (server.subscribePath[protocol] !== undefined) rows.push({ load, protocol, server, rounds: [] })
      }
    }
  }
  return rows
}

function publish(rows: readonly Row[], rounds: number): void {
  const loads = [...new Set(rows.map(({ load }) => load))]
  const tables = loads.map((load) =>
    tableOf(
      load,
      rows.filter((row) => row.load === load),
    ),
  )
  const report = [head(rows, rounds), ...tables].join('\n')
  console.log(report)
  const isWhole = options.only === undefined && options.protocols === undefined && !options.quick
  const file = options.out ?? (isWhole ? RESULTS : undefined)
  if (file === undefined) return
  writeFileSync(file, report)
  console.error(`bench: written to ${file}`)
}

function head(rows: readonly Row[], rounds: number): string {
  const servers = [...new Set(rows.map(({ server }) => server))]
  return `# Benchmark results

${new Date().toISOString().slice(0, 10)}. ${machineFacts()}.

Server on CPU 0, load generator on CPU 1, loopback, one server at a time, started anew for each load.
Rounds, interleaved: ${rounds}${options.quick ? ', with a quarter of the events: not to be quoted' : ''}. Figures are medians; in brackets the lowest and the highest.
CPU is user and system time of the server's processes, and on loopback that includes the receiving half of TCP.
"× floor" divides it by the floor's in the same round. Latency counts from the time at which an event was due.
What others took of the CPUs stands beside; above a tenth of one it was measured again, up to ${options.tries} times.
A star: the generator had its core full, and may be what was measured. How to read all this: README.md.

${servers.map(({ name, about }) => `- **${name}**: ${about}`).join('\n')}
`
}

function chosenLoads(fallback?: readonly string[]): Load[] {
  const names = namesIn(options.only) ?? fallback
  return choose(LOADS, names, 'load').map((load) => (options.quick ? quick(load) : load))
}

function chosenServers(): Server[] {
  const servers = choose(SERVERS, ['floor', ...(namesIn(options.servers) ?? [])], 'server')
  const missing = servers.filter((server) => !isThere(server))
  for (const { name } of missing) console.error(`bench: ${name} is left out: there is nothing to start yet`)
  return servers.filter((server) => !missing.includes(server))
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
