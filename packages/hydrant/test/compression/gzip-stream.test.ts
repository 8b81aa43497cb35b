// Streams that are put together from shared and own parts, read by a decoder that knows of none of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync, inflateRawSync, constants } from 'node:zlib'
import * as fc from 'fast-check'
import { addBytes, join, NOTHING, since } from '../../src/compression/crc.ts'
import { GzipStream } from '../../src/compression/gzip-stream.ts'
import { SharedDeflate } from '../../src/compression/shared-deflate.ts'
import { Step } from '../../src/compression/step.ts'

const some = fc.uint8Array({ maxLength: 300 })

test('the sum of a run is put together from its parts, and a part is found from the whole', () => {
  fc.assert(
    fc.property(some, some, (first, second) => {
      const whole = addBytes(addBytes(NOTHING, first), second)
      const [before, after] = [addBytes(NOTHING, first), addBytes(NOTHING, second)]
      assert.deepEqual(join(before, after), whole)
      assert.deepEqual(since(before, whole), after)
    }),
  )
})

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ kind: fc.constant('flush' as const), size: fc.constantFrom(0, 1, 40, 3_000, 33_000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('alone' as const), size: fc.constantFrom(0, 9, 70_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('away' as const), size: fc.constantFrom(1, 3, 600) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), size: fc.constant(0) }) },
)

test('whenever a client joins, misses flushes or gets bytes of its own, any gzip decoder reads what it was sent', () => {
  let shared = 0
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const deflate = new SharedDeflate()
      const stream = new GzipStream()
      const sent: Uint8Array[] = []
      const said: Uint8Array[] = []
      const alone = (bytes: Uint8Array): void => {
        said.push(bytes)
        sent.push(stream.alone(bytes))
      }
      alone(Buffer.from('hello'))
      for (const [at, { kind, size }] of steps.entries()) {
        const bytes = Buffer.from(`${at} price 101.25 `.repeat(4_000).slice(0, size))
        if (kind === 'restart') deflate.restart()
        else if (kind === 'alone') alone(bytes)
        else if (kind === 'away') for (let missed = 0; missed < size; missed += 1) deflate.add([Buffer.from('missed')])
        else {
          const flush = deflate.add([bytes])
          if (stream.takes(flush.place)) {
            shared += 1
            said.push(bytes)
            sent.push(...flush.parts)
          } else alone(bytes)
        }
      }
      sent.push(stream.end())
      assert.deepEqual(gunzipSync(Buffer.concat(sent)), Buffer.concat(said))
    }),
    { numRuns: 150 },
  )
  assert.ok(shared > 1_000, `only ${shared} flushes were read as they were compressed for all`)
})

test('at whatever point of the cycle a client joins, and leaves for however long, it reads every byte', () => {
  const flushes = 13
  for (const segment of [1, 2, 3, 5]) {
    for (let joins = 0; joins < flushes; joins += 1) {
      for (let leaves = joins; leaves < flushes; leaves += 1) {
        for (const away of [0, 1, segment, segment + 1]) readsAll({ segment, flushes, joins, leaves, away })
      }
    }
  }
})

/** A client that joins at a flush, and at another one gets some more of its own, as one that was stalled. */
interface Visit {
  readonly segment: number
  readonly flushes: number
  readonly joins: number
  readonly leaves: number
  readonly away: number
}

function readsAll(visit: Visit): void {
  const { segment, flushes, joins, leaves, away } = visit
  const deflate = new SharedDeflate({ flushes: segment, bytes: Infinity })
  const stream = new GzipStream()
  const sent: Uint8Array[] = [stream.alone(Buffer.from('hello'))]
  let said = 'hello'
  let late = ''
  let waited = 0
  for (let at = 0; at < flushes; at += 1) {
    const text = `event ${at}: price 101.25, price ${at}\n`
    const { parts, place } = deflate.add([Buffer.from(text)])
    if (at < joins) continue
    const isAway = at >= leaves && at < leaves + away
    if (isAway) {
      late += text
      waited = 0
    } else {
      if (late !== '') sent.push(stream.alone(Buffer.from(late)))
      late = ''
      const isShared = stream.takes(place)
      sent.push(...(isShared ? parts : [stream.alone(Buffer.from(text))]))
      waited = isShared ? 0 : waited + 1
      assert.ok(waited < segment, `it waits for a whole segment: ${JSON.stringify(visit)}`)
    }
    said += text
  }
  if (late !== '') sent.push(stream.alone(Buffer.from(late)))
  assert.equal(gunzipSync(Buffer.concat([...sent, stream.end()])).toString(), said, JSON.stringify(visit))
}

test('what is larger than what deflate looks back upon is a segment of its own', () => {
  const deflate = new SharedDeflate()
  const large = Buffer.from('a price of 101.25, '.repeat(2_000))
  const places = [small(), large, small(), large, large, small()].map((bytes) => deflate.add([bytes]).place)
  assert.deepEqual(
    places.map(({ nth }) => nth),
    [0, 0, 0, 0, 0, 0],
  )
  assert.equal(new Set(places.map(({ segment }) => segment)).size, 6)
})

function small(): Buffer {
  return Buffer.from('a price of 99.75')
}

test('a stream that ends before it began is a gzip stream of nothing', () => {
  assert.equal(gunzipSync(new GzipStream().end()).length, 0)
})

test('messages that are compressed one by one are read one by one, by whoever had the whole segment', () => {
  const deflate = new SharedDeflate()
  const client = new Step()
  let had: Uint8Array[] = []
  let taken = 0
  for (let at = 0; at < 2_000; at += 1) {
    const messages = Array.from({ length: 1 + (at % 3) }, (_, nth) =>
      Buffer.from(`{"n":${at},"nth":${nth},"price":101.25}`),
    )
    const { parts, place } = deflate.add(messages)
    if (at % 700 < 50) continue // it is away
    if (!client.takes(place)) continue
    if (place.nth === 0) had = []
    for (const [nth, part] of parts.entries()) {
      had.push(part)
      taken += 1
      if (taken % 200 !== 0) continue
      const text = inflateRawSync(Buffer.concat(had), { finishFlush: constants.Z_SYNC_FLUSH }).toString()
      assert.ok(text.endsWith(String(messages[nth])), text.slice(-60))
    }
  }
  assert.ok(taken > 2_000)
})

test('large and empty messages are read one by one, too, and end as every flush does', () => {
  const deflate = new SharedDeflate()
  const sizes = [[0], [70_000, 0], [40], [0, 200_000, 3], [0, 0], [33_000], [33_000], [7, 0]]
  const had: Uint8Array[] = []
  let said = ''
  for (const flush of sizes) {
    const messages = flush.map((size, nth) => Buffer.from(`${nth}: price 101.25, `.repeat(20_000).slice(0, size)))
    for (const [nth, part] of deflate.add(messages).parts.entries()) {
      if (part.length > 0) assert.equal(Buffer.from(part).subarray(-4).toString('hex'), '0000ffff')
      had.push(part)
      said += String(messages[nth])
      const read = inflateRawSync(Buffer.concat(had), { finishFlush: constants.Z_SYNC_FLUSH })
      assert.equal(read.toString(), said)
    }
  }
})
