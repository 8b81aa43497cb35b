// What the file engine knows after it was closed and opened again.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseId } from 'hydrant-client/wire'
import { HydrantError } from '../../src/hub/errors.ts'
import { Selection } from '../../src/hub/selection.ts'
import { eventOf, FileLog } from '../fault/file-log.ts'
import { TempFolder } from '../fault/temp-folder.ts'

const KEY = { key: 'a key', fingerprint: 'a body' } as const

test('every open is a new epoch that goes on with the offsets, and ids of the old ones resume exactly', async () => {
  using folder = new TempFolder()
  const ids: string[] = []
  for (let run = 0; run < 3; run += 1) {
    await using log = await FileLog.open({ folder: folder.path })
    ids.push(...(await log.texts('a', `${run} 1`, `${run} 2`)))
  }
  assert.deepEqual(
    ids.map((id) => parseId(id)?.offset),
    [1, 2, 3, 4, 5, 6],
  )
  assert.equal(new Set(ids.map((id) => parseId(id)?.epoch)).size, 3)
  await using log = await FileLog.open({ folder: folder.path })
  const { floor, head, epochs } = log.engine.bounds()
  for (const [at, id] of ids.entries()) {
    const parsed = parseId(id)
    assert.ok(parsed !== undefined)
    const resume = epochs.resume(parsed, floor, head)
    assert.deepEqual(resume, { after: at + 1, known: true })
    assert.equal((await log.read(resume.after, '**')).data.length, ids.length - at - 1)
  }
  const selection = Selection.of(['**'], undefined, 1)
  const { events } = await log.engine.read({ after: 0, eventsMax: 100, bytesMax: 10_000, selection })
  assert.deepEqual(
    events.map((event) => event.id),
    ids,
  )
})

test('an id beyond the end of its epoch is not known: what it stood for was undone', async () => {
  using folder = new TempFolder()
  let epoch = ''
  {
    await using log = await FileLog.open({ folder: folder.path })
    const [id = ''] = await log.texts('a', '1')
    epoch = parseId(id)?.epoch ?? ''
  }
  await using log = await FileLog.open({ folder: folder.path })
  await log.texts('a', '2')
  const { floor, head, epochs } = log.engine.bounds()
  assert.deepEqual(epochs.resume({ epoch, offset: 2 }, floor, head), { after: 1, known: false })
})

test('only so many epochs are remembered', async () => {
  using folder = new TempFolder()
  const ids: string[] = []
  for (let run = 0; run < 4; run += 1) {
    await using log = await FileLog.open({ folder: folder.path, limits: { epochsMax: 2 } })
    ids.push(...(await log.texts('a', String(run))))
  }
  await using log = await FileLog.open({ folder: folder.path, limits: { epochsMax: 2 } })
  const { floor, head, epochs } = log.engine.bounds()
  const known = ids.map((id) => epochs.resume(parseId(id) ?? { epoch: '', offset: 0 }, floor, head).known)
  assert.deepEqual(known, [false, false, false, true])
})

test('a retry after a restart stores nothing and gets the first ids; another body is still refused', async () => {
  using folder = new TempFolder()
  let first: readonly string[] = []
  {
    await using log = await FileLog.open({ folder: folder.path, nowMs: () => 1_000_000 })
    first = await log.engine.append([eventOf('a', '1'), eventOf('a', '2')], KEY)
  }
  {
    await using log = await FileLog.open({ folder: folder.path, nowMs: () => 1_500_000 })
    assert.deepEqual(await log.engine.append([eventOf('a', '1'), eventOf('a', '2')], KEY), first)
    await rejects(log.engine.append([eventOf('a', '3')], { ...KEY, fingerprint: 'another' }), 'idempotency-conflict')
    assert.equal(log.engine.bounds().head, 2)
  }
  await using log = await FileLog.open({ folder: folder.path, nowMs: () => 1_600_001 })
  assert.notDeepEqual(await log.engine.append([eventOf('a', '1'), eventOf('a', '2')], KEY), first)
})

test('only so many keys are remembered, the newest', async () => {
  using folder = new TempFolder()
  await using log = await FileLog.open({ folder: folder.path, limits: { idempotencyKeysMax: 2 } })
  const append = async (key: string): Promise<number> => {
    const [id = ''] = await log.engine.append([eventOf('a', key)], { key, fingerprint: key })
    return parseId(id)?.offset ?? 0
  }
  for (const key of ['x', 'y', 'z']) await append(key)
  assert.equal(await append('z'), 3)
  assert.equal(await append('y'), 2)
  assert.equal(await append('x'), 4)
})

test('a refused request beside others in one transaction refuses only itself', async () => {
  using folder = new TempFolder()
  await using log = await FileLog.open({ folder: folder.path })
  await log.engine.append([eventOf('a', '1')], KEY)
  const outcomes = await Promise.allSettled([
    log.texts('a', '2'),
    log.engine.append([eventOf('a', '3')], { ...KEY, fingerprint: 'another' }),
    log.engine.append([eventOf('a', '4')], undefined, 'none'),
    log.texts('a', '5'),
  ])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'rejected', 'fulfilled'],
  )
  assert.deepEqual((await log.read(0, 'a')).data, ['1', '2', '5'])
})

test('what was trimmed is known after a restart: gaps for those who lost something, none for the others', async () => {
  using folder = new TempFolder()
  const options = { folder: folder.path, retention: { rules: [{ topics: 'loud', eventsMax: 2 }] } }
  {
    await using log = await FileLog.open(options)
    await log.texts('quiet', 'q1')
    for (let at = 1; at <= 10; at += 1) await log.texts('loud', String(at))
  }
  await using log = await FileLog.open(options)
  assert.deepEqual(await log.read(0, 'loud'), { data: ['9', '10'], gaps: [9] })
  assert.deepEqual(await log.read(8, 'loud'), { data: ['9', '10'], gaps: [9] })
  assert.deepEqual(await log.read(9, 'loud'), { data: ['9', '10'], gaps: [] })
  assert.deepEqual(await log.read(0, 'quiet'), { data: ['q1'], gaps: [] })
  assert.deepEqual(await log.read(0, 'none'), { data: [], gaps: [] })
})

test('the newest event of a topic and the end of one are known after a restart, trimmed or not', async () => {
  using folder = new TempFolder()
  const options = { folder: folder.path, retention: { logBytesMax: 1 } }
  let last = ''
  {
    await using log = await FileLog.open(options)
    last = (await log.texts('a', '1', '2'))[1] ?? ''
    await log.engine.append([eventOf('b', '{}', { type: 'hydrant:end' })])
    assert.equal(log.engine.endOf('b'), 3)
    await log.texts('c', '1')
  }
  await using log = await FileLog.open(options)
  assert.equal(log.engine.endOf('a'), undefined)
  assert.equal(log.engine.endOf('b'), 3)
  await rejects(log.texts('b', 'more'), 'topic-ended')
  await rejects(log.engine.append([eventOf('a', '3')], undefined, 'none'), 'last-conflict')
  await log.engine.append([eventOf('a', '3')], undefined, last)
  await log.engine.append([eventOf('new', '1')], undefined, 'none')
})

test('times do not go back over a restart with the clock set back', async () => {
  using folder = new TempFolder()
  {
    await using log = await FileLog.open({ folder: folder.path, nowMs: () => 9_000 })
    await log.texts('a', '1')
  }
  await using log = await FileLog.open({ folder: folder.path, nowMs: () => 1_000 })
  await log.texts('a', '2')
  assert.equal(log.events[0]?.timeMs, 9_000)
})

async function rejects(append: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(append, (error) => error instanceof HydrantError && error.code === code)
}
