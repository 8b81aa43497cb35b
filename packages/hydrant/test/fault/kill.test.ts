// A process that appends is killed at random moments: what it acknowledged is there, whole and in order.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseId } from 'hydrant-client/wire'
import type { LogEvent } from '../../src/hub/event.ts'
import { Selection } from '../../src/hub/selection.ts'
import { FileLog } from './file-log.ts'
import { TempFolder } from './temp-folder.ts'

const CHILD = fileURLToPath(new URL('append-until-killed.ts', import.meta.url))
const KILLS = 10
const ALL = Selection.of(['**'], undefined, 1)

for (const [words, logBytesMax] of [
  ['everything that was acknowledged is there', 1_000_000_000],
  ['of a log at its bound, everything acknowledged is there or declared', 60_000],
] as const) {
  test(`killed ${KILLS} times at random moments, ${words}: whole batches, in order`, async () => {
    using folder = new TempFolder()
    const acknowledged = new Map<string, readonly string[]>()
    for (let run = 0; run < KILLS; run += 1) {
      await appendUntilKilled(folder.path, run, logBytesMax, acknowledged)
      await using log = await FileLog.open({ folder: folder.path, retention: { logBytesMax } })
      assert.deepEqual(log.warnings, [])
      await check(log, acknowledged)
    }
    assert.ok(acknowledged.size > KILLS)
  })
}

async function appendUntilKilled(
  folder: string,
  run: number,
  logBytesMax: number,
  acknowledged: Map<string, readonly string[]>,
): Promise<void> {
  const child = spawn(
    process.execPath,
    ['--conditions=hydrant-source', CHILD, folder, String(run), String(logBytesMax)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const closed = new Promise((resolve) => child.once('close', resolve))
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    if (text === '') setTimeout(() => child.kill('SIGKILL'), Math.random() * 150)
    text += part
  })
  await closed
  assert.equal(child.signalCode, 'SIGKILL')
  // A line that was cut is an acknowledgement that did not arrive.
  for (const line of text.split('\n').slice(0, -1)) {
    const [name = '', ...ids] = line.split(' ')
    acknowledged.set(name, ids)
  }
}

async function check(log: FileLog, acknowledged: ReadonlyMap<string, readonly string[]>): Promise<void> {
  const { events, floor } = await readAll(log)
  const byId = new Map(events.map((event) => [event.id, event]))
  for (const [name, ids] of acknowledged) {
    for (const [at, id] of ids.entries()) {
      if ((parseId(id)?.offset ?? 0) <= floor) continue
      const data = String(byId.get(id)?.data)
      assert.ok(data.startsWith(`${name} ${at} `), `${name} was acknowledged as ${id}, which is ${data}`)
    }
  }
  checkBatches(events, floor)
}

/** Every batch is whole and in one piece, and those of a publisher stand in the order in which it sent them. */
function checkBatches(events: readonly LogEvent[], floor: number): void {
  const newest = new Map<string, number>()
  for (let at = 0; at < events.length;) {
    const [name = '', first, size] = String(events[at]?.data).split(' ')
    const left = Number(size) - Number(first)
    const isCutByTrimming = events[at]?.offset === floor + 1
    assert.ok(first === '0' || isCutByTrimming, `the batch ${name} begins with ${first}`)
    for (let place = 0; place < left; place += 1) {
      const data = String(events[at + place]?.data)
      assert.ok(data.startsWith(`${name} ${Number(first) + place} ${size} `), `${data} stands in ${name}`)
    }
    const [run = '', publisher = '', batch = ''] = name.split('-')
    const before = newest.get(`${run}-${publisher}`) ?? -1
    assert.ok(Number(batch) > before, `the batch ${name} comes after ${before}`)
    newest.set(`${run}-${publisher}`, Number(batch))
    at += left
  }
}

async function readAll(log: FileLog): Promise<{ readonly events: readonly LogEvent[]; readonly floor: number }> {
  const { head } = log.engine.bounds()
  const events: LogEvent[] = []
  let floor = 0
  for (let after = 0; after < head;) {
    const history = await log.engine.read({ after, selection: ALL, eventsMax: 10_000, bytesMax: 10_000_000 })
    floor = Math.max(floor, history.gap?.to ?? 0)
    assert.notEqual(history.gap?.certain, false)
    assert.ok(history.to > after)
    events.push(...history.events)
    after = history.to
  }
  assert.equal(events.at(-1)?.offset ?? head, head)
  return { events, floor }
}
