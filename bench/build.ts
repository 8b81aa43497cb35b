// The C programs of this folder, compiled when they are needed: a load generator in JavaScript would be slower than the
// servers that it measures.

import { spawnSync } from 'node:child_process'
import { mkdirSync, renameSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('.', import.meta.url))
const FLAGS = ['-O2', '-Wall', '-Wextra']

/** Why the C programs cannot be compiled here; undefined when they can. */
export function whyNoCompiler(): string | undefined {
  if (process.platform !== 'linux') return 'the C programs of bench/ need Linux (epoll, /proc)'
  const found = spawnSync('gcc', ['--version']).status === 0
  return found ? undefined : 'the C programs of bench/ need gcc: install it (Debian, Ubuntu: apt install gcc libc6-dev)'
}

/** The compiler's name and version, for reports. */
export function compilerVersion(): string {
  return spawnSync('gcc', ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0] ?? 'gcc'
}

/** Compiles one of the programs and returns its path. Throws with the compiler's words when that fails. */
export function build(program: 'load' | 'floor'): string {
  const reason = whyNoCompiler()
  if (reason !== undefined) throw new Error(reason)
  mkdirSync(`${FOLDER}.build`, { recursive: true })
  const binary = `${FOLDER}.build/${program}`
  const fresh = `${binary}.${process.pid}` // moved into place when whole: others may be running the old one
  const args = [...FLAGS, '-o', fresh, `${FOLDER}${program}.c`, '-ldl']
  const { status, stderr } = spawnSync('gcc', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`gcc could not compile ${program}.c:\n${stderr}`)
  renameSync(fresh, binary)
  return binary
}
