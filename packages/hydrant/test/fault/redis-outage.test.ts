// Redis is killed, cut off, paused and frozen under load, with two nodes on one log: nothing is lost, nothing comes
// twice, and what cannot be stored is refused.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { HydrantError } from '../../src/hub/errors.ts'
import { RedisEngine } from '../../src/engine/redis.ts'
import { EngineFollower } from '../support/engine-follower.ts'
import { moreOf, RedisNodes } from '../support/redis-nodes.ts'
import { RedisServer } from '../support/redis-server.ts'
import { startTcpRelay } from '../support/tcp-relay.ts'
import { until } from '../support/until.ts'

const server = await RedisServer.start({ isPersistent: true })
const TIMEOUT_MS = 400

after(async () => server[Symbol.asyncDispose]())

test('kill -9 and restart with its data: everything acknowledged is there, and everybody goes on', async () => {
  await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
  const epochs = nodes.one.engine.bounds().epochs.idAt(0)
  await nodes.underLoad(async (loads) => {
    for (let round = 0; round < 2; round += 1) {
      await moreOf(loads, 200)
      await server.kill()
      await until(() => nodes.all.every(({ engine }) => engine.trouble?.() !== undefined), 'the nodes to notice')
      await assert.rejects(nodes.one.engine.append([eventOf('refused')]), isUnavailable)
      await assert.rejects(nodes.one.engine.read({ after: 0, selection: nodes.one.selection, ...ONE }), isUnavailable)
      await server.restart()
      await nodes.recovered()
      await moreOf(loads, 200)
    }
  })
  assert.equal(nodes.one.undone.length + nodes.other.undone.length, 0)
  assert.notEqual(nodes.one.engine.bounds().epochs.idAt(nodes.one.head).slice(0, 12), epochs.slice(0, 12))
  assert.equal(nodes.warnings.length, 8, nodes.warnings.join('\n'))
})

test('CLIENT KILL TYPE pubsub: what was said meanwhile is read, in order, and none of it twice', async () => {
  await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
  await nodes.underLoad(async (loads) => {
    for (let round = 0; round < 4; round += 1) {
      await moreOf(loads, 100)
      await server.ask(['CLIENT', 'KILL', 'TYPE', 'pubsub'])
    }
    await moreOf(loads, 100)
    await nodes.recovered()
  })
  assert.deepEqual([nodes.one.breaks, nodes.other.breaks], [[], []])
})

test('CLIENT KILL TYPE normal: appends in doubt are refused, and everybody goes on', async () => {
  await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
  await nodes.underLoad(async (loads) => {
    for (let round = 0; round < 3; round += 1) {
      await moreOf(loads, 100)
      await server.ask(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'])
    }
    await nodes.recovered()
    await moreOf(loads, 100)
  })
  assert.deepEqual([nodes.one.breaks, nodes.other.breaks], [[], []])
})

test('CLIENT PAUSE: publishers are refused in bounded time, and everybody goes on', async () => {
  await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
  await nodes.underLoad(async (loads) => {
    await moreOf(loads, 100)
    await server.ask(['CLIENT', 'PAUSE', String(3 * TIMEOUT_MS), 'ALL'])
    const startMs = performance.now()
    await assert.rejects(nodes.one.engine.append([eventOf('paused')]), isUnavailable)
    assert.ok(performance.now() - startMs < 3 * TIMEOUT_MS)
    await nodes.recovered()
    await moreOf(loads, 100)
  })
})

test('frozen: publishers are refused in bounded time, and everybody goes on', async () => {
  await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
  await nodes.underLoad(async (loads) => {
    await moreOf(loads, 100)
    server.freeze()
    try {
      await until(() => nodes.all.every(({ engine }) => engine.trouble?.() !== undefined), 'the nodes to notice')
    } finally {
      server.thaw()
    }
    await nodes.recovered()
    await moreOf(loads, 100)
  })
})

test('half-open connections: what is said into the void is noticed in bounded time, and said again', async () => {
  const relay = await startTcpRelay({ host: '127.0.0.1', port: server.port })
  await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
  const url = `redis://127.0.0.1:${relay.port}?prefix=${nodes.prefix}`
  await using behind = await EngineFollower.open(new RedisEngine({ url, timeoutMs: TIMEOUT_MS, onWarning: () => {} }))
  await nodes.underLoad(async (loads) => {
    await moreOf(loads, 100)
    relay.mute()
    await moreOf(loads, 100)
    await until(() => behind.engine.trouble?.() !== undefined, 'the node behind the relay to notice')
    await until(() => behind.engine.trouble?.() === undefined, 'the node behind the relay to recover')
  })
  await until(() => behind.isAt(nodes.one), 'the node behind the relay to be where the others are')
  assert.deepEqual(behind.breaks, [])
  await behind.checkAgainstHistory()
  await relay.close()
})

test('what is trimmed while a node is cut off is skipped by its tail, and declared to whoever reads it', async () => {
  const relay = await startTcpRelay({ host: '127.0.0.1', port: server.port })
  const retention = { logEventsMax: 50 }
  await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS, retention })
  const url = `redis://127.0.0.1:${relay.port}?prefix=${nodes.prefix}`
  const options = { url, timeoutMs: TIMEOUT_MS, retention, onWarning: () => {} }
  await using behind = await EngineFollower.open(new RedisEngine(options))
  relay.mute()
  for (let at = 0; at < 200; at += 1) await nodes.one.engine.append([eventOf(String(at))])
  await until(() => behind.isAt(nodes.one), 'the node behind the relay to be where the other is')
  const { head, floor } = nodes.one.engine.bounds()
  assert.deepEqual(behind.breaks, [{ kind: 'skip', from: 0, to: head }])
  const { events, gaps } = await behind.history()
  assert.deepEqual(gaps, [{ to: floor, certain: true, count: undefined }])
  assert.deepEqual(
    events.map(({ offset }) => offset),
    nodes.one.events.map(({ offset }) => offset).filter((offset) => offset > floor),
  )
  await relay.close()
})

test('a request that was refused in doubt is stored once, however often it is retried with its key', async () => {
  await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
  const answers: (readonly string[])[] = []
  for (let request = 0; request < 20; request += 1) {
    const key = { key: `request ${request}`, fingerprint: 'a body' }
    const first = nodes.one.engine.append([eventOf(key.key)], key).catch(() => {}) // the retry decides
    if (request % 4 === 0) await server.ask(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'])
    await first
    for (;;) {
      try {
        answers.push(await nodes.other.engine.append([eventOf(key.key)], key))
        break
      } catch (error) {
        assert.ok(isUnavailable(error), String(error))
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
  }
  await nodes.recovered()
  const { events } = await nodes.one.history()
  assert.deepEqual(
    events.map(({ id }) => id),
    answers.flat(),
  )
})

const ONE = { eventsMax: 1, bytesMax: 1 }

function eventOf(data: string): Parameters<RedisEngine['append']>[0][number] {
  return { topic: 'a', type: 'message', key: undefined, data }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof HydrantError && error.code === 'unavailable'
}
