import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { LineQueue, type LineBatch } from '../../src/cli/line-queue.ts'

/** Everything that can be taken. */
async function drain(queue: LineQueue): Promise<readonly LineBatch[]> {
  const batches: LineBatch[] = []
  for (let batch = await queue.take(); batch !== undefined; batch = await queue.take()) batches.push(batch)
  return batches
}

test('what has arrived is taken together, and nothing waits for more', async () => {
  const queue = new LineQueue()
  await queue.push(['a'])
  await queue.push(['b', ''])
  assert.deepEqual(await queue.take(), { firstLine: 1, lines: ['a', 'b', ''] })
  const next = queue.take()
  await queue.push(['c'])
  assert.deepEqual(await next, { firstLine: 4, lines: ['c'] })
  queue.end()
  assert.equal(await queue.take(), undefined)
})

test('every line is taken once and in order, in batches within their bounds', async () => {
  const line = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.nat(300_000).map((length) => 'x'.repeat(length)),
  )
  const groups = fc.array(
    fc.oneof(
      fc.array(line, { maxLength: 5 }),
      fc.nat(2_500).map((n) => Array(n).fill('.') as string[]),
    ),
    { maxLength: 6 },
  )
  await fc.assert(
    fc.asyncProperty(groups, async (given) => {
      const queue = new LineQueue()
      const taking = drain(queue)
      for (const group of given) await queue.push(group)
      queue.end()
      const batches = await taking
      assert.deepEqual(
        batches.flatMap(({ lines }) => lines),
        given.flat(),
      )
      let taken = 0
      for (const { firstLine, lines } of batches) {
        assert.equal(firstLine, taken + 1)
        taken += lines.length
        assert.ok(lines.length >= 1 && lines.length <= 1_000)
        assert.ok(lines.length === 1 || lines.join('').length <= 262_144)
      }
    }),
    { numRuns: 50 },
  )
})

test('who fills it waits while a megabyte is held', async () => {
  const queue = new LineQueue()
  let isPushed = false
  const pushed = queue.push(Array.from({ length: 20 }, () => 'x'.repeat(100_000))).then(() => (isPushed = true))
  await queue.take()
  assert.equal(isPushed, false)
  // Half of it is free now, and that is room.
  for (let batches = 0; batches < 5; batches += 1) await queue.take()
  assert.equal(await pushed, true)
})

test('what comes after its end is not taken in', async () => {
  const queue = new LineQueue()
  await queue.push(['a'])
  queue.end()
  await queue.push(['b'])
  assert.deepEqual(await drain(queue), [{ firstLine: 1, lines: ['a'] }])
})
