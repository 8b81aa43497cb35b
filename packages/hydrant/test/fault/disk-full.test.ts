// A disk filled to the last byte: publishers are told, nothing that was acknowledged is lost, reading goes on, and when
// there is space again so does everything else, by itself.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFileSync, rmSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { HydrantError } from '../../src/hub/errors.ts'
import { FileLog } from './file-log.ts'
import { TempFolder } from './temp-folder.ts'

const DATA = 'x'.repeat(1_000)

test('a full disk refuses what it cannot hold, keeps what was acknowledged, and goes on when there is space', async () => {
  using disk = new SmallDisk()
  const stored: string[] = []
  {
    await using log = await FileLog.open({ folder: disk.log })
    await appendUntilFull(log, stored)
    disk.fill()
    await unavailable(log.texts('a', 'refused'))
    await unavailable(log.texts('a', 'refused'))
    assert.deepEqual((await log.read(0, 'a')).data, stored)
    disk.free()
    await appendText(log, 'after', stored)
    assert.deepEqual((await log.read(0, 'a')).data, stored)
    assert.deepEqual(
      log.events.map(({ data }) => data),
      stored,
    )
  }
  await using log = await FileLog.open({ folder: disk.log })
  assert.deepEqual(await log.read(0, 'a'), { data: stored, gaps: [] })
})

test('a log can be opened on a full disk, to be read', async () => {
  using disk = new SmallDisk()
  const stored: string[] = []
  {
    await using log = await FileLog.open({ folder: disk.log })
    await appendText(log, 'first', stored)
  }
  disk.fill()
  await using log = await FileLog.open({ folder: disk.log })
  assert.deepEqual(await log.read(0, 'a'), { data: stored, gaps: [] })
  disk.free()
  await appendText(log, 'after', stored)
  assert.deepEqual(await log.read(0, 'a'), { data: stored, gaps: [] })
})

test('on a full disk retention makes room: what became too old leaves, and publishing goes on', async () => {
  using disk = new SmallDisk()
  let nowMs = 1_000_000
  const rules = [{ topics: 'a', ageMs: 60_000 }]
  await using log = await FileLog.open({ folder: disk.log, retention: { rules }, nowMs: () => nowMs })
  const stored: string[] = []
  await appendUntilFull(log, stored)
  disk.fill()
  await unavailable(log.texts('a', 'refused'))
  nowMs += 120_000
  const endMs = performance.now() + 20_000
  const again: string[] = []
  while (again.length === 0) {
    assert.ok(performance.now() < endMs, 'publishing did not go on')
    await appendText(log, 'after', again).catch(() => {}) // retention takes a slice at a time
  }
  assert.deepEqual((await log.read(0, 'a')).data.slice(-50), again)
})

test('the reserve is there again once there is space', async () => {
  using disk = new SmallDisk()
  await using log = await FileLog.open({ folder: disk.log })
  await appendUntilFull(log, [])
  disk.fill()
  await unavailable(log.texts('a', 'refused'))
  disk.free()
  await log.texts('a', 'after')
  assert.equal(statSync(join(disk.log, 'reserve')).size, 8_388_608)
})

/** 40 MB of memory as a disk of its own. Making it needs root. */
class SmallDisk implements Disposable {
  readonly #folder = new TempFolder()
  readonly log: string

  constructor() {
    this.log = join(this.#folder.path, 'log')
    const args = ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', this.#folder.path]
    const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' })
    assert.equal(status, 0, `mount needs root: ${stderr}`)
  }

  /** Somebody else takes what is left, to the last byte. */
  fill(): void {
    for (let bytes = 1_048_576; bytes > 0; bytes = Math.floor(bytes / 2)) {
      try {
        for (;;) appendFileSync(join(this.#folder.path, 'theirs'), Buffer.alloc(bytes))
      } catch (error) {
        assert.match(String(error), /ENOSPC/)
      }
    }
    assert.equal(statfsSync(this.#folder.path).bavail, 0)
  }

  /** And gives it back, with as much again. */
  free(): void {
    rmSync(join(this.#folder.path, 'theirs'), { force: true })
    const args = ['-o', 'remount,size=80m', this.#folder.path]
    assert.equal(spawnSync('mount', args).status, 0)
  }

  [Symbol.dispose](): void {
    spawnSync('umount', [this.#folder.path])
    this.#folder[Symbol.dispose]()
  }
}

async function appendText(log: FileLog, name: string, stored: string[]): Promise<void> {
  const texts = Array.from({ length: 50 }, (_, at) => `${name} ${at} ${DATA}`)
  await log.texts('a', ...texts)
  stored.push(...texts)
}

async function appendUntilFull(log: FileLog, stored: string[]): Promise<void> {
  for (let at = 0; at < 10_000; at += 1) {
    try {
      await appendText(log, String(at), stored)
    } catch (error) {
      assert.ok(isFull(error), String(error))
      return
    }
  }
  assert.fail('the disk did not fill')
}

async function unavailable(append: Promise<unknown>): Promise<void> {
  await assert.rejects(append, isFull)
}

function isFull(error: unknown): boolean {
  return error instanceof HydrantError && error.code === 'unavailable' && /is full/.test(error.message)
}
