// Turns what was found into a section of a file of results.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { machineFacts } from '../machine.ts'
import { aligned, median } from '../report.ts'
import type { Broker } from './broker.ts'
import type { Connections, Interest } from './interest.ts'
import { EVENT_BYTES, type Latency, type Percentiles } from './latency.ts'
import type { Kind } from './pair.ts'
import type { Delivered, Rate } from './throughput.ts'

/** How long everything was measured. */
export interface Plan {
  readonly rounds: number
  /** Events a second, where latency is measured. */
  readonly rate: number
  readonly seconds: number
  /** Of each throughput. */
  readonly ms: number
  /** Events a second of the busy topic. */
  readonly interestRate: number
  readonly interestSeconds: number
}

/** What one round found of one pair of nodes. */
export interface Found {
  readonly broker: Broker
  readonly kind: Kind
  readonly latency: Latency
  /** The library alone, with 100 calls under way. */
  readonly alone: Rate
  /** … with 1,000. */
  readonly aloneMany: Rate | undefined
  readonly engine: Rate | undefined
  readonly engineMany: Rate | undefined
  readonly posts: Delivered
  readonly lines: Delivered | undefined
  /** Of the first round alone: CPU varies little. */
  readonly interest: Interest | undefined
  readonly connections: Connections | undefined
  /** What others took of all CPUs meanwhile: noise. */
  readonly othersShare: number
}

const TITLE = '## Two nodes on one broker'
const NONE = '–'

type Group = readonly Found[]
type RateOf = (found: Found) => { readonly perS: number } | undefined

const ALONE: RateOf = (found) => found.alone
const ALONE_MANY: RateOf = (found) => found.aloneMany

/** The section, in Markdown. */
export function sectionOf(found: readonly Found[], ceilings: readonly Delivered[], plan: Plan): string {
  const groups = groupsOf(found)
  return [
    TITLE,
    ...methodOf(found, plan),
    ...latencyOf(groups, plan),
    ...throughputOf(groups, ceilings),
    ...interestOf(groups, plan),
  ].join('\n\n')
}

function methodOf(found: readonly Found[], { rounds }: Plan): readonly string[] {
  const abouts = new Map(found.map(({ broker }) => [broker.name, broker.about]))
  return [
    `${new Date().toISOString().slice(0, 10)}. ${machineFacts()}.`,
    `Over loopback, nothing pinned: broker, nodes and the process that measures share all CPUs. Events have ${EVENT_BYTES} bytes.\n` +
      `Rounds, interleaved: ${rounds}; each with a broker and nodes of its own. Figures are medians; a ratio is always of one\n` +
      "round. Others' CPU is what neither these processes nor the broker took of the machine: above a few percent, look again.",
    [...abouts].map(([name, about]) => `- **${name}**: ${about}`).join('\n'),
  ]
}

function latencyOf(groups: readonly Group[], { rate }: Plan): readonly string[] {
  return [
    '### Latency',
    `${rate} events/s, each a POST to one node, followed at the other by an SSE and a WebSocket client at once: from sending\n` +
      'the request to reading the event, in ms. The round trip is that of the same client library in the process that measures,\n' +
      'between the events: PING of Redis, a publish and its acknowledgement of NATS. Target: p50 at most 1 ms beyond it.',
    aligned([
      [
        'nodes, broker',
        'round trip p50, p99',
        'SSE p50, p99',
        'WebSocket p50, p99',
        'p50 beyond',
        'target met',
        'each once',
        "others' CPU %",
      ],
      ...groups.map(latencyCells),
    ]),
  ]
}

function throughputOf(groups: readonly Group[], ceilings: readonly Delivered[]): readonly string[] {
  return [
    '### Throughput',
    'Thousands of events a second.\n\n' +
      '- **alone**: the client library with 100 or 1,000 calls of XADD or of a publish to JetStream under way.\n' +
      '- **engine**: as many appends of one event each, in the same process. In brackets: of the library alone. Target: 0.5.\n' +
      '- **posts**: 100 connections to one node, each with a POST of one event under way, until all have reached a WebSocket at\n' +
      '  the other. In brackets: of the library alone, 100.\n' +
      '- **lines**: one NDJSON stream to one node, until all have reached an SSE client at the other. In brackets: of the\n' +
      '  library alone, 1,000. Target: 0.5.',
    aligned([
      ['nodes, broker', 'alone 100', 'alone 1,000', 'engine 100', 'engine 1,000', 'posts', 'lines', 'all delivered'],
      ...groups.map(throughputCells),
    ]),
    `The same posts without a broker, to one node with the memory engine: ${thousands(median(ceilings.map(({ perS }) => perS)))}.`,
    'CPU for each event, in µs, of the client (the engine, or the library alone) and of the broker:',
    aligned([
      ['broker', 'alone 100', 'alone 1,000', 'engine 100', 'engine 1,000'],
      ...groups.filter((group) => group.some(({ engine }) => engine !== undefined)).map(costCells),
    ]),
  ]
}

function interestOf(groups: readonly Group[], plan: Plan): readonly string[] {
  return [
    '### Interest, and connections',
    `CPU of a node that has no client, or one of another topic, beside one that serves one client of a topic with\n` +
      `${plan.interestRate.toLocaleString('en-US')} events/s for ${plan.interestSeconds} s. Target: 5 %. NATS before 2.10 knows one filter for each consumer: whoever follows\n` +
      'anything there is sent everything. Connections to the broker that both nodes have, without clients, and with 500 at\n' +
      'one of them, each with a topic of its own (`CLIENT LIST`).',
    aligned([
      ['nodes, broker', 'no client', 'a client of another topic', 'connections', 'with 500 clients'],
      ...groups.map(interestCells),
    ]),
  ]
}

/** Puts a section into a file, in the place of what it was before. */
export function writeSection(file: string, section: string): void {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '# Benchmark results: engines\n'
  const [head = '', ...others] = before.split(/^(?=## )/m)
  const kept = others.filter((one) => !one.startsWith(`${TITLE}\n`))
  writeFileSync(file, [head, ...kept, section].map((one) => one.trimEnd()).join('\n\n') + '\n')
}

/** One line on one round, for the terminal while the rest is still running. */
export function lineOf(found: Found): string {
  const { latency, engine, engineMany, posts, lines, interest, connections } = found
  const { roundTrip, sse, ws } = latency
  const rates = Object.entries({ alone: found.alone, aloneMany: found.aloneMany, engine, engineMany, posts, lines })
  return [
    `${nameOf(found)}: round trip ${percentilesText(roundTrip)}, SSE ${percentilesText(sse)}, WebSocket ${percentilesText(ws)} ms`,
    rates.map(([name, rate]) => `${name} ${thousands(rate?.perS)}`).join(', '),
    ...(interest === undefined
      ? []
      : [`interest ${besideText(interest.withoutClients)}, ${besideText(interest.withClient)}`]),
    `connections ${connections?.before ?? NONE}, ${connections?.withClients ?? NONE}`,
    `all delivered: ${exactText([found])}; others' CPU ${percent(found.othersShare)}`,
  ].join('; ')
}

function groupsOf(found: readonly Found[]): readonly Group[] {
  return [...Map.groupBy(found, nameOf).values()]
}

function nameOf({ kind, broker }: Found): string {
  return `${kind.name}, ${broker.name}`
}

function headOf([first]: Group): string {
  return first === undefined ? '' : nameOf(first)
}

function latencyCells(group: Group): string[] {
  const middle = (of: (latency: Latency) => Percentiles | undefined): string => {
    const all = group.flatMap(({ latency }) => of(latency) ?? [])
    if (all.length === 0) return NONE
    return percentilesText({
      p50Ms: median(all.map(({ p50Ms }) => p50Ms)),
      p99Ms: median(all.map(({ p99Ms }) => p99Ms)),
    })
  }
  const beyondMs = median(group.map(({ latency }) => beyond(latency)))
  return [
    headOf(group),
    middle(({ roundTrip }) => roundTrip),
    middle(({ sse }) => sse),
    middle(({ ws }) => ws),
    beyondMs.toFixed(2),
    beyondMs <= 1 ? 'yes' : 'no',
    group.every(({ latency }) => latency.isExact) ? 'yes' : '**no**',
    percent(median(group.map(({ othersShare }) => othersShare))),
  ]
}

/** How much later half of the events are than half of the broker's answers, on the slower transport. */
function beyond({ roundTrip, sse, ws }: Latency): number {
  return Math.max(...[sse, ws].flatMap((one) => one?.p50Ms ?? [])) - roundTrip.p50Ms
}

function throughputCells(group: Group): string[] {
  const middle = (of: RateOf): string => thousands(median(group.flatMap((found) => of(found)?.perS ?? [])))
  const share = (of: RateOf, whole: RateOf): string => {
    const shares = group.flatMap((found) => {
      const [one, all] = [of(found)?.perS, whole(found)?.perS]
      return one === undefined || all === undefined ? [] : [one / all]
    })
    return shares.length === 0 ? NONE : `${middle(of)} (${median(shares).toFixed(2)})`
  }
  return [
    headOf(group),
    middle(ALONE),
    middle(ALONE_MANY),
    share(({ engine }) => engine, ALONE),
    share(({ engineMany }) => engineMany, ALONE_MANY),
    share(({ posts }) => posts, ALONE),
    share(({ lines }) => lines, ALONE_MANY),
    exactText(group),
  ]
}

function costCells(group: Group): string[] {
  const cost = (of: (found: Found) => Rate | undefined): string => {
    const rates = group.flatMap((found) => of(found) ?? [])
    const [client, broker] = [rates.map(({ clientUs }) => clientUs), rates.map(({ brokerUs }) => brokerUs)]
    return `${median(client).toFixed(1)}, ${median(broker).toFixed(1)}`
  }
  return [
    group[0]?.broker.name ?? '',
    cost(({ alone }) => alone),
    cost(({ aloneMany }) => aloneMany),
    cost(({ engine }) => engine),
    cost(({ engineMany }) => engineMany),
  ]
}

function interestCells(group: Group): string[] {
  const middle = (of: (found: Found) => number | undefined): number => median(group.flatMap((found) => of(found) ?? []))
  const counted = (count: number): string => (Number.isFinite(count) ? count.toFixed(0) : NONE)
  const beside = (of: (interest: Interest) => Interest['withClient']): string => {
    const [interest] = group.flatMap((found) => found.interest ?? [])
    return interest === undefined ? NONE : besideText(of(interest))
  }
  return [
    headOf(group),
    beside(({ withoutClients }) => withoutClients),
    beside(({ withClient }) => withClient),
    counted(middle(({ connections }) => connections?.before)),
    counted(middle(({ connections }) => connections?.withClients)),
  ]
}

function besideText({ servingMs, otherMs }: Interest['withClient']): string {
  return `${percent(otherMs / servingMs)} % (${otherMs.toFixed(0)} of ${servingMs.toFixed(0)} ms)`
}

function exactText(group: Group): string {
  const all = group.flatMap(({ posts, lines }) => [posts, ...(lines === undefined ? [] : [lines])])
  if (all.every(({ isExact }) => isExact)) return 'yes'
  const lost = all.reduce((sum, one) => sum + one.lost, 0)
  return `**no**: ${lost.toLocaleString('en-US')} lost`
}

function percentilesText(found: Percentiles | undefined): string {
  return found === undefined ? NONE : `${found.p50Ms.toFixed(2)}, ${found.p99Ms.toFixed(2)}`
}

function percent(share: number): string {
  return (100 * share).toFixed(1)
}

function thousands(perS: number | undefined): string {
  return perS === undefined || !Number.isFinite(perS) ? NONE : (perS / 1_000).toFixed(1)
}
