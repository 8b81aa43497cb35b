// The machine: what a report has to say about it, and which CPUs its two parties get.

import { spawnSync } from 'node:child_process'
import { cpus, release, totalmem, type } from 'node:os'
import { compilerVersion } from './build.ts'

/** The server's CPU: one thread is what is measured, and a server that wants more has to share this one. */
export const SERVER_PIN: readonly string[] = ['taskset', '-c', '0']
/** The CPUs of a server that is measured on two; where there are only two, it shares the second with the generator. */
const SERVER_PIN_2: readonly string[] = ['taskset', '-c', cpus().length > 2 ? '0,2' : '0,1']
/** The load generator's CPU. */
export const GENERATOR_PIN: readonly string[] = ['taskset', '-c', '1']

/** What pins a server to its one or two CPUs. */
export function serverPin(count: 1 | 2): readonly string[] {
  return count === 1 ? SERVER_PIN : SERVER_PIN_2
}

/** Why servers and generator cannot have a CPU each; undefined when they can. */
export function whyNotPinned(): string | undefined {
  if (cpus().length < 2) return 'the benchmark needs two CPUs: one for the server, one for the load generator'
  if (spawnSync('taskset', ['--version']).status !== 0) return 'the benchmark needs taskset (package util-linux)'
  return undefined
}

/** One line on processor, memory, kernel, Node and compiler. */
export function machineFacts(): string {
  const all = cpus()
  const memoryGb = Math.round(totalmem() / 2 ** 30)
  const processor = `${all.length} x ${all[0]?.model.trim() ?? 'unknown processor'}`
  return `${processor}, ${memoryGb} GiB, ${type()} ${release()}, Node ${process.versions.node}, ${compilerVersion()}`
}
