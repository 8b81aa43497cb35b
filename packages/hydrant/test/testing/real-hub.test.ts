// The checker and a real hub agree about what is missing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHub, type Delivery } from '../../src/index.ts'
import { Checker, type Report, type Selects } from '../../src/testing/testing.ts'
import { randomOf } from './naive-run.ts'

const SELECTIONS: readonly Selects[] = [{ topics: ['**'] }, { topics: ['a/*'] }, { topics: ['b'], types: ['one'] }]
const PUBLISHES = 600

/** Subscribers that read in bursts follow a hub with a small window. What `isForgotten` picks is not told the checker. */
async function follow(seed: number, isForgotten: (delivery: Delivery) => boolean): Promise<Report> {
  const random = randomOf(seed)
  const checker = new Checker()
  const hub = createHub({ limits: { windowBytes: 65_536 } })
  const lastEventId = await hub.publish({ topic: 'a/1', data: 'before all' })
  const followers = SELECTIONS.map((selects, at) => {
    const client = checker.client(`client ${at}`, selects)
    client.opened(lastEventId)
    const { topics, types } = selects
    return {
      client,
      newest: '',
      stream: hub.subscribe([...topics], {
        ...(types === undefined ? {} : { types }),
        lastEventId,
        capacityEvents: 20,
      }),
    }
  })
  const publish = async (topic: string, type: string, data: string): Promise<void> => {
    const attempt = checker.published.attempt({ topic, type, data })
    const id = await hub.publish({ topic, type, data })
    attempt.acknowledged(id)
    for (const one of followers) if (one.client.selection.matches(topic, type)) one.newest = id
  }
  const readToNewest = async ({ client, newest, stream }: (typeof followers)[number]): Promise<void> => {
    for await (const delivery of { [Symbol.asyncIterator]: () => ({ next: () => stream.next() }) }) {
      if (!isForgotten(delivery)) client.delivered(delivery)
      if (delivery.id === newest) return
    }
  }
  for (let at = 0; at < PUBLISHES; at += 1) {
    await publish(
      ['a/1', 'a/2', 'b'][random(3)] ?? '',
      random(2) === 0 ? 'one' : 'two',
      `${at}`.padEnd(random(300), '.'),
    )
    if (random(40) === 0) checker.settle()
    const reader = followers[random(90)]
    if (reader === undefined) continue
    await publish(reader.client.selects.topics[0] === 'b' ? 'b' : 'a/1', 'one', `${at} for a reader`)
    await readToNewest(reader)
  }
  await publish('b', 'one', 'the last of b')
  await publish('a/1', 'one', 'the last of a')
  for (const follower of followers) await readToNewest(follower)
  await hub.close()
  return checker.report()
}

test('subscribers of a real hub that fall behind are told of gaps that the checker finds right', async () => {
  let gaps = 0
  for (let seed = 0; seed < 10; seed += 1) {
    const report = await follow(seed, () => false)
    assert.ok(report.ok, `seed ${seed}: ${String(report)}`)
    gaps += report.tally.gaps
  }
  assert.ok(gaps > 20, `${gaps} gaps were told`)
})

test('a gap of a real hub that is kept from the checker is found as the events that it stood for', async () => {
  let forgotten: number | undefined
  const report = await follow(1, ({ gap }) => {
    if (forgotten !== undefined || gap?.count === undefined) return false
    forgotten = gap.count
    return true
  })
  assert.ok(forgotten !== undefined && forgotten > 0)
  assert.equal(report.count('lost'), forgotten, String(report))
  assert.equal(report.count(), forgotten)
})
