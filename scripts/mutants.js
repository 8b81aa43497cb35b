// Plants bugs, one at a time, in a copy of the repository, and shows which test notices each.
//
//   npm run mutants                      all of scripts/mutants/mutants.json
//   npm run mutants -- --name state      those whose name holds a word
//
// Exits with 1 when one survives, or when its text no longer stands in its file exactly once.

import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/**
 * A bug to plant. `text` stands exactly once in `file`; `breaks` is the promise that is broken; `tests` are the
 * beginnings of the paths of the tests that should notice, run in this order until one does.
 *
 * @typedef {object} Mutant
 * @property {string} name
 * @property {string} file
 * @property {string} text
 * @property {string} replacement
 * @property {string} breaks
 * @property {readonly string[]} [tests]
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url))
// The test that holds the list against the sources would notice every mutant.
const NOT_COPIED = new Set(['.git', '.cache', 'node_modules', 'mutants.test.ts'])
const OWN_PACKAGES = { hydrant: 'packages/hydrant', 'hydrant-client': 'packages/client' }
const TESTS = ['property/resume', 'property', 'hub', 'transport', 'integration/state', 'integration/ended-topics'].map(
  (path) => `packages/hydrant/test/${path}`,
)
const AT_ONCE = 2
const TEST_MS_MAX = 180_000

const FAILURE = /✖ (.*?) \(\d/

const { values } = parseArgs({ options: { name: { type: 'string', default: '' } } })

/** @type {readonly Mutant[]} */
const all = JSON.parse(readFileSync(new URL('mutants/mutants.json', import.meta.url), 'utf8'))
const waiting = all.filter(({ name }) => name.includes(values.name))
const folder = mkdtempSync(join(tmpdir(), 'hydrant-mutants-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.once(signal, () => process.exit(1))

if (waiting.length === 0) console.error('hydrant: no mutant has such a name')
const survivors = waiting.length === 0 ? 1 : await plantAll()
process.exitCode = survivors === 0 ? 0 : 1

async function plantAll() {
  const planted = waiting.length
  const places = Array.from({ length: AT_ONCE }, (_, at) => copyTo(join(folder, String(at))))
  const [place = ''] = places
  for (const test of new Set(waiting.flatMap(({ tests = TESTS }) => tests))) {
    const why = await failureOf(test, place)
    if (why === undefined) continue
    console.error(`hydrant: this fails without any mutant, so that it proves nothing: ${why}`)
    return 1
  }
  console.log(`| ${'mutant'.padEnd(60)} | caught by`)
  console.log(`| ${'-'.repeat(60)} | ---------`)
  const survived = (await Promise.all(places.map(plantNext))).flat()
  console.log(`\n${planted - survived.length} of ${planted} were caught`)
  for (const { name, breaks } of survived) console.error(`SURVIVED: ${name}\n  ${breaks}`)
  return survived.length
}

/** @param {string} place */
async function plantNext(place) {
  /** @type {Mutant[]} */
  const survived = []
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const verdict = await plant(mutant, place)
    if (verdict === undefined || !verdict.isCaught) survived.push(mutant)
    console.log(`| ${mutant.name.padEnd(60)} | ${verdict?.why ?? 'SURVIVED'}`)
  }
  return survived
}

/**
 * @param {Mutant} mutant
 * @param {string} place
 */
async function plant({ file, text, replacement, tests = TESTS }, place) {
  const path = join(place, file)
  const source = readFileSync(path, 'utf8')
  if (source.split(text).length !== 2) return { isCaught: false, why: `its text does not stand once in ${file}` }
  writeFileSync(
    path,
    source.replace(text, () => replacement),
  )
  try {
    for (const test of tests) {
      const why = await failureOf(test, place)
      if (why !== undefined) return { isCaught: true, why }
    }
    return undefined
  } finally {
    writeFileSync(path, source)
  }
}

/**
 * Why the tests fail, undefined when they pass.
 *
 * @param {string} test
 * @param {string} place
 * @returns {Promise<string | undefined>}
 */
function failureOf(test, place) {
  const run = spawn(process.execPath, ['scripts/test.js', test], {
    cwd: place,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let said = ''
  let isLate = false
  run.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
    said += text
    if (FAILURE.test(said)) killGroup(run.pid) // the first says enough
  })
  const timer = setTimeout(() => {
    isLate = true
    killGroup(run.pid)
  }, TEST_MS_MAX)
  const onExit = () => killGroup(run.pid)
  process.once('exit', onExit)
  return new Promise((resolve) => {
    run.once('close', (code) => {
      clearTimeout(timer)
      process.off('exit', onExit)
      const name = FAILURE.exec(said)?.[1] ?? 'a test that did not end as it should'
      if (code === 0 && !isLate) resolve(undefined)
      else resolve(isLate ? `${basename(test)}: not done in ${TEST_MS_MAX / 1000} s` : `${basename(test)}: ${name}`)
    })
  })
}

/** @param {number | undefined} leader */
function killGroup(leader) {
  if (leader === undefined) return
  try {
    process.kill(-leader, 'SIGKILL')
  } catch {
    // it ended by itself
  }
}

/**
 * The packages of node_modules are linked, but for the repository's own, which are those of the copy.
 *
 * @param {string} place
 */
function copyTo(place) {
  cpSync(ROOT, place, { recursive: true, filter: (source) => !NOT_COPIED.has(basename(source)) })
  const modules = join(place, 'node_modules')
  mkdirSync(modules)
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (!(name in OWN_PACKAGES)) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  }
  for (const [name, path] of Object.entries(OWN_PACKAGES)) symlinkSync(join(place, path), join(modules, name))
  return place
}
