// What the operating system and the hub say of themselves at one moment, and what two such moments tell together.

import { readFileSync } from 'node:fs'
import { cpus, freemem, loadavg, totalmem } from 'node:os'
import type { Hub } from '../hub/hub.ts'
import type { Figures } from '../metrics/figures.ts'

/** Time that a core has spent since it was started. */
export interface CoreTimes {
  readonly busyMs: number
  readonly totalMs: number
}

/** Bytes over all network interfaces since they came up, loopback included: there a local client's traffic is. */
export interface NetworkBytes {
  readonly received: number
  readonly sent: number
}

/** One moment: gauges as they stand, and counters that only grow. */
export interface Reading {
  /** Milliseconds since 1970. */
  readonly timeMs: number
  /** Milliseconds that only ever grow. */
  readonly monotonicMs: number
  readonly cores: readonly CoreTimes[]
  readonly memoryUsedBytes: number
  readonly memoryTotalBytes: number
  /** Undefined where the system has no /proc/net/dev. */
  readonly network: NetworkBytes | undefined
  /** Averages over 1, 5 and 15 minutes. */
  readonly load: readonly number[]
  /** What this process holds in memory. */
  readonly processBytes: number
  readonly connections: number
  readonly published: number
  readonly deliveries: number
}

/** What is published, as JSON. */
export interface MachineSample {
  /** Milliseconds since 1970. */
  readonly timeMs: number
  /** For each core how busy it was, 0 to 1. */
  readonly cpu: readonly number[]
  readonly memory: { readonly usedBytes: number; readonly totalBytes: number }
  /** Left out where it cannot be known. */
  readonly network?: { readonly receivedBytesPerSecond: number; readonly sentBytesPerSecond: number }
  /** Averages over 1, 5 and 15 minutes. */
  readonly load: readonly number[]
  readonly process: { readonly memoryBytes: number }
  readonly hub: {
    readonly connections: number
    readonly publishedPerSecond: number
    readonly deliveriesPerSecond: number
  }
}

/** Of a hub, what a reading tells. */
export interface Counted extends Pick<Hub, 'clock'> {
  readonly counters: Pick<Figures, 'connections' | 'published' | 'deliveries'>
}

/** Reads this machine and this hub; costs well under a millisecond. */
export function readMachine({ counters, clock }: Counted): Reading {
  return {
    timeMs: clock.nowMs(),
    monotonicMs: clock.monotonicMs(),
    cores: cpus().map(({ times }) => {
      const busyMs = times.user + times.nice + times.sys + times.irq
      return { busyMs, totalMs: busyMs + times.idle }
    }),
    memoryUsedBytes: totalmem() - freemem(),
    memoryTotalBytes: totalmem(),
    network: readNetwork(),
    load: loadavg(),
    processBytes: process.memoryUsage.rss(),
    connections: Object.values(counters.connections).reduce((sum, open) => sum + open, 0),
    published: counters.published,
    deliveries: counters.deliveries,
  }
}

/** What happened between two readings. Rates are 0 where no time has passed or a counter was set back. */
export function sampleBetween(before: Reading, after: Reading): MachineSample {
  const seconds = (after.monotonicMs - before.monotonicMs) / 1_000
  const perSecond = (from: number, to: number): number =>
    seconds > 0 && to >= from ? Math.round(((to - from) / seconds) * 10) / 10 : 0
  const network =
    before.network === undefined || after.network === undefined
      ? undefined
      : {
          receivedBytesPerSecond: perSecond(before.network.received, after.network.received),
          sentBytesPerSecond: perSecond(before.network.sent, after.network.sent),
        }
  return {
    timeMs: after.timeMs,
    cpu: after.cores.map((core, at) => busyShare(before.cores[at], core)),
    memory: { usedBytes: after.memoryUsedBytes, totalBytes: after.memoryTotalBytes },
    ...(network === undefined ? {} : { network }),
    load: after.load.map((value) => Math.round(value * 100) / 100),
    process: { memoryBytes: after.processBytes },
    hub: {
      connections: after.connections,
      publishedPerSecond: perSecond(before.published, after.published),
      deliveriesPerSecond: perSecond(before.deliveries, after.deliveries),
    },
  }
}

/** Adds up /proc/net/dev: two lines of headings, then `name: received bytes, 7 others, sent bytes, …`. */
export function parseNetDev(text: string): NetworkBytes {
  let received = 0
  let sent = 0
  for (const line of text.split('\n').slice(2)) {
    const counters = line
      .slice(line.indexOf(':') + 1)
      .trim()
      .split(/\s+/)
      .map(Number)
    received += counters[0] ?? 0
    sent += counters[8] ?? 0
  }
  return { received, sent }
}

function readNetwork(): NetworkBytes | undefined {
  try {
    return parseNetDev(readFileSync('/proc/net/dev', 'latin1'))
  } catch {
    return undefined // not a Linux, or one that does not show it
  }
}

/** A core that was not there before has no share yet; counters of virtual machines may run backwards a little. */
function busyShare(before: CoreTimes | undefined, after: CoreTimes): number {
  const totalMs = after.totalMs - (before?.totalMs ?? after.totalMs)
  const busyMs = after.busyMs - (before?.busyMs ?? after.busyMs)
  return totalMs > 0 ? Math.round(Math.min(1, Math.max(0, busyMs / totalMs)) * 1_000) / 1_000 : 0
}
