// Runs an example from the sources: `npm run example -- <name> [its options]`. Without a name it lists what there is.

import { spawn } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const [name, ...options] = process.argv.slice(2)
const examples = globSync('examples/*/server.ts', { cwd: ROOT }).toSorted()
const example = examples.find((path) => nameOf(path) === name)

if (example !== undefined) start(example)
else list()

/** @param {string} path */
function start(path) {
  const child = spawn(process.execPath, ['--conditions=hydrant-source', join(ROOT, path), ...options], {
    stdio: 'inherit',
  })
  // The child decides when it is done: Ctrl-C reaches both, a plain kill only this process.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('exit', (code) => {
    process.exitCode = code ?? 1
  })
}

function list() {
  if (name !== undefined) console.error(`There is no example "${name}".`)
  console.log('npm run example -- <name>, where name is one of:')
  for (const path of examples) console.log(`  ${nameOf(path).padEnd(16)} ${reasonOf(path)}`)
  process.exitCode = name === undefined ? 0 : 1
}

/** @param {string} path */
function nameOf(path) {
  return basename(dirname(path))
}

/**
 * The first line of the file, which says what it is for.
 *
 * @param {string} path
 */
function reasonOf(path) {
  const [first = ''] = readFileSync(join(ROOT, path), 'utf8').split('\n')
  return first.replace(/^\/\/ ?/, '')
}
