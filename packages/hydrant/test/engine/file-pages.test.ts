// Pages that were read a moment ago answer a crowd, and never with less than the log has to say.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FilePages } from '../../src/engine/file-pages.ts'
import { LogEvent } from '../../src/hub/event.ts'
import { Selection } from '../../src/hub/selection.ts'
import { FileLog } from '../fault/file-log.ts'
import { TempFolder } from '../fault/temp-folder.ts'

const A = Selection.of(['a'], undefined, 1)
const REQUEST = { after: 10, selection: A, eventsMax: 100, bytesMax: 1_000 }
const EVENTS = [11, 14, 20].map((offset) => eventAt(offset))
const WHOLE = { gap: undefined, events: EVENTS, to: 25 }

test('whoever comes to a place within a page gets the rest of it, and the very same events', () => {
  const pages = new FilePages()
  pages.add(REQUEST, WHOLE)
  assert.deepEqual(pages.find(REQUEST), WHOLE)
  const found = pages.find({ ...REQUEST, after: 14 })
  assert.deepEqual(found, { gap: undefined, events: EVENTS.slice(2), to: 25 })
  assert.equal(found?.events[0], EVENTS[2])
  assert.deepEqual(pages.find({ ...REQUEST, after: 20 })?.events, [])
})

test('a page answers nothing that it does not hold', () => {
  const pages = new FilePages()
  pages.add(REQUEST, WHOLE)
  for (const other of [
    { after: 9 },
    { after: 25 },
    { selection: Selection.of(['b'], undefined, 1) },
    { selection: Selection.of(['a'], ['tick'], 1) },
    { eventsMax: 99 },
    { bytesMax: 999 },
    { latest: true },
  ])
    assert.equal(pages.find({ ...REQUEST, ...other }), undefined, JSON.stringify(other))
})

test('what has a gap, or lacks what was superseded, is not kept', () => {
  const pages = new FilePages()
  pages.add(REQUEST, { ...WHOLE, gap: { to: 12, certain: true, count: undefined } })
  pages.add({ ...REQUEST, latest: true }, WHOLE)
  assert.equal(pages.find(REQUEST), undefined)
})

test('pages are forgotten when something was taken out, and when nobody used them for a second', () => {
  const pages = new FilePages()
  pages.add(REQUEST, WHOLE)
  const { forgotten } = pages
  pages.forget()
  assert.equal(pages.find(REQUEST), undefined)
  assert.notEqual(pages.forgotten, forgotten)
  pages.add(REQUEST, WHOLE)
  pages.tick()
  assert.ok(pages.find(REQUEST) !== undefined)
  pages.tick()
  pages.tick()
  assert.equal(pages.find(REQUEST), undefined)
})

test('what was read a moment ago is a gap as soon as retention has taken it out', async () => {
  using folder = new TempFolder()
  const retention = { rules: [{ topics: 'a', eventsMax: 2 }] }
  await using log = await FileLog.open({ folder: folder.path, retention })
  for (const text of ['1', '2']) await log.texts('a', text)
  assert.deepEqual(await log.read(0, 'a'), { data: ['1', '2'], gaps: [] })
  assert.deepEqual(await log.read(1, 'a'), { data: ['2'], gaps: [] })
  await log.texts('a', '3')
  assert.deepEqual(await log.read(0, 'a'), { data: ['2', '3'], gaps: [1] })
})

function eventAt(offset: number): LogEvent {
  return new LogEvent('0123456789ab', offset, 1_000, { topic: 'a', type: 'message', key: undefined, data: 'x' })
}
