// A chart of the results, as SVG: for each load a bar for each server, from the floor's price to its own. To the left is
// cheaper than the floor, to the right dearer; each bar is as long as the logarithm of its ratio.

import type { Load } from './loads.ts'
import { memoryOf, ratioOf, type Row } from './report.ts'
import type { Protocol } from './servers.ts'

const WIDTH = 1_000
const COLUMN = { sse: 0, ws: WIDTH / 2 } as const
const BARS_LEFT = 150
const BARS_WIDTH = 290
const BAR = 12
const STEP = 16
const GROUP_HEAD = 34
const HEAD = 46

const STYLE = `text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 11px } .title { font-weight: 600 } .name { text-anchor: end }
.bar { fill: #8c959f } .ours { fill: #0969da } .floor { stroke: #59636e; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #58a6ff } .floor { stroke: #9198a1 } }`

interface Bar {
  readonly name: string
  readonly value: number
}

interface Group {
  readonly title: string
  readonly unit: string
  readonly bars: readonly Bar[]
  /** Where a value stands, 0 to 1. */
  readonly place: (value: number) => number
  /** Where the bars begin. */
  readonly from: number
}

/** The whole chart, both protocols beside each other. */
export function chartOf(rows: readonly Row[]): string {
  const loads = [...new Set(rows.map(({ load }) => load))]
  let top = HEAD
  const parts: string[] = []
  for (const load of loads) {
    const groups = (['sse', 'ws'] as const).map((protocol) => [protocol, groupOf(rows, load, protocol)] as const)
    for (const [protocol, group] of groups) parts.push(drawn(group, COLUMN[protocol], top))
    top += GROUP_HEAD + STEP * Math.max(...groups.map(([, { bars }]) => bars.length))
  }
  const heads = (['sse', 'ws'] as const).map((protocol) => {
    const title = protocol === 'sse' ? 'Server-Sent Events' : 'WebSocket'
    return `<text class="title" x="${COLUMN[protocol] + 10}" y="20">${title}</text>`
  })
  const says =
    'CPU for each delivery, × floor (the line; left is cheaper), on a logarithmic scale. Idle: KB for each client.'
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" role="img" aria-label="${says}">
<style>${STYLE}</style>
<text class="small" x="10" y="38">${says}</text>
${[...heads, ...parts].join('\n')}
</svg>
`
}

function groupOf(rows: readonly Row[], load: Load, protocol: Protocol): Group {
  const isMemory = load.publishing.kind === 'none'
  const figure = isMemory ? memoryOf : ratioOf
  const own = rows.filter((row) => row.load === load && row.protocol === protocol)
  const bars = own
    .map((row) => ({ name: row.server.name, value: figure(row) }))
    .filter(({ name, value }) => Number.isFinite(value) && (isMemory || value > 0) && name !== 'floor')
  if (isMemory) {
    const most = Math.max(1, ...bars.map(({ value }) => value))
    return { title: load.name, unit: ' KB', bars, from: 0, place: (value) => Math.max(0, value) / most }
  }
  const logs = all(rows).map(Math.log)
  const [least, most] = [Math.min(...logs, Math.log(0.9)), Math.max(...logs, Math.log(1.1))]
  const place = (value: number): number => (Math.log(value) - least) / (most - least)
  return { title: load.name, unit: '', bars, from: place(1), place }
}

/** All ratios: one scale for all groups, so that bars can be compared over the whole chart. */
function all(rows: readonly Row[]): number[] {
  return rows
    .filter(({ load }) => load.publishing.kind !== 'none')
    .map(ratioOf)
    .filter((ratio) => Number.isFinite(ratio) && ratio > 0)
}

function drawn({ title, unit, bars, from, place }: Group, left: number, top: number): string {
  const x = (share: number): number => Math.round(left + BARS_LEFT + share * BARS_WIDTH)
  const lines = bars.map(({ name, value }, i) => {
    const y = top + GROUP_HEAD - 10 + i * STEP
    const [begin, end] = [x(Math.min(from, place(value))), x(Math.max(from, place(value)))]
    const kind = name.startsWith('hydrant') ? 'ours' : 'bar'
    return `<text class="small name" x="${left + BARS_LEFT - 8}" y="${y + BAR - 2}">${name}</text>
<rect class="${kind}" x="${begin}" y="${y}" width="${Math.max(1, end - begin)}" height="${BAR}" rx="1"/>
<text class="small" x="${end + 5}" y="${y + BAR - 2}">${value.toFixed(unit === '' ? 2 : 1)}${unit}</text>`
  })
  const bottom = top + GROUP_HEAD - 10 + bars.length * STEP
  const line = `<line class="floor" x1="${x(from)}" x2="${x(from)}" y1="${top + GROUP_HEAD - 13}" y2="${bottom}"/>`
  return [`<text class="title" x="${left + 10}" y="${top + 16}">${title}</text>`, ...lines, line].join('\n')
}
