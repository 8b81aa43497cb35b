// The textbook Axum server, built with cargo when it is needed. What cargo makes stays beside the other caches.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CRATE = fileURLToPath(new URL('axum/', import.meta.url))
const TARGET = fileURLToPath(new URL('../../.cache/bench/axum', import.meta.url))
/** What Cargo.lock's crates ask for; Debian 12 has it as cargo-web. */
const MINOR_MIN = 85

let binary: string | undefined

/** A cargo that is new enough: on the path, or where rustup puts it; undefined when there is none. */
export function cargo(): string | undefined {
  const installed = join(homedir(), '.cargo', 'bin', 'cargo')
  return ['cargo', ...(existsSync(installed) ? [installed] : [])].find(isNewEnough)
}

/** Builds the server, or finds that it is built, and returns its command line. Throws with what is missing. */
export function axumCommand(port: number, workers: number): [string, ...string[]] {
  binary ??= buildAxum()
  return [binary, String(port), String(workers)]
}

function buildAxum(): string {
  const found = cargo()
  if (found === undefined) throw new Error(`it needs cargo 1.${MINOR_MIN} or newer (rustup, or apt install cargo-web)`)
  const args = ['build', '--release', '--locked', '--quiet', '--manifest-path', `${CRATE}Cargo.toml`]
  const env = { ...process.env, CARGO_TARGET_DIR: TARGET }
  const { status, stderr } = spawnSync(found, args, { env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`cargo could not build it: ${stderr.trim().split('\n')[0]}`)
  return join(TARGET, 'release', 'axum-peer')
}

function isNewEnough(command: string): boolean {
  const { stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' })
  const [, major, minor] = /^cargo (\d+)\.(\d+)/.exec(stdout ?? '') ?? []
  return Number(major) > 1 || Number(minor) >= MINOR_MIN
}
