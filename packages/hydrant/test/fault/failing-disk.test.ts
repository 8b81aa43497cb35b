// A disk whose syncs fail: what was acknowledged is there, and whoever listens is told of all that is there, also of what
// turned out to be stored after its publisher had been told that nobody knows.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { FileLog } from './file-log.ts'
import { TempFolder } from './temp-folder.ts'

const CHILD = fileURLToPath(new URL('append-to-failing-disk.ts', import.meta.url))

interface Outcome {
  readonly acknowledged: readonly string[]
  readonly failed: readonly string[]
  readonly told: readonly string[]
  readonly epochs: number
}

for (const [words, failures] of [
  ['one sync fails', '40'],
  ['a sync and the opening anew fail', '10..12'],
  ['syncs fail again and again', '25+7'],
] as const) {
  test(`${words}: nothing acknowledged is lost, and the tail was told of exactly what is there`, async () => {
    using folder = new TempFolder()
    const { acknowledged, failed, told, epochs } = appendWhileFailing(folder.path, failures)
    await using log = await FileLog.open({ folder: folder.path })
    const { data, gaps } = await log.read(0, '**')
    assert.deepEqual(gaps, [])
    assert.ok(failed.length > 0, 'no sync failed')
    assert.deepEqual(told, data)
    assert.deepEqual(
      acknowledged.filter((text) => !data.includes(text)),
      [],
    )
    assert.ok(epochs <= failed.length + 1)
  })
}

function appendWhileFailing(folder: string, failures: string): Outcome {
  const inject = ['-f', '-q', '-o', '/dev/null', '-e', 'trace=fsync', '-e', `inject=fsync:error=EIO:when=${failures}`]
  const { stdout, stderr } = spawnSync(
    'strace',
    [...inject, process.execPath, '--conditions=hydrant-source', CHILD, folder],
    { encoding: 'utf8', timeout: 50_000 },
  )
  assert.match(stdout ?? '', /^\{.*\}\s*$/, `strace is needed, and says: ${stderr}`)
  return JSON.parse(stdout) as Outcome
}
