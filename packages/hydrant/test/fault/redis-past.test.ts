// Redis comes back with another past than the nodes have seen: empty, older, or with something missing. What is undone is
// said exactly, a new epoch begins, and what is missing is declared.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { parseId } from 'hydrant-client/wire'
import { slotOf } from '../../src/engine/redis-layout.ts'
import { Selection } from '../../src/hub/selection.ts'
import type { EngineFollower } from '../support/engine-follower.ts'
import { moreOf, RedisNodes } from '../support/redis-nodes.ts'
import { RedisServer } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

const server = await RedisServer.start()
const TIMEOUT_MS = 400

after(async () => server[Symbol.asyncDispose]())

test('killed without persistence: all of it is undone, on both nodes, and the log goes on in a new epoch', async () => {
  await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
  await nodes.underLoad(
    async (loads) => {
      await moreOf(loads, 100)
      await server.kill()
      await until(() => nodes.all.every(({ engine }) => engine.trouble?.() !== undefined), 'the nodes to notice')
      await server.restart()
      await nodes.recovered()
      await moreOf(loads, 100)
    },
    (id) => isUndone(nodes.one, id),
  )
  for (const node of nodes.all) checkAllUndone(node)
})

test('FLUSHALL under load: what was there is undone, and what is appended then is not', async () => {
  await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
  await nodes.underLoad(
    async (loads) => {
      for (let round = 0; round < 3; round += 1) {
        await moreOf(loads, 100)
        await server.ask(['FLUSHALL'])
      }
      await moreOf(loads, 100)
      await nodes.recovered()
    },
    (id) => isUndone(nodes.one, id),
  )
  for (const node of nodes.all) checkAllUndone(node)
})

test('restored from an older snapshot: what came after it is undone, exactly, and what came before is not', async () => {
  await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
  let saved: readonly number[] = []
  await nodes.underLoad(
    async (loads) => {
      await moreOf(loads, 100)
      const askHead = ['HGET', `{${nodes.prefix}}:log`, 'head']
      saved = (await server.ask(askHead, ['SAVE'], askHead)).map(Number)
      await moreOf(loads, 100)
      await server.kill()
      await server.restart()
      await nodes.recovered()
      await moreOf(loads, 100)
    },
    (id) => isUndone(nodes.one, id),
  )
  for (const { breaks, engine, undone, events } of nodes.all) {
    const undo = breaks.filter(({ kind }) => kind === 'undo')
    assert.equal(undo.length, 1)
    const to = undo[0]?.to ?? 0
    const [earliest = 0, , latest = 0] = saved
    assert.ok(earliest > 0 && to >= earliest && to <= latest, `undone after ${to}, saved at ${earliest} to ${latest}`)
    const { floor, head, epochs } = engine.bounds()
    for (const { id, offset } of undone) {
      assert.ok(offset > to)
      assert.deepEqual(epochs.resume(parseId(id) ?? NOWHERE, floor, head), { after: to, known: false })
    }
    for (const { id, offset } of events)
      assert.deepEqual(epochs.resume(parseId(id) ?? NOWHERE, floor, head), { after: offset, known: true })
  }
})

test('a stream deleted under load: the tail misses nothing, and the history declares what is gone of its topics', async () => {
  await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
  const topic = 'load/7'
  const slot = slotOf(topic)
  let deletedTo = 0
  const loads = await nodes.load(async (running) => {
    await moreOf(running, 100)
    await until(() => nodes.one.events.some((event) => event.topic === topic), 'an event of the topic')
    const [, head] = await server.ask(
      ['DEL', `{${nodes.prefix}}:s${slot}`],
      ['HGET', `{${nodes.prefix}}:log`, `h${slot}`],
    )
    deletedTo = Number(head)
    await moreOf(running, 100)
  })
  nodes.checkTails(loads, () => false)
  assert.deepEqual([nodes.one.breaks, nodes.other.breaks], [[], []])
  for (const { engine, events } of nodes.all) {
    for (const name of new Set(events.map((event) => event.topic))) {
      const selection = Selection.of([name], undefined, 100)
      const history = await engine.read({ after: 0, selection, eventsMax: 100_000, bytesMax: 100_000_000 })
      const wanted = events.filter((event) => event.topic === name)
      if (slotOf(name) !== slot) {
        assert.equal(history.gap, undefined)
        assert.deepEqual(history.events.map(idOf), wanted.map(idOf))
        continue
      }
      assert.equal(history.gap?.certain, false)
      const to = history.gap?.to ?? 0
      assert.ok(to >= deletedTo - 100 && to <= deletedTo, `gone up to ${to}, deleted up to ${deletedTo}`)
      assert.deepEqual(history.events.map(idOf), wanted.filter(({ offset }) => offset > to).map(idOf))
    }
    const all = await engine.read({
      after: 0,
      selection: nodes.one.selection,
      eventsMax: 100_000,
      bytesMax: 100_000_000,
    })
    assert.equal(all.gap?.certain, false)
  }
})

test('everything deleted but the log’s own record: what is gone is declared to whoever reads it', async () => {
  await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
  const loads = await nodes.load(async (running) => moreOf(running, 50))
  const { head } = nodes.one
  const names = ['order', ...Array.from({ length: 256 }, (_, slot) => `s${slot}`)]
  await server.ask(['DEL', ...names.map((name) => `{${nodes.prefix}}:${name}`)])
  const { gap, events } = await nodes.one.engine.read({ after: 0, selection: nodes.one.selection, ...AMPLE })
  assert.deepEqual([gap, events], [{ to: head, certain: false, count: undefined }, []])
  const more = await nodes.load(async (running) => moreOf(running, 50))
  nodes.checkTails([...loads, ...more], () => false)
  const history = await nodes.one.engine.read({ after: head, selection: nodes.one.selection, ...AMPLE })
  assert.equal(history.gap, undefined)
  assert.deepEqual(history.events.map(idOf), nodes.one.events.filter(({ offset }) => offset > head).map(idOf))
})

const AMPLE = { eventsMax: 10_000, bytesMax: 100_000_000 }
const NOWHERE = { epoch: '', offset: 0 }

function idOf({ id }: { readonly id: string }): string {
  return id
}

/** Whether an id stands for nothing that is part of the log, by the node's table of epochs. */
function isUndone({ engine }: EngineFollower, id: string): boolean {
  const { floor, head, epochs } = engine.bounds()
  return !epochs.resume(parseId(id) ?? NOWHERE, floor, head).known
}

/** What the tail brought before the last undo is no part of the log, and was said not to be. */
function checkAllUndone(node: EngineFollower): void {
  const undos = node.breaks.filter(({ kind }) => kind === 'undo')
  assert.ok(undos.length > 0)
  for (const { to } of undos) assert.equal(to, 0)
  assert.ok(node.undone.length > 0)
  for (const { id } of node.undone) assert.ok(isUndone(node, id), id)
  for (const { id } of node.events) assert.ok(!isUndone(node, id), id)
}
