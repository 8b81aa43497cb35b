// Appending: events acknowledged on disk, with 100 publishers that each await their acknowledgement.
//
//   node --conditions=hydrant-source bench/append.ts                     three rounds of 5 s each
//   node --conditions=hydrant-source bench/append.ts --rounds 5 --ms 2000 --topics 1
//   node --conditions=hydrant-source bench/append.ts --full              the log at its bound: each append also trims
//
// Interleaved in each round: the floor (writev and fdatasync of as many bytes, in the batches that the file engine had, on
// the same disk), the file engine, the memory engine. The delay of the event loop is that of the publishers' thread.

import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, statfsSync, writevSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { createHub } from '../packages/hydrant/src/create-hub.ts'
import type { Engine } from '../packages/hydrant/src/engine/engine.ts'
import { FileEngine } from '../packages/hydrant/src/engine/file.ts'
import { MemoryEngine } from '../packages/hydrant/src/engine/memory.ts'
import { machineFacts } from './machine.ts'
import { median } from './report.ts'

const EVENT_BYTES = 256
const PUBLISHERS = 100

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    ms: { type: 'string', default: '5000' },
    topics: { type: 'string', default: '100' },
    folder: { type: 'string' },
    full: { type: 'boolean', default: false },
  },
})
const folder = mkdtempSync(join(options.folder ?? tmpdir(), 'hydrant-append-'))
const runMs = Number(options.ms)

interface Run {
  readonly eventsPerS: number
  readonly ackP50Ms: number
  readonly ackP99Ms: number
  readonly loopP50Ms: number
  readonly loopP99Ms: number
  readonly eventsPerBatch: number
}

interface Round {
  readonly floorPerS: number
  readonly file: Run
  readonly memory: Run
}

try {
  await main()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function main(): Promise<void> {
  const rounds: Round[] = []
  let batch = batchOf(await fileRun(join(folder, 'trial')))
  for (let round = 1; round <= Number(options.rounds); round += 1) {
    const floorBefore = floor(batch, runMs / 2)
    const file = await fileRun(join(folder, String(round)))
    batch = batchOf(file)
    const floorPerS = (floorBefore + floor(batch, runMs / 2)) / 2
    const memory = await run(new MemoryEngine())
    rounds.push({ floorPerS, file, memory })
    console.error(`${round}: ${lineOf(floorPerS, file, memory)}`)
  }
  report(rounds)
}

function batchOf({ eventsPerBatch }: Run): number {
  return Math.max(1, Math.round(eventsPerBatch))
}

async function fileRun(path: string): Promise<Run> {
  const retention = options.full ? { logBytesMax: 4_194_304 } : {}
  const found = await run(new FileEngine({ folder: path, retention }))
  rmSync(path, { recursive: true, force: true })
  return found
}

/** 100 publishers, each with one event under way. */
async function run(engine: Engine): Promise<Run> {
  let batches = 0
  const open = engine.open.bind(engine)
  engine.open = async (tail) => open((range) => ((batches += 1), tail(range)))
  const hub = createHub({ engine })
  await hub.ready
  const events = Array.from({ length: PUBLISHERS }, (_, at) => ({
    topic: `bench/${at % Number(options.topics)}`,
    data: 'x'.repeat(EVENT_BYTES),
  }))
  const acksMs: number[] = []
  await publishUntil(hub, events, performance.now() + Math.min(500, runMs / 4), [])
  const before = engine.bounds().head
  batches = 0
  const begin = performance.now()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await publishUntil(hub, events, begin + runMs, acksMs)
  delay.disable()
  const count = engine.bounds().head - before
  const seconds = (performance.now() - begin) / 1_000
  await hub.close()
  acksMs.sort((left, right) => left - right)
  return {
    eventsPerS: count / seconds,
    ackP50Ms: acksMs[Math.floor(acksMs.length * 0.5)] ?? 0,
    ackP99Ms: acksMs[Math.floor(acksMs.length * 0.99)] ?? 0,
    loopP50Ms: delay.percentile(50) / 1e6,
    loopP99Ms: delay.percentile(99) / 1e6,
    eventsPerBatch: count / batches,
  }
}

async function publishUntil(
  hub: ReturnType<typeof createHub>,
  events: readonly { readonly topic: string; readonly data: string }[],
  endMs: number,
  acksMs: number[],
): Promise<void> {
  await Promise.all(
    events.map(async (event) => {
      for (let nowMs = performance.now(); nowMs < endMs;) {
        await hub.publish(event)
        const ackedMs = performance.now()
        if (acksMs.length < 1_000_000) acksMs.push(ackedMs - nowMs)
        nowMs = ackedMs
      }
    }),
  )
}

/** Events per second of the plainest log: a batch is one writev and one fdatasync. */
function floor(batch: number, ms: number): number {
  const path = join(folder, 'floor')
  const file = openSync(path, 'w')
  const parts = Array.from({ length: batch }, () => Buffer.alloc(EVENT_BYTES, 'x'))
  const begin = performance.now()
  let events = 0
  while (performance.now() < begin + ms) {
    if (writevSync(file, parts) !== batch * EVENT_BYTES) throw new Error('written in part')
    fdatasyncSync(file)
    events += batch
  }
  const seconds = (performance.now() - begin) / 1_000
  closeSync(file)
  rmSync(path)
  return events / seconds
}

function lineOf(floorPerS: number, file: Run, memory: Run): string {
  return (
    `floor ${thousands(floorPerS)}/s; file ${thousands(file.eventsPerS)}/s (${(file.eventsPerS / floorPerS).toFixed(2)}x), batches of ${file.eventsPerBatch.toFixed(0)}, ` +
    `acknowledged p50 ${file.ackP50Ms.toFixed(2)} p99 ${file.ackP99Ms.toFixed(2)} ms, ` +
    `loop p50 ${file.loopP50Ms.toFixed(2)} p99 ${file.loopP99Ms.toFixed(2)} ms; memory ${thousands(memory.eventsPerS)}/s, ` +
    `loop p50 ${memory.loopP50Ms.toFixed(2)} p99 ${memory.loopP99Ms.toFixed(2)} ms`
  )
}

function report(rounds: readonly Round[]): void {
  const ratios = rounds.map(({ file, floorPerS }) => file.eventsPerS / floorPerS)
  const delay = median(rounds.map(({ file, memory }) => file.loopP99Ms / memory.loopP99Ms))
  const disk = statfsSync(folder)
  console.log(`${machineFacts()}; file system type 0x${disk.type.toString(16)}; ${options.topics} topics`)
  console.log(
    `file engine: median ${median(ratios).toFixed(2)}x of writev + fdatasync, lowest ${Math.min(...ratios).toFixed(2)}x (target: at least 0.25)`,
  )
  console.log(`event loop's delay, p99: median ${delay.toFixed(2)}x of the memory engine's (target: at most 2)`)
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
