// The server that has the log fails, and another one takes over: by sentinels, and in a cluster. What the replica had not
// got is undone, and said to be; everything else is there, in order, once.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseId } from 'hydrant-client/wire'
import type { EngineFollower } from '../support/engine-follower.ts'
import { RedisCluster } from '../support/redis-cluster.ts'
import { moreOf, RedisNodes } from '../support/redis-nodes.ts'
import { RedisSentinels } from '../support/redis-sentinels.ts'
import { until } from '../support/until.ts'

const WAIT_MS = 30_000

test('the master under sentinels is killed: everybody goes on with the replica', async () => {
  await using sentinels = await RedisSentinels.start()
  await using nodes = await RedisNodes.open(sentinels.master, {
    timeoutMs: 500,
    url: sentinels.url('?prefix=sentinels'),
  })
  await nodes.underLoad(
    async (loads) => {
      await moreOf(loads, 200)
      await sentinels.master.kill()
      await until(() => nodes.all.every(({ engine }) => engine.trouble?.() !== undefined), 'the nodes to notice')
      await until(() => nodes.all.every(({ engine }) => engine.trouble?.() === undefined), 'a new master', WAIT_MS)
      await moreOf(loads, 200)
    },
    (id) => isUndone(nodes.one, id),
  )
  checkFork(nodes)
})

test('the master of the log in a cluster is killed: everybody goes on with its replica', async () => {
  await using cluster = await RedisCluster.start()
  const [first] = cluster.servers
  assert.ok(first !== undefined)
  await using nodes = await RedisNodes.open(first, { timeoutMs: 500, url: cluster.url('?prefix=cluster') })
  const master = await cluster.masterOf('{cluster}')
  await nodes.underLoad(
    async (loads) => {
      await moreOf(loads, 200)
      await master.kill()
      await until(() => nodes.all.every(({ engine }) => engine.trouble?.() !== undefined), 'the nodes to notice')
      await until(() => nodes.all.every(({ engine }) => engine.trouble?.() === undefined), 'a new master', WAIT_MS)
      await moreOf(loads, 200)
    },
    (id) => isUndone(nodes.one, id),
  )
  checkFork(nodes)
})

/** One new epoch, and of what was undone the newest events alone. */
function checkFork({ all }: RedisNodes): void {
  for (const { breaks, events, undone, engine } of all) {
    const undos = breaks.filter(({ kind }) => kind === 'undo')
    assert.ok(undos.length <= 1)
    const epochs = new Set(events.map(({ epoch }) => epoch))
    assert.equal(epochs.size, 2)
    const { floor, head, epochs: table } = engine.bounds()
    for (const { id } of undone) assert.equal(table.resume(parseId(id) ?? NOWHERE, floor, head).known, false)
  }
}

const NOWHERE = { epoch: '', offset: 0 }

function isUndone({ engine }: EngineFollower, id: string): boolean {
  const { floor, head, epochs } = engine.bounds()
  return !epochs.resume(parseId(id) ?? NOWHERE, floor, head).known
}
