// Runs the tests, each file in a process of its own, from the sources.
//
//   npm test                                       all of them
//   npm test -- packages/hydrant/test/hub          those whose path begins so: a folder, or a file
//   npm test -- --name resume                      those whose name holds a word or matches a /pattern/
//
// With CI set a skipped test is a failure: there, everything that the tests need can be had.

import { globSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TEST_FILES = ['packages/*/test/**/*.test.ts', 'bench/**/*.test.ts', 'examples/**/*.test.ts']
const FILES_AT_ONCE = 2
const TEST_MS_MAX = 60_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { name: { type: 'string', multiple: true, default: [] } },
})

const files = testFiles(positionals)
if (files.length > 0) runTests()
else fail(`no test file matches ${positionals.join(', ') || TEST_FILES.join(', ')}`)

function runTests() {
  const events = run({
    cwd: ROOT,
    files,
    concurrency: FILES_AT_ONCE,
    timeout: TEST_MS_MAX,
    execArgv: ['--conditions=hydrant-source', `--import=${new URL('test-exit.js', import.meta.url).href}`],
    ...(values.name.length > 0 && { testNamePatterns: values.name }),
  })
  events.on('test:pass', refuseSkipped)
  events.on('test:summary', judge)
  events.compose(new spec()).pipe(process.stdout)
}

/** @param {string[]} filters */
function testFiles(filters) {
  const all = globSync(TEST_FILES, { cwd: ROOT, exclude: ['**/node_modules/**'] }).toSorted()
  const wanted = filters.map((filter) => relative(ROOT, resolve(filter)))
  const isWanted = (/** @type {string} */ file) => wanted.some((path) => file.startsWith(path))
  return (wanted.length === 0 ? all : all.filter(isWanted)).map((file) => resolve(ROOT, file))
}

/** @param {import('node:test').EventData.TestPass} test */
function refuseSkipped(test) {
  if (process.env['CI'] === undefined || test.skip === undefined) return
  fail(`skipped, which CI does not allow: ${test.name}`)
}

/**
 * Every file has a summary of its own; the last one, of the whole run, names no file.
 *
 * @param {import('node:test').EventData.TestSummary} summary
 */
function judge(summary) {
  if (summary.file !== undefined) return
  if (!summary.success) process.exitCode = 1
  if (summary.counts.passed === 0) fail('no test ran')
}

/** @param {string} why */
function fail(why) {
  console.error(`hydrant: ${why}`)
  process.exitCode = 1
}
