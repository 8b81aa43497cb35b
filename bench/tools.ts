// What the benchmark needs that npm does not bring: compilers, Nchan. Installed with apt where that is possible,
// and named where it is not; rows whose tools are missing are left out, and the report says why.

import { spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { whyNoCompiler } from './build.ts'
import { cargo } from './peers/axum.ts'
import { nchanModule } from './peers/nchan.ts'

/** Something that has to be installed. */
export type Tool = 'gcc' | 'cargo' | 'nchan'

/** What everything of the benchmark needs. */
export const TOOLS: readonly Tool[] = ['gcc']

/** Starts no servers: Debian does so after installing one, unless this file says no. */
const POLICY = '/usr/sbin/policy-rc.d'

const KINDS: { readonly [T in Tool]: { isThere(): boolean; packages(): string[] } } = {
  gcc: { isThere: () => whyNoCompiler() === undefined, packages: () => ['gcc', 'libc6-dev'] },
  cargo: { isThere: () => cargo() !== undefined, packages: () => [isPackage('cargo-web') ? 'cargo-web' : 'cargo'] },
  nchan: { isThere: () => nchanModule() !== undefined, packages: () => ['nginx', 'libnginx-mod-nchan'] },
}

/** Installs what is missing of these, and says what remains missing. */
export function ensureTools(tools: readonly Tool[]): void {
  const missing = missingOf(tools)
  if (missing.length === 0) return
  if (isDebianRoot()) install(missing)
  const left = missingOf(missing)
  if (left.length > 0) console.error(`bench: not installed: ${left.join(', ')}. What needs them is left out`)
}

function missingOf(tools: readonly Tool[]): Tool[] {
  return [...new Set(tools)].filter((tool) => !KINDS[tool].isThere())
}

function install(tools: readonly Tool[]): void {
  runs('apt-get', ['-q', 'update'])
  const packages = tools.flatMap((tool) => KINDS[tool].packages())
  console.error(`bench: installing with apt-get: ${packages.join(' ')}`)
  const policed = existsSync(POLICY)
  if (!policed) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    runs('apt-get', ['-q', 'install', '-y', '--no-install-recommends', ...packages])
  } finally {
    if (!policed) rmSync(POLICY)
  }
}

function isDebianRoot(): boolean {
  return existsSync('/etc/debian_version') && process.getuid?.() === 0
}

function isPackage(name: string): boolean {
  return spawnSync('apt-cache', ['show', name]).status === 0
}

function runs(command: string, args: readonly string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  spawnSync(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
}
