// Whatever happens to the connections: what was published is received, each event once, in order, nothing else.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { portOf } from '../../../hydrant/test/support/test-server.ts'
import { CuttingProxy } from '../support/cutting-proxy.ts'
import { startCuttable } from '../support/cuttable-server.ts'
import { follow, TRANSPORTS } from '../support/followed.ts'

const RUNS = 40

const data = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.uint8Array({ maxLength: 40 }),
  fc.constant('x'.repeat(5_000)),
)
const fates = fc.array(fc.record({ bytes: fc.nat({ max: 3_000 }), end: fc.constant('cut' as const) }), {
  maxLength: 12,
})

/** Equal as text, for text and bytes alike. */
function plain(value: string | Uint8Array): string {
  return typeof value === 'string' ? value : Buffer.from(value).toString('hex')
}

for (const transport of TRANSPORTS) {
  test(`${transport}: received is exactly published, wherever connections are cut, at any byte`, async () => {
    const published = fc.array(fc.array(data, { maxLength: 8 }), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(published, fates, async (batches, cuts) => {
        await using server = await startCuttable()
        await using proxy = await CuttingProxy.start(portOf(server.server), cuts)
        using followed = follow(proxy.url, { topics: ['a/*', 'b'], earliest: true, transport })
        for (const batch of batches) {
          await server.hub.publishBatch(batch.map((value) => ({ topic: 'a/x', data: value })))
          await server.hub.publish({ topic: 'c', data: 'not wanted' })
        }
        await server.hub.publish({ topic: 'b', data: 'the end' })
        await followed.until(({ events }) => events.at(-1)?.data === 'the end', 'the last event')
        assert.deepEqual(followed.data.map(plain), [...batches.flat(), 'the end'].map(plain))
        assert.deepEqual(followed.gaps, [])
        assert.equal(followed.stream.duplicates, 0)
      }),
      { numRuns: RUNS },
    )
  })

  test(`${transport}: what is published over a stream is stored once, wherever connections are cut`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(data, { minLength: 1, maxLength: 10 }), fates, async (values, cuts) => {
        await using server = await startCuttable()
        await using proxy = await CuttingProxy.start(portOf(server.server), cuts.slice(0, 3))
        using followed = follow(proxy.url, { topics: ['a'], earliest: true, transport })
        const ids = await Promise.all(
          values.map(async (value, at) => followed.stream.publish({ topic: 'a', type: `t${at}`, data: value })),
        )
        await followed.until(({ events }) => events.length >= values.length, 'every event')
        assert.equal(server.hub.counters.published >= values.length, true)
        const stored = new Map(followed.events.map((event) => [event.id, `${event.type} ${plain(event.data)}`]))
        assert.deepEqual(
          ids.map((id) => stored.get(id)),
          values.map((value, at) => `t${at} ${plain(value)}`),
        )
        assert.equal(followed.events.length, values.length)
      }),
      { numRuns: RUNS },
    )
  })
}
