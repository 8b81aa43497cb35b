// What can be wrong with a log's folder is said in an error that names it and says what to do; nothing is lost by it.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readdirSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { HydrantError } from '../../src/hub/errors.ts'
import { FileLog } from './file-log.ts'
import { TempFolder } from './temp-folder.ts'

const CHILD = fileURLToPath(new URL('append-until-killed.ts', import.meta.url))

test('a second process on the same folder is refused, and may have it once the first was killed', async () => {
  using folder = new TempFolder()
  const child = spawn(process.execPath, ['--conditions=hydrant-source', CHILD, folder.path, '0', '1000000'])
  try {
    await once(child.stdout, 'data')
    await refused(folder.path, /in use by another process.*name another folder/)
  } finally {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
  await using log = await FileLog.open({ folder: folder.path })
  assert.ok(log.engine.bounds().head > 0)
})

test('a second engine in the same process is refused, and the first goes on', async () => {
  using folder = new TempFolder()
  await using log = await FileLog.open({ folder: folder.path })
  await refused(folder.path, /in use/)
  await log.texts('a', 'still here')
  assert.deepEqual((await log.read(0, 'a')).data, ['still here'])
})

test('a read-only disk is named as such', async () => {
  using folder = new TempFolder()
  mount(folder.path, 'size=1m')
  try {
    mount(folder.path, 'remount,ro')
    await refused(folder.path, /cannot be written: make the folder writable/)
    await refused(join(folder.path, 'new'), /cannot be written: make the folder writable/)
  } finally {
    spawnSync('umount', [folder.path])
  }
})

test('a log on a disk that became read-only is named as such', async () => {
  using folder = new TempFolder()
  mount(folder.path, 'size=16m')
  try {
    await fill(folder.path)
    mount(folder.path, 'remount,ro')
    await refused(folder.path, /cannot be written: make the folder writable/)
  } finally {
    spawnSync('umount', [folder.path])
  }
})

test('a file in the place of the folder is named as such', async () => {
  using folder = new TempFolder()
  const path = join(folder.path, 'file')
  writeFileSync(path, '')
  await refused(path, /make the folder writable, or name another one/)
})

test('a log of a newer version is refused and left as it is', async () => {
  using folder = new TempFolder()
  await fill(folder.path)
  change(folder.path, 'PRAGMA user_version = 99')
  await refused(folder.path, /newer version \(its format is 99, this one reads 3\)/)
  change(folder.path, 'PRAGMA user_version = 3')
  await using log = await FileLog.open({ folder: folder.path })
  assert.equal((await log.read(0, '**')).data.length, 1_000)
})

test('a log of an older format is refused and left as it is', async () => {
  using folder = new TempFolder()
  await fill(folder.path)
  change(folder.path, 'PRAGMA user_version = 1')
  await refused(folder.path, /older version \(its format is 1, this one reads 3\)/)
  change(folder.path, 'PRAGMA user_version = 3')
  await using log = await FileLog.open({ folder: folder.path })
  assert.equal((await log.read(0, '**')).data.length, 1_000)
})

test("another program's database is refused", async () => {
  using folder = new TempFolder()
  change(folder.path, 'CREATE TABLE theirs (id)')
  await refused(folder.path, /log\.sqlite is the database of another program/)
})

test('a file that is no database is refused, and left as it is', async () => {
  using folder = new TempFolder()
  const path = join(folder.path, 'log.sqlite')
  writeFileSync(path, 'no database '.repeat(1_000))
  const { size } = statSync(path)
  await refused(folder.path, /is damaged: restore a copy, or move the folder away/)
  assert.equal(statSync(path).size, size)
})

for (const part of [0.9, 0.5, 0.1]) {
  test(`a log of which ${part * 100} % are left is refused as damaged`, async () => {
    using folder = new TempFolder()
    await fill(folder.path)
    const path = join(folder.path, 'log.sqlite')
    truncateSync(path, Math.floor(statSync(path).size * part))
    await refused(folder.path, /is damaged: restore a copy, or move the folder away/)
  })
}

test('a log whose middle was overwritten is refused, or its readings are, and it answers nothing that is not so', async () => {
  using folder = new TempFolder()
  await fill(folder.path)
  const path = join(folder.path, 'log.sqlite')
  const file = openSync(path, 'r+')
  for (let at = 65_536; at < statSync(path).size; at += 65_536) writeSync(file, Buffer.alloc(4_096, 0xff), 0, 4_096, at)
  closeSync(file)
  const outcome = await FileLog.open({ folder: folder.path }).then(
    async (log) => {
      const read = await log.read(0, '**').catch((error: unknown) => error)
      await log.engine.close()
      return read
    },
    (error: unknown) => error,
  )
  assert.ok(outcome instanceof HydrantError, 'a damaged log was read as if it were whole')
  assert.match(outcome.message, /is damaged/)
})

test('events that are missing in a log are declared: a warning, and a gap to whoever resumes before', async () => {
  using folder = new TempFolder()
  await fill(folder.path)
  change(folder.path, 'DELETE FROM events WHERE offset BETWEEN 300 AND 309')
  await using log = await FileLog.open({ folder: folder.path })
  assert.match(String(log.warnings), /has 990 events up to 1000, but should have 1000/)
  assert.deepEqual((await log.read(100, 'topic/1')).gaps, ['perhaps 1000'])
  assert.deepEqual((await log.read(1_000, 'topic/1')).gaps, [])
  await log.texts('topic/1', 'new')
  assert.deepEqual(await log.read(1_000, 'topic/1'), { data: ['new'], gaps: [] })
})

test('a folder that is not there is made, and holds nothing but the log', async () => {
  using folder = new TempFolder()
  const path = join(folder.path, 'a/b')
  mkdirSync(join(folder.path, 'a'))
  await fill(path)
  assert.deepEqual(readdirSync(path).toSorted(), ['lock.sqlite', 'log.sqlite', 'reserve'])
})

async function refused(folder: string, message: RegExp): Promise<void> {
  await assert.rejects(FileLog.open({ folder }), (error) => {
    assert.ok(error instanceof HydrantError, String(error))
    assert.equal(error.code, 'unavailable')
    assert.match(error.message, message)
    assert.ok(error.message.includes(folder), `${error.message} does not name ${folder}`)
    return true
  })
}

/** A log of 1,000 events in ten topics, closed. */
async function fill(folder: string): Promise<void> {
  await using log = await FileLog.open({ folder })
  for (let at = 0; at < 100; at += 1) {
    await log.texts(
      `topic/${at % 10}`,
      ...Array.from({ length: 10 }, (_, place) => `${at} ${place} ${'x'.repeat(500)}`),
    )
  }
}

function change(folder: string, sql: string): void {
  const database = new DatabaseSync(join(folder, 'log.sqlite'))
  database.exec(sql)
  database.close()
}

function mount(path: string, options: string): void {
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { encoding: 'utf8' })
  assert.equal(status, 0, `mount needs root: ${stderr}`)
}
