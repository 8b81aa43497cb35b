// The one door: what holds here may be merged. Each step says how long it took; the first that fails ends it.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

const STEPS = [
  { name: 'format', command: 'prettier --check --log-level warn .', remedy: 'npm run format' },
  { name: 'lint', command: scripts.lint },
  { name: 'types', command: scripts.types },
  { name: 'build', command: scripts.build },
  { name: 'test', command: scripts.test },
  ...['client', 'hydrant'].flatMap(packageSteps),
]

for (const step of STEPS) runStep(step)
console.log('\nall is well')

/** @param {string} name */
function packageSteps(name) {
  const folder = `packages/${name}`
  return [
    { name: `what ${folder} publishes`, command: `publint --strict ${folder}` },
    { name: `the types of ${folder}`, command: `attw --pack ${folder} --profile esm-only --format ascii --quiet` },
  ]
}

/** @param {{ name: string, command: string, remedy?: string }} step */
function runStep({ name, command, remedy }) {
  console.log(`\n── ${name}: ${command}`)
  const startMs = performance.now()
  const { status } = spawnSync(command, { cwd: ROOT, shell: true, stdio: 'inherit' })
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
  if (status === 0) return console.log(`── ${name}: passed in ${seconds} s`)
  console.error(`── ${name}: FAILED after ${seconds} s${remedy === undefined ? '' : `; to mend it: ${remedy}`}`)
  process.exit(1)
}
