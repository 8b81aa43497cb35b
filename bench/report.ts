// Turns measurements into the tables of results.md.

import type { Measurement } from './generator.ts'
import type { Load } from './loads.ts'
import type { Protocol, Server } from './servers.ts'

/** What one server did under one load, in one protocol: a measurement for each round, and the floor's beside each. */
export interface Row {
  readonly load: Load
  readonly protocol: Protocol
  readonly server: Server
  readonly rounds: { readonly found: Measurement; readonly floor: Measurement }[]
  /** Why there is no measurement of a round: one for each that failed. */
  readonly failures: string[]
}

/** Below this share of its core the generator is certainly not what was measured. */
const OWN_CPU_SHARE_MAX = 0.9

interface Column {
  readonly title: string
  cell(row: Row): string
}

const SERVER: Column = { title: 'server', cell: (row) => `${row.server.name}, ${row.protocol}` }
const US: Column = { title: 'µs/delivery', cell: (row) => spread(row, (found) => found.usPerDelivery, 2) }
const USER_US: Column = { title: 'user µs', cell: (row) => middle(row, (found) => found.userUsPerDelivery, 2) }
const RATIO: Column = {
  title: '× floor',
  cell: (row) => fixed(ratioOf(row), 2),
}
const P50: Column = { title: 'p50 ms', cell: (row) => middle(row, (found) => found.p50Ms, 1) }
const MAX: Column = { title: 'latest ms', cell: (row) => middle(row, (found) => found.maxMs, 0) }
const BACK: Column = { title: 'all back after ms', cell: (row) => spread(row, (found) => found.backMs, 0) }
const P99: Column = { title: 'p99 ms', cell: (row) => middle(row, (found) => found.p99Ms, 1) }
const PER_S: Column = {
  title: 'deliveries/s',
  cell: (row) => {
    const isGenerators = row.rounds.some(({ found }) => found.ownCpuShare > OWN_CPU_SHARE_MAX)
    return thousands(median(row.rounds.map(({ found }) => found.deliveriesPerS))) + (isGenerators ? ' *' : '')
  },
}
const PER_READ: Column = { title: 'events/read', cell: (row) => middle(row, (found) => found.eventsPerRead, 1) }
const BYTES: Column = { title: 'bytes/delivery', cell: (row) => middle(row, (found) => found.bytesPerDelivery, 0) }
const RSS: Column = { title: 'RSS KB/client', cell: (row) => middle(row, (found) => found.rssPerClientKb, 1) }
const IDLE_CPU: Column = { title: 'CPU s while idle', cell: (row) => middle(row, (found) => found.idleCpuS, 2) }
const GROWTH: Column = {
  title: 'RSS growth MB',
  cell: (row) => spread(row, (found) => (found.rssPeakKb - found.rssConnectedKb) / 1_024, 0),
}
const GIVEN_UP: Column = { title: 'stalled, cut off', cell: (row) => middle(row, (found) => found.slowClosed, 0) }
const OTHERS: Column = { title: "others' CPU %", cell: (row) => middle(row, (found) => found.othersCpuShare * 100, 0) }
const EXACT: Column = { title: 'every event once, in order', cell: (row) => verdict(row) }

/** CPU for a delivery as a multiple of the floor's in the same round, the median of the rounds; NaN of none. */
export function ratioOf({ rounds }: Row): number {
  return median(rounds.map(({ found, floor }) => found.usPerDelivery / floor.usPerDelivery))
}

/** Resident memory for each client in KB, the median of the rounds; NaN of none. */
export function memoryOf({ rounds }: Row): number {
  return median(rounds.map(({ found }) => found.rssPerClientKb))
}

/** All servers against all loads that have a price for a delivery: × floor, in Markdown. */
export function summaryOf(rows: readonly Row[], protocol: Protocol): string {
  const priced = rows.filter((row) => row.protocol === protocol && row.load.publishing.kind !== 'none')
  const loads = [...new Set(priced.map(({ load }) => load))]
  const servers = [...new Set(priced.map(({ server }) => server))]
  const cellOf = (server: Server, load: Load): string => {
    const row = priced.find((one) => one.server === server && one.load === load)
    return row === undefined ? '' : fixed(ratioOf(row), 2) + (isFaultless(row) ? '' : ' !')
  }
  const lines = servers.map((server) => [server.name, ...loads.map((load) => cellOf(server, load))])
  return aligned([[`× floor, ${protocol}`, ...loads.map(({ name }) => name)], ...lines])
}

/** A load's heading and table, in Markdown. */
export function tableOf(load: Load, rows: readonly Row[]): string {
  const columns = columnsOf(load)
  const lines = [columns.map(({ title }) => title), ...rows.map((row) => columns.map((column) => column.cell(row)))]
  return `## ${load.name}\n\n${load.about}\n\n${aligned(lines)}\n`
}

/** A Markdown table with a heading, its columns as wide as their widest cells: it is read as text, too. */
export function aligned([heading = [], ...lines]: readonly (readonly string[])[]): string {
  const widths = heading.map((title, i) => Math.max(3, title.length, ...lines.map((cells) => cells[i]?.length ?? 0)))
  const rule = widths.map((width) => '-'.repeat(width))
  const padded = [heading, rule, ...lines].map((cells) => cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)))
  return padded.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** One line on one measurement, for the terminal while the rest is still running. */
export function lineOf(found: Measurement): string {
  const us = `${fixed(found.usPerDelivery, 2)} µs/delivery`
  const latency = `p50 ${fixed(found.p50Ms, 1)} p99 ${fixed(found.p99Ms, 1)} ms`
  const memory = `${fixed(found.rssPerClientKb, 1)} KB/client`
  if (found.delivered === 0) return `${memory}, ${faultsOf(found)}`
  const others = `others ${fixed(found.othersCpuShare * 100, 0)} % CPU`
  return `${us}, ${latency}, ${thousands(found.deliveriesPerS)}/s, ${memory}, ${others}, ${faultsOf(found)}`
}

/** The middle value, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN
  return (upper + lower) / 2
}

function columnsOf(load: Load): Column[] {
  if (load.publishing.kind === 'none') return [SERVER, RSS, IDLE_CPU, EXACT]
  if (load.cutAfterEvents !== undefined) return [SERVER, BACK, US, RATIO, P50, P99, MAX, RSS, OTHERS, EXACT]
  if (load.stalled > 0) return [SERVER, GROWTH, GIVEN_UP, US, RATIO, P50, P99, OTHERS, EXACT]
  return [SERVER, US, USER_US, RATIO, P50, P99, PER_S, PER_READ, BYTES, RSS, OTHERS, EXACT]
}

function middle(row: Row, figure: (found: Measurement) => number, digits: number): string {
  return fixed(median(row.rounds.map(({ found }) => figure(found))), digits)
}

/** The median, and how far the rounds lie apart. */
function spread(row: Row, figure: (found: Measurement) => number, digits: number): string {
  const figures = row.rounds.map(({ found }) => figure(found))
  if (figures.length < 2) return middle(row, figure, digits)
  return `${middle(row, figure, digits)} (${fixed(Math.min(...figures), digits)}–${fixed(Math.max(...figures), digits)})`
}

function isFaultless({ rounds, failures }: Row): boolean {
  return failures.length === 0 && rounds.every(({ found }) => found.exact)
}

function verdict(row: Row): string {
  const words = row.rounds.map(({ found }) => faultsOf(found)).filter((word) => word !== 'exact')
  const faults = [...words, ...row.failures]
  return faults.length === 0 ? 'yes' : `**no**: ${[...new Set(faults)].join('; ')}`
}

function faultsOf(found: Measurement): string {
  if (found.exact) return 'exact'
  const { lost, doubled, reordered, clientsApart, garbled, closed, refused, publishFailed } = found
  const faults = Object.entries({ lost, doubled, reordered, clientsApart, garbled, closed, refused, publishFailed })
  const words = faults.filter(([, times]) => times > 0).map(([name, times]) => `${name} ${times}`)
  return words.length === 0 ? 'not all was published' : words.join(', ')
}

function fixed(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '–'
}

function thousands(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : '–'
}
