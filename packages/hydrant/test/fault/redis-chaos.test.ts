// Faults of all kinds, one after the other, chosen by a seed: two nodes that follow everything and one that follows a
// little, more and less of it all the while. In the end each has what the log has, once, in order.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseId } from 'hydrant-client/wire'
import { RedisEngine } from '../../src/engine/redis.ts'
import { Selection } from '../../src/hub/selection.ts'
import { EngineFollower } from '../support/engine-follower.ts'
import { moreOf, RedisNodes } from '../support/redis-nodes.ts'
import { RedisServer } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

const FAULTS = 6
const TIMEOUT_MS = 400
const SOME = Selection.of(['load/1', 'load/2', 'load/33'], undefined, 100)

type Fault = (server: RedisServer) => Promise<unknown>

const MILD: readonly Fault[] = [
  async (server) => server.ask(['CLIENT', 'KILL', 'TYPE', 'pubsub']),
  async (server) => server.ask(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']),
  async (server) => server.ask(['SCRIPT', 'FLUSH']),
  async (server) => server.ask(['CLIENT', 'PAUSE', '200', 'ALL']),
  async (server) => {
    await server.kill()
    await server.restart()
  },
]
const DESTRUCTIVE: readonly Fault[] = [...MILD, async (server) => server.ask(['FLUSHALL'])]

for (const seed of [1, 2]) {
  test(`faults that lose nothing, seed ${seed}: nothing is lost, undone or declared`, async () => {
    await using server = await RedisServer.start({ isPersistent: true })
    await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
    await run(seed, MILD, server, nodes, () => false)
    for (const { breaks } of nodes.all) assert.deepEqual(breaks, [])
  })

  test(`faults that lose everything among them, seed ${seed}: what is lost is undone, and nothing else`, async () => {
    await using server = await RedisServer.start()
    await using nodes = await RedisNodes.open(server, { timeoutMs: TIMEOUT_MS })
    await run(seed, DESTRUCTIVE, server, nodes, (id) => {
      const { floor, head, epochs } = nodes.one.engine.bounds()
      return !epochs.resume(parseId(id) ?? { epoch: '', offset: 0 }, floor, head).known
    })
  })
}

async function run(
  seed: number,
  faults: readonly Fault[],
  server: RedisServer,
  nodes: RedisNodes,
  isGone: (id: string) => boolean,
): Promise<void> {
  nodes.batchMax = 20
  const url = server.url(`?prefix=${nodes.prefix}`)
  await using some = await EngineFollower.open(
    new RedisEngine({ url, timeoutMs: TIMEOUT_MS, onWarning: () => {} }),
    SOME,
  )
  const random = randomOf(seed)
  const churn = new Churn(some)
  await nodes.underLoad(async (loads) => {
    for (let fault = 0; fault < FAULTS; fault += 1) {
      await moreOf(loads, Math.floor(random() * 300))
      await faults[Math.floor(random() * faults.length)]?.(server)
    }
    await moreOf(loads, 100)
  }, isGone)
  await churn.stop()
  await until(() => some.isAt(nodes.one), 'the third node to be where the others are')
  await some.checkAgainstHistory()
}

/** Follows one more topic, and then no more, again and again. */
class Churn {
  #isOver = false
  readonly #done: Promise<void>

  constructor(follower: EngineFollower) {
    this.#done = this.#run(follower)
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#done
  }

  async #run({ engine }: EngineFollower): Promise<void> {
    for (let at = 0; !this.#isOver; at += 1) {
      const selection = Selection.of([`load/${at % 40}`], undefined, 100)
      const isFollowed = await engine.following?.add(selection).then(
        () => true,
        () => false,
      )
      await new Promise((resolve) => setTimeout(resolve, 5))
      if (isFollowed === true) engine.following?.remove(selection)
    }
  }
}

/** Numbers in [0, 1), the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return state / 0x80000000
  }
}
