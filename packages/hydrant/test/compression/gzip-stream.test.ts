// Streams that are put together from shared and own parts, read by a decoder that knows of none of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync, inflateRawSync, constants } from 'node:zlib'
import * as fc from 'fast-check'
import { addBytes, join, NOTHING, since } from '../../src/compression/crc.ts'
import { GzipStream } from '../../src/compression/gzip-stream.ts'
import { SharedDeflate, type SharedFlush } from '../../src/compression/shared-deflate.ts'
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
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('flush' as const), size: fc.constantFrom(0, 1, 40, 3_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('alone' as const), size: fc.constantFrom(0, 9, 70_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('away' as const), size: fc.constantFrom(1, 3, 600) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), size: fc.constant(0) }) },
)

test('whenever a client joins, misses flushes or gets bytes of its own, any gzip decoder reads what it was sent', () => {
  let shared = 0
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const deflate = new SharedDeflate('best')
      const stream = new GzipStream()
      const sent: Uint8Array[] = []
      const said: Uint8Array[] = []
      const alone = (bytes: Uint8Array): void => {
        said.push(bytes)
        sent.push(stream.alone(bytes))
      }
      alone(Buffer.from('hello'))
      for (const [at, { kind, size }] of steps.entries()) {
        const bytes = Buffer.from(`${at} price 101.25 `.repeat(200).slice(0, size))
        if (kind === 'restart') deflate.restart()
        else if (kind === 'alone') alone(bytes)
        else if (kind === 'away') for (let missed = 0; missed < size; missed += 1) deflate.add([Buffer.from('missed')])
        else {
          const flush = deflate.add([bytes])
          if (stream.takes(flush)) {
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

test('a stream that ends before it began is a gzip stream of nothing', () => {
  assert.equal(gunzipSync(new GzipStream().end()).length, 0)
})

test('messages that are compressed one by one are read one by one, by whoever had the whole segment', () => {
  const deflate = new SharedDeflate('fixed')
  const client = new Step()
  let had: Uint8Array[] = []
  let taken = 0
  for (let at = 0; at < 2_000; at += 1) {
    const messages = Array.from({ length: 1 + (at % 3) }, (_, nth) =>
      Buffer.from(`{"n":${at},"nth":${nth},"price":101.25}`),
    )
    const flush: SharedFlush = deflate.add(messages)
    if (at % 700 < 50) continue // it is away
    if (!client.takes(flush)) continue
    if (flush.place === 0) had = []
    for (const [nth, part] of flush.parts.entries()) {
      had.push(part)
      taken += 1
      if (taken % 200 !== 0) continue
      const text = inflateRawSync(Buffer.concat(had), { finishFlush: constants.Z_SYNC_FLUSH }).toString()
      assert.ok(text.endsWith(String(messages[nth])), text.slice(-60))
    }
  }
  assert.ok(taken > 2_000)
})
