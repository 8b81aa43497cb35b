// Two nodes on one broker, over loopback: how late an event is on the other node, how many a second get there, what a
// node costs that does not want them. Beside it, in the same run: the broker's own round trip, what the client library
// reaches alone, and Socket.IO with its Redis streams adapter.
//
//   node --conditions=hydrant-source bench/two-nodes.ts                       three rounds, every broker there is
//   node --conditions=hydrant-source bench/two-nodes.ts --rounds 1 --brokers redis,nats --out report.md
//
// What it finds is printed; a whole run writes it into results-engines.md, as the section of its name.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type BareClient, type Broker, brokers } from './engines/broker.ts'
import { meterOthers } from './engines/cpu.ts'
import { measureConnections, measureInterest } from './engines/interest.ts'
import { measureLatency } from './engines/latency.ts'
import { HYDRANT_NODES, type Kind, SOCKET_IO_NODES, startNodes, stopNodes } from './engines/pair.ts'
import { type Found, lineOf, type Plan, sectionOf, writeSection } from './engines/section.ts'
import {
  bareThroughput,
  type Delivered,
  engineThroughput,
  linesThroughput,
  postThroughput,
} from './engines/throughput.ts'
import { type RunningServer, startServer } from './running-server.ts'

/** Calls under way, of the library alone and of an engine: few, and as many as it takes to be fastest. */
const CALLERS = 100
const CALLERS_MANY = 1_000
const RESULTS = fileURLToPath(new URL('results-engines.md', import.meta.url))

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    brokers: { type: 'string' },
    kinds: { type: 'string', default: 'hydrant,Socket.IO' },
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '3' },
    ms: { type: 'string', default: '800' },
    folder: { type: 'string' },
    out: { type: 'string' },
  },
})
const plan: Plan = {
  rounds: Number(options.rounds),
  rate: Number(options.rate),
  seconds: Number(options.seconds),
  ms: Number(options.ms),
  interestRate: 2_000,
  interestSeconds: 2,
}

process.once('SIGINT', () => process.exit(130)) // exiting ends what runs
process.once('SIGTERM', () => process.exit(143))

try {
  await main()
  process.exit() // what failed may have left connections open
} catch (error) {
  console.error(error instanceof Error ? `bench: ${error.message}` : error)
  process.exit(2)
}

async function main(): Promise<void> {
  const names = options.brokers?.split(',')
  const chosen = brokers().filter(({ name }) => names === undefined || names.includes(name))
  if (chosen.length === 0) throw new Error('no broker is installed: redis-server, nats-server')
  const kinds = [HYDRANT_NODES, SOCKET_IO_NODES].filter(({ name }) => options.kinds.split(',').includes(name))
  const found: Found[] = []
  const ceilings: Delivered[] = []
  for (let round = 1; round <= plan.rounds; round += 1) {
    for (const broker of chosen) {
      for (const kind of kinds.filter((one) => one.isFor(broker))) {
        try {
          const one = await measure(broker, kind, round === 1)
          found.push(one)
          console.error(`${round} ${lineOf(one)}`)
        } catch (error) {
          // The other rows are worth having.
          console.error(
            `${round} ${kind.name}, ${broker.name}: ${error instanceof Error ? error.message : String(error)}`,
          )
          process.exitCode = 1
        }
      }
    }
    ceilings.push(await measureCeiling())
  }
  const section = sectionOf(found, ceilings, plan)
  console.log(section)
  const out = options.out ?? (names === undefined ? RESULTS : undefined)
  if (out !== undefined) writeSection(out, section)
}

/** A broker of its own, two nodes on it, and everything that is asked of them. */
async function measure(broker: Broker, kind: Kind, isFirst: boolean): Promise<Found> {
  const others = meterOthers()
  const folder = mkdtempSync(join(options.folder ?? tmpdir(), 'hydrant-two-nodes-'))
  const server = await startServer(broker.serverIn(folder), [])
  let found: Omit<Found, 'othersShare'>
  try {
    const bare = await broker.bareAt(server.port)
    const rates = await ratesOf(broker, kind, server, bare)
    found = { broker, kind, ...rates, ...(await pairOf(broker.urlAt(server.port), kind, bare, isFirst)) }
    await bare.close()
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return { ...found, othersShare: others() }
}

/** What the library reaches alone; and the engine, for ours. */
async function ratesOf(
  broker: Broker,
  kind: Kind,
  { port, pid }: RunningServer,
  bare: BareClient,
): Promise<Pick<Found, 'alone' | 'aloneMany' | 'engine' | 'engineMany'>> {
  const alone = await bareThroughput(bare, CALLERS, plan.ms, pid)
  if (kind !== HYDRANT_NODES) return { alone, aloneMany: undefined, engine: undefined, engineMany: undefined }
  return {
    alone,
    engine: await engineThroughput(broker.engineAt(port), CALLERS, plan.ms, pid),
    aloneMany: await bareThroughput(bare, CALLERS_MANY, plan.ms, pid),
    engineMany: await engineThroughput(broker.engineAt(port), CALLERS_MANY, plan.ms, pid),
  }
}

/** What two nodes do, and in the first round three. */
async function pairOf(
  url: string,
  kind: Kind,
  bare: BareClient,
  isFirst: boolean,
): Promise<Pick<Found, 'connections' | 'latency' | 'posts' | 'lines' | 'interest'>> {
  const { rate, seconds, ms, interestRate, interestSeconds } = plan
  const nodes = await startNodes(kind, url, isFirst ? 3 : 2)
  try {
    const [first, second, third] = nodes
    if (first === undefined || second === undefined) throw new Error('there are no two nodes')
    const interest =
      third === undefined
        ? undefined
        : await measureInterest(kind, [first, second, third], interestRate, interestRate * interestSeconds)
    await third?.stop()
    const connections = await measureConnections(kind, second, bare)
    const latency = await measureLatency(kind, [first, second], bare, { rate, events: rate * seconds, warmup: rate })
    const posts = await postThroughput(kind, [first, second], ms)
    const lines = kind.takesLines ? await linesThroughput(kind, [first, second], ms) : undefined
    return { connections, latency, posts, lines, interest }
  } finally {
    await stopNodes(nodes)
  }
}

/** What a POST costs without a broker: one node, at which events are published and followed. */
async function measureCeiling(): Promise<Delivered> {
  const node = await startServer(HYDRANT_NODES.nodeOf('memory'), [])
  try {
    return await postThroughput(HYDRANT_NODES, [node, node], plan.ms)
  } finally {
    await node.stop()
  }
}
