// CPU time: of one process, and of everybody else on the machine.

import { readdirSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** The kernel's unit in /proc/stat. */
const TICK_MS = 10

/** CPU time of a process and all its threads, to the nanosecond. */
export function cpuMs(pid: number): number {
  const tasks = `/proc/${pid}/task`
  const ns = readdirSync(tasks).map((task) => Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]))
  return ns.reduce((sum, one) => sum + one, 0) / 1e6
}

/**
 * Begins to meter what neither this process nor its children take; the result answers it as a share of all CPUs. Only
 * children that have ended by then are known.
 */
export function meterOthers(): () => number {
  const [beginMs, busyMs, ownMs] = [performance.now(), machineBusyMs(), familyMs()]
  return () => {
    const othersMs = machineBusyMs() - busyMs - (familyMs() - ownMs)
    return Math.max(0, othersMs) / (performance.now() - beginMs) / cpus().length
  }
}

function machineBusyMs(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = numbersOf(
    readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '',
  )
  return (user + nice + system + irq + softirq + steal) * TICK_MS
}

/** This process and its children that have ended, with theirs. */
function familyMs(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? []
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_MS
}

function numbersOf(line: string): readonly number[] {
  return line.trim().split(/ +/).slice(1).map(Number)
}
