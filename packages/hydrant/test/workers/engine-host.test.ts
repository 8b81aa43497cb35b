// What a worker's engine does where the contract of engines ends: workers that are behind, that leave, and a log that
// takes something back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageChannel, receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import { CONTROL_TYPES } from 'hydrant-client/wire'
import { ALL, eventOf, idOf, texts } from '../../src/engine/contract-events.ts'
import type { MemoryEngine } from '../../src/engine/memory.ts'
import { HydrantError } from '../../src/hub/errors.ts'
import type { LogEvent } from '../../src/hub/event.ts'
import { Selection } from '../../src/hub/selection.ts'
import { CONTROL_BYTES, type TellMessage } from '../../src/workers/messages.ts'
import type { WorkerEngine } from '../../src/workers/worker-engine.ts'
import { BreakableEngine } from '../support/breakable-engine.ts'
import { until } from '../support/until.ts'
import { WorkerEngines } from '../support/worker-engines.ts'

const AMPLE = { eventsMax: 1_000, bytesMax: 1_000_000 }
const ONLY_A = Selection.of(['a'], undefined, 100)

/** What the tail of a worker was told, in its order. */
class Told {
  readonly steps: string[] = []
  readonly events: LogEvent[] = []

  async open(engine: WorkerEngine): Promise<void> {
    await engine.open(
      ({ events, to }) => {
        this.events.push(...events)
        this.steps.push(`to ${to}`)
      },
      { skip: (to) => void this.steps.push(`skip ${to}`), undo: (to) => void this.steps.push(`undo ${to}`) },
    )
  }
}

test('a worker that is behind is skipped ahead, and reads what it was not told', async () => {
  const { engine, engines, one, told } = await setUp({ behindBytesMax: 1 })
  for (let at = 0; at < 3; at += 1) await appendNow(engines, engine, at) // nothing is read in between
  await until(() => told.steps.length === 2, 'the skip')
  assert.deepEqual(told.steps, ['to 1', 'skip 3'])
  assert.equal(one.bounds().head, 3)
  const { events, to, gap } = await one.read({ after: 1, selection: ALL, ...AMPLE })
  assert.deepEqual([events.map(({ offset }) => offset), to, gap], [[2, 3], 3, undefined])
  await one.append(texts('a', 1))
  await until(() => told.steps.length === 3, 'the next')
  assert.equal(told.steps[2], 'to 4')
  await one.close()
})

test('the others are told everything, whoever is behind', async () => {
  const { engine, engines, one, told } = await setUp({ behindBytesMax: 1_000 })
  const stuck = new MessageChannel() // nobody listens at its end
  engines.host.connect(stuck.port1, new Int32Array(new SharedArrayBuffer(CONTROL_BYTES)))
  stuck.port2.postMessage({ asks: [{ id: 1, call: 'open' }] })
  await one.synced()
  for (let at = 0; at < 50; at += 1) {
    await appendNow(engines, engine, at)
    await one.synced()
  }
  assert.deepEqual(
    told.events.map(({ data }) => data),
    Array.from({ length: 50 }, (_, at) => String(at)),
  )
  assert.ok(told.steps.every((step) => step.startsWith('to')))
  const waiting = unread(stuck.port2)
  const count = waiting.reduce((sum, { steps }) => sum + steps.length, 0)
  assert.ok(count > 1 && count < 40, `${count} steps wait for a worker that reads nothing`)
  stuck.port2.close()
  await one.close()
})

test('an answer to a worker that is behind never tells of more than its tail has come to', async () => {
  const { engine, engines, one, told } = await setUp({ behindBytesMax: 1 })
  const reading = one.read({ after: 0, selection: ALL, ...AMPLE })
  for (let at = 0; at < 20; at += 1) await appendNow(engines, engine, at)
  const { to } = await reading
  const { head } = one.bounds()
  assert.ok(to <= head, `it read to ${to}, the tail is at ${head}`)
  await until(() => told.steps.at(-1)?.endsWith('20') === true, 'the head')
  await one.close()
})

test('the end of a topic that is followed is known also when its event was skipped', async () => {
  const { engine, engines, one, told } = await setUp({ behindBytesMax: 1 })
  await one.following.add(ONLY_A)
  await appendNow(engines, engine, 0)
  await engine.append([{ ...eventOf('a', '{}'), type: CONTROL_TYPES.end }])
  engines.host.flush()
  await until(() => told.steps.at(-1) === 'skip 2', 'the skip')
  assert.equal(one.endOf('a'), 2)
  await one.close()
})

test('what was undone is told once, also to a worker that was behind when it was', async () => {
  const { engine, engines, one, told } = await setUp({ behindBytesMax: 1 })
  await engine.append([{ ...eventOf('a', '{}'), type: CONTROL_TYPES.end }])
  await until(() => told.steps.length === 1, 'the end')
  assert.equal(one.endOf('a'), 1)
  await appendNow(engines, engine, 1)
  await appendNow(engines, engine, 2)
  engine.undoTo(0)
  engines.host.flush()
  await until(() => told.steps.length > 2, 'the rest')
  assert.deepEqual(told.steps, ['to 1', 'to 2', 'undo 0', 'skip 0'])
  assert.equal(one.endOf('a'), undefined)
  assert.equal(one.bounds().head, 0)
  await one.close()
})

test('a break of the tail comes in its place among the events', async () => {
  const { engine, one, told } = await setUp()
  await engine.append(texts('b', 2))
  engine.undoTo(1)
  engine.skipTo(2)
  await engine.append(texts('b', 1))
  await until(() => told.steps.length === 4, 'all')
  assert.deepEqual(told.steps, ['to 2', 'undo 1', 'skip 2', 'to 3'])
  assert.deepEqual(
    told.events.map(idOf),
    [1, 2, 3].map((offset) => engine.bounds().epochs.idAt(offset)),
  )
  await one.close()
})

test('a term that begins is known before anything that is of it', async () => {
  const { engine, one, told } = await setUp()
  await engine.append(texts('b', 1))
  engine.bounds().epochs.begin({ name: '0123456789ab', first: 2 })
  await engine.append(texts('b', 1))
  await until(() => told.events.length === 2, 'both')
  assert.equal(one.bounds().epochs.idAt(2), '0123456789ab-2')
  assert.equal(one.bounds().epochs.rows.length, 2)
  await one.close()
})

test('trouble of the log is known to every worker, and that it is over', async () => {
  const { engine, one } = await setUp()
  assert.equal(one.trouble(), undefined)
  engine.troubled = 'the log is away'
  await until(() => one.trouble()?.reason === 'the log is away', 'trouble')
  engine.troubled = undefined
  await until(() => one.trouble() === undefined, 'its end')
  await one.close()
})

test('for a worker that is gone nothing is followed any more', async () => {
  const { engine, engines, one } = await setUp()
  const other = await engines.join()
  await one.following.add(ONLY_A)
  await one.following.add(ONLY_A)
  await other.following.add(ALL)
  assert.deepEqual(engine.follows.toSorted(), ['**', 'a', 'a'])
  one.following.remove(ONLY_A)
  await one.synced()
  assert.deepEqual(engine.follows.toSorted(), ['**', 'a'])
  await one.close()
  await until(() => engine.follows.length === 1, 'it to be forgotten')
  await other.close()
})

test('what the engine fails with for a reason of its own is told to the process, and to the publisher as such', async () => {
  const { engine, engines, one } = await setUp()
  engine.append = async () => Promise.reject(new TypeError('broken'))
  await assert.rejects(one.append(texts('a', 1)), (error) => !(error instanceof HydrantError))
  assert.match(String(engines.errors[0]), /broken/)
  await one.close()
})

test('what is appended beyond what may wait is refused, and nothing else is', async () => {
  const { engine, one } = await setUp()
  let store = (): void => {}
  engine.append = () => new Promise((resolve) => (store = () => resolve(['stored'])))
  const large = [eventOf('a', 'x'.repeat(60_000_000))]
  const waiting = one.append(large)
  await assert.rejects(one.append(large), (error) => error instanceof HydrantError && error.code === 'unavailable')
  await one.synced()
  store()
  assert.deepEqual(await waiting, ['stored'])
  await one.close()
})

/** What waits at a port. */
function unread(port: MessagePort): readonly TellMessage[] {
  const messages: TellMessage[] = []
  for (;;) {
    const received: { readonly message: TellMessage } | undefined = receiveMessageOnPort(port)
    if (received === undefined) return messages
    messages.push(received.message)
  }
}

async function setUp(options: { readonly behindBytesMax?: number } = {}) {
  const engine = new BreakableEngine()
  const engines = new WorkerEngines(engine, options)
  const one = await engines.join()
  const told = new Told()
  await told.open(one)
  return { engine, engines, one, told }
}

/** Stores an event, and says so at once: the worker, in the same thread, has had no turn to read it. */
async function appendNow(engines: WorkerEngines, engine: MemoryEngine, at: number): Promise<void> {
  await engine.append([eventOf('b', String(at))])
  engines.host.flush()
}
