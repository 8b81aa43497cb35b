// What the file engine keeps, by rule; and what it says of the rest.

import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { FileEngine } from '../../src/engine/file.ts'
import { Selection } from '../../src/hub/selection.ts'
import { eventOf, FileLog } from '../fault/file-log.ts'
import { TempFolder } from '../fault/temp-folder.ts'
import { until } from '../support/until.ts'

test('the first rule that matches a topic bounds each topic by itself', async () => {
  using folder = new TempFolder()
  const rules = [
    { topics: 'chat/long', eventsMax: 4 },
    { topics: 'chat/*', eventsMax: 2 },
  ]
  await using log = await FileLog.open({ folder: folder.path, retention: { rules } })
  for (let at = 1; at <= 5; at += 1) {
    for (const topic of ['chat/long', 'chat/a', 'chat/b', 'other']) await log.texts(topic, String(at))
  }
  assert.deepEqual((await log.read(0, 'chat/long')).data, ['2', '3', '4', '5'])
  assert.deepEqual((await log.read(0, 'chat/a')).data, ['4', '5'])
  assert.deepEqual((await log.read(0, 'chat/b')).data, ['4', '5'])
  assert.deepEqual(await log.read(0, 'other'), { data: ['1', '2', '3', '4', '5'], gaps: [] })
})

test('bytes of a topic are bounded, and its newest event stays whatever its size', async () => {
  using folder = new TempFolder()
  const rules = [{ topics: 'a', bytesMax: 500 }]
  await using log = await FileLog.open({ folder: folder.path, retention: { rules } })
  await log.texts('a', ...Array.from({ length: 10 }, (_, at) => `${at}`.repeat(100)))
  assert.equal((await log.read(0, 'a')).data.length, 3)
  await log.texts('a', 'x'.repeat(10_000))
  assert.equal((await log.read(0, 'a')).data.length, 1)
})

test('events leave when they are too old, without anything being published', async () => {
  using folder = new TempFolder()
  let nowMs = 1_000_000
  const rules = [{ topics: 'short', ageMs: 60_000 }]
  await using log = await FileLog.open({ folder: folder.path, retention: { rules }, nowMs: () => nowMs })
  await log.texts('short', '1')
  await log.texts('long', '2')
  nowMs += 30_000
  await log.texts('short', '3')
  nowMs += 30_001
  await until(() => log.engine.bounds().floor === 1, 'the floor to rise')
  assert.deepEqual(await log.read(0, 'short'), { data: ['3'], gaps: [1] })
  assert.deepEqual(await log.read(0, 'long'), { data: ['2'], gaps: [] })
})

test('the newest of each key stays, whatever count and age say, until it is superseded or emptied', async () => {
  using folder = new TempFolder()
  const rules = [{ topics: 'state', eventsMax: 2, perKey: 1 as const }]
  await using log = await FileLog.open({ folder: folder.path, retention: { rules } })
  const put = async (key: string, data: string): Promise<unknown> =>
    log.engine.append([eventOf('state', data, { key })])
  await put('a', 'a1')
  await put('b', 'b1')
  for (let at = 1; at <= 4; at += 1) await log.texts('state', String(at))
  assert.deepEqual(kept(log), ['a1', 'b1', '3', '4'])
  await put('a', 'a2')
  assert.deepEqual(kept(log), ['b1', '4', 'a2'])
  await put('b', '')
  await log.texts('state', '5', '6')
  assert.deepEqual(kept(log), ['a2', '5', '6'])
})

test('a log that is full lets go of the newest of keys too', async () => {
  using folder = new TempFolder()
  const rules = [{ topics: '**', perKey: 1 as const }]
  await using log = await FileLog.open({ folder: folder.path, retention: { rules, logBytesMax: 1_000 } })
  for (let at = 0; at < 50; at += 1) await log.engine.append([eventOf('state', 'x'.repeat(20), { key: `key ${at}` })])
  assert.ok(log.engine.bounds().floor > 20, `the floor is ${log.engine.bounds().floor}`)
})

test('the events of all topics together are bounded: the oldest leave, whatever their topic', async () => {
  using folder = new TempFolder()
  await using log = await FileLog.open({ folder: folder.path, retention: { logEventsMax: 3 } })
  for (const [topic, data] of ['a1', 'b1', 'a2', 'c1', 'c2'].map((text) => [text.slice(0, 1), text] as const))
    await log.texts(topic, data)
  assert.deepEqual(kept(log), ['a2', 'c1', 'c2'])
  assert.deepEqual(await log.read(0, 'a'), { data: ['a2'], gaps: [1] })
  assert.deepEqual(await log.read(0, 'c'), { data: ['c1', 'c2'], gaps: [] })
})

test('the age of all topics is bounded, a rule can be shorter, and the newest of keys stay where a rule says so', async () => {
  using folder = new TempFolder()
  let nowMs = 1_000_000
  const rules = [
    { topics: 'short', ageMs: 10_000 },
    { topics: 'long', ageMs: 1_000_000 },
    { topics: 'state', perKey: 1 as const },
  ]
  const retention = { rules, logAgeMs: 60_000 }
  await using log = await FileLog.open({ folder: folder.path, retention, nowMs: () => nowMs })
  for (const topic of ['short', 'long', 'none']) await log.texts(topic, topic)
  for (const data of ['old', 'new']) await log.engine.append([eventOf('state', data, { key: 'k' })])
  nowMs += 30_000
  await until(() => log.engine.bounds().floor === 1, 'the short one to leave')
  nowMs += 30_001
  await until(() => log.engine.bounds().floor === 4, 'the rest to leave')
  assert.deepEqual(kept(log), ['new'])
  await log.engine.append([eventOf('state', 'newest', { key: 'k' })])
  assert.deepEqual(kept(log), ['newest'])
})

test('rules that are new when a log is opened hold for what is in it', async () => {
  using folder = new TempFolder()
  {
    await using log = await FileLog.open({ folder: folder.path })
    for (let at = 1; at <= 3_000; at += 500) {
      await log.texts('a', ...Array.from({ length: 500 }, (_, place) => String(at + place)))
    }
  }
  const rules = [{ topics: 'a', eventsMax: 10 }]
  await using log = await FileLog.open({ folder: folder.path, retention: { rules } })
  await until(() => log.engine.bounds().floor === 2_990, 'the rest to leave, a slice at a time')
})

test('what is forgotten of trimmed topics is uncertain, and of topics that the log knows it is not', async () => {
  using folder = new TempFolder()
  const retention = { rules: [{ topics: 'brief/*', eventsMax: 1 }] }
  await using log = await FileLog.open({ folder: folder.path, limits: { trimmedTopicsMax: 3 }, retention })
  await log.texts('kept', 'k')
  for (let topic = 0; topic < 10; topic += 1) await log.texts(`brief/${topic}`, '1', '2')
  assert.deepEqual(await log.read(0, 'kept'), { data: ['k'], gaps: [] })
  assert.deepEqual(await log.read(0, 'brief/9'), { data: ['2'], gaps: [20] })
  assert.deepEqual(await log.read(0, 'brief/0'), { data: ['2'], gaps: ['perhaps 2'] })
  assert.deepEqual((await log.read(0, 'unheard')).gaps, ['perhaps 14'])
  assert.deepEqual((await log.read(14, 'unheard')).gaps, [])
})

test('seeking leaves out nothing that is retained, however much newer events of another topic are gone', async () => {
  using folder = new TempFolder()
  const retention = { rules: [{ topics: 'a', eventsMax: 2 }] }
  await using log = await FileLog.open({ folder: folder.path, retention })
  for (let at = 1; at <= 10; at += 1) await log.texts(at % 2 === 0 ? 'a' : 'b', String(at))
  const all = ['1', '3', '5', '7', '8', '9', '10']
  for (const seek of [{ last: 100 }, { last: 7 }, { sinceMs: 0 }, { earliest: true } as const]) {
    for (const topics of [['a', 'b'], ['**']]) {
      const after = await log.engine.seek(seek, Selection.of(topics, undefined, 10))
      assert.deepEqual((await log.read(after, ...topics)).data, all, `${topics.join()} from ${JSON.stringify(seek)}`)
    }
  }
})

test('bounds and patterns that make no sense are refused before any file is touched', () => {
  const folder = '/nowhere/at/all'
  for (const rule of [{ topics: 'a', eventsMax: 0 }, { topics: 'a', ageMs: -1 }, { topics: 'a//b' }, { topics: '' }]) {
    assert.throws(() => new FileEngine({ folder, retention: { rules: [rule] } }))
  }
  for (const name of ['logBytesMax', 'logEventsMax', 'logAgeMs'])
    assert.throws(() => new FileEngine({ folder, retention: { [name]: Number.NaN } }), new RegExp(name))
})

/** What is in the log, from its first event on, gaps or not. */
function kept(log: FileLog): readonly unknown[] {
  const database = new DatabaseSync(`${log.folder}/log.sqlite`, { readOnly: true })
  const rows = database.prepare('SELECT data FROM events ORDER BY offset').all()
  database.close()
  return rows.map((row) => row['data'])
}
