// A write that fails, or a thread that dies, is told to its publishers; nothing hangs, and nothing stored is lost.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { parseId } from 'hydrant-client/wire'
import { HydrantError } from '../../src/hub/errors.ts'
import { Selection } from '../../src/hub/selection.ts'
import { until } from '../support/until.ts'
import { FileLog } from './file-log.ts'
import { TempFolder } from './temp-folder.ts'

test('after a write that failed the log is opened anew: a new epoch, the same events, and it goes on', async () => {
  using folder = new TempFolder()
  await using log = await FileLog.open({ folder: folder.path })
  const before = await log.texts('a', '1')
  const intruder = openDatabase(folder)
  intruder.exec('BEGIN IMMEDIATE')
  const outcomes = await Promise.allSettled([log.texts('a', 'refused'), log.texts('a', 'refused too')])
  for (const outcome of outcomes) assert.ok(outcome.status === 'rejected' && isUnavailable(outcome.reason))
  for (let at = 0; at < 5; at += 1) await assert.rejects(log.texts('a', 'refused as well'), isUnavailable)
  assert.deepEqual((await log.read(0, 'a')).data, ['1'])
  intruder.exec('ROLLBACK')
  intruder.close()
  const after = await log.texts('a', '2')
  assert.deepEqual((await log.read(0, 'a')).data, ['1', '2'])
  const [first, second] = [...before, ...after].map((id) => parseId(id) ?? { epoch: '', offset: 0 })
  assert.ok(first !== undefined && second !== undefined)
  assert.deepEqual([first.offset, second.offset], [1, 2])
  assert.notEqual(first.epoch, second.epoch)
  const { floor, head, epochs } = log.engine.bounds()
  assert.deepEqual(epochs.resume(first, floor, head), { after: 1, known: true })
  assert.deepEqual(
    log.events.map((event) => event.id),
    [...before, ...after],
  )
})

test('a reader that dies rejects what it was asked, is reported, and appending goes on', async () => {
  using folder = new TempFolder()
  await using log = await FileLog.open({ folder: folder.path })
  await log.texts('a', '1')
  spoil(folder, 'DELETE FROM state')
  const request = { after: 0, selection: Selection.of(['**'], undefined, 1), eventsMax: 10, bytesMax: 1_000 }
  const readings = [log.engine.read(request), log.engine.read({ ...request, eventsMax: 5 })]
  for (const reading of await Promise.allSettled(readings))
    assert.ok(reading.status === 'rejected' && isUnavailable(reading.reason))
  await until(() => log.warnings.length === 1, 'the report')
  assert.match(log.warnings.join(), /reader has stopped: the log has no state/)
  await assert.rejects(log.engine.read(request), isUnavailable)
  await log.texts('a', '2')
})

test('a writer that dies rejects what it was asked and what follows, is reported, and close comes back', async () => {
  using folder = new TempFolder()
  {
    await using log = await FileLog.open({ folder: folder.path })
    await log.texts('a', ...Array.from({ length: 100 }, () => 'x'.repeat(1_000)))
  }
  spoil(folder, 'UPDATE topics SET id = id + 1000')
  const log = await FileLog.open({ folder: folder.path, retention: { logBytesMax: 10_000 } })
  await assert.rejects(log.texts('b', 'refused'), isUnavailable)
  await assert.rejects(log.texts('b', 'refused'), isUnavailable)
  assert.match(log.warnings.join(), /writer has stopped: the log has events of topic 1, which has no name/)
  await log.engine.close()
})

test('what is asked of an engine that is not open, or not any more, is refused', async () => {
  using folder = new TempFolder()
  const log = await FileLog.open({ folder: folder.path })
  await log.engine.close()
  await assert.rejects(log.texts('a', '1'), isUnavailable)
  const selection = Selection.of(['a'], undefined, 1)
  await assert.rejects(log.engine.read({ after: 0, selection, eventsMax: 1, bytesMax: 1 }), isUnavailable)
  await assert.rejects(log.engine.seek({ last: 1 }, selection), isUnavailable)
})

/** Brings the log into a state that none can be in. */
function spoil(folder: TempFolder, sql: string): void {
  const database = openDatabase(folder)
  database.exec(sql)
  database.close()
}

function openDatabase(folder: TempFolder): DatabaseSync {
  return new DatabaseSync(join(folder.path, 'log.sqlite'))
}

function isUnavailable(error: unknown): boolean {
  return error instanceof HydrantError && error.code === 'unavailable'
}
