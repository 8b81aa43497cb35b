// In-process subscribers under random publishing and reading: exact, or told exactly how many they missed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parseId } from 'hydrant-client/wire'
import type { Delivery } from '../../src/hub/delivery.ts'
import { Checker } from '../support/checker.ts'
import type { Wanted } from '../support/published-log.ts'
import type { Received } from '../support/received.ts'
import { settle } from '../support/virtual-clock.ts'
import { World } from './world.ts'

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      topic: fc.constantFrom('a', 'a', 'b', 'c/1'),
      count: fc.integer({ min: 1, max: 12 }),
      sizeBytes: fc.constantFrom(20, 20, 6_000),
    }),
  },
  { weight: 4, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 6 }) }) },
)

const wanted: fc.Arbitrary<Wanted> = fc.constantFrom(
  { topics: ['a'], types: undefined },
  { topics: ['b'], types: undefined },
  { topics: ['a', 'c/1'], types: undefined },
  { topics: ['**'], types: undefined },
)

test('a subscription yields every event once and in order, or a gap with the exact number', async () => {
  const seen = { events: 0, gaps: 0 }
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        capacityEvents: fc.constantFrom(1, 2, 5, 1_024),
        wanted,
        readMs: fc.constantFrom(undefined, 1),
        before: fc.nat({ max: 30 }),
        start: fc.constantFrom('now', 'earliest', 'resume'),
        isSettled: fc.boolean(),
        steps: fc.array(step, { maxLength: 30, size: 'max' }),
      }),
      async ({ capacityEvents, wanted: want, readMs, before, start, isSettled, steps }) => {
        const world = new World({
          limits: { windowBytes: 65_536 },
          readMs: readMs === undefined ? undefined : () => readMs,
        })
        await world.hub.ready
        const publish = async (topic: string, count: number, sizeBytes: number): Promise<void> =>
          world.publish(Array.from({ length: count }, () => ({ topic, type: 'message', sizeBytes })))
        if (before > 0) await publish('a', before, 6_000)
        const request =
          start === 'now' ? {} : start === 'earliest' ? { earliest: true } : { lastEventId: world.idAt(before >> 2) }
        const checker = new Checker(world.log, want, `${want.topics.join(' ')} of ${capacityEvents}`)
        checker.startAt(world.log, start === 'now' ? before : start === 'earliest' ? world.floor : before >> 2)
        const subscription = world.hub.subscribe(want.topics, { capacityEvents, ...request })
        if (isSettled) await settle()
        let waiting = 0
        const faults: unknown[] = []
        const take = async (): Promise<void> => {
          waiting += 1
          const { value } = await subscription.next()
          waiting -= 1
          if (value === undefined) return
          checker.take(received(value))
          assertBounded(value)
        }
        const begin = (): void => void take().catch((fault: unknown) => void faults.push(fault))
        const assertBounded = (value: Delivery): void => {
          if (value.gap?.reason !== 'lagged') return
          const kept = world.log.wanted(want, parseId(value.id)?.offset ?? 0, world.hub.window.head)
          assert.ok(kept.length <= capacityEvents, `${kept.length} are kept of ${capacityEvents}`)
          assert.ok(value.gap.count !== undefined && value.gap.certain)
        }
        for (const one of steps) {
          if ('take' in one) for (let count = 0; count < one.take; count += 1) begin()
          else await publish(one.topic, one.count, one.sizeBytes)
          await world.clock.advance(1)
          await settle()
        }
        const isAtEnd = (): boolean => world.log.wanted(want, checker.at ?? 0, world.hub.window.head).length === 0
        for (let rounds = 0; rounds < 2_000 && faults.length === 0 && !isAtEnd(); rounds += 1) {
          if (waiting === 0) begin()
          await world.clock.advance(1)
          await settle()
        }
        assert.deepEqual(faults, [])
        checker.end()
        await world.close()
        seen.events += checker.events
        seen.gaps += checker.gaps
      },
    ),
    { numRuns: 150 },
  )
  assert.ok(seen.events > 150 && seen.gaps > 20, `too tame to prove anything: ${JSON.stringify(seen)}`)
})

function received(delivery: Delivery): Received {
  const { epoch, offset } = parseId(delivery.id) ?? { epoch: '', offset: 0 }
  if (delivery.gap !== undefined) return { sub: 0, kind: 'gap', epoch, offset, gap: delivery.gap }
  const { data, type, topic } = delivery
  return { sub: 0, kind: 'event', epoch, offset, data: String(data), type, topic }
}
