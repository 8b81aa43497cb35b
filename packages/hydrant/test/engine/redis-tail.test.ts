// The tail of a node, fed with messages as Redis would send them: what is missing is noticed, whichever it is.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { packBody, slotOf } from '../../src/engine/redis-layout.ts'
import type { RedisMark } from '../../src/engine/redis-mark.ts'
import { RedisTail } from '../../src/engine/redis-tail.ts'

const EPOCH = 'aaaaaaaaaaaa'
const [ONE, OTHER, THIRD] = ['a', 'b', 'c'].map(slotOf) as [number, number, number]

test('a message comes when its call is whole, with the events of its slots in order', () => {
  const { tail, told } = tailOf()
  tail.message(ONE, messageOf(0, 3, 0, [ONE, OTHER], [1, 3]))
  assert.deepEqual(told, [])
  tail.message(OTHER, messageOf(0, 3, 0, [ONE, OTHER], [2]))
  assert.deepEqual(told, [[1, 2, 3, 'to 3']])
})

test('of a call in slots that are not followed nothing is waited for', () => {
  const { tail, told } = tailOf()
  tail.message(THIRD, messageOf(0, 2, 0, [THIRD, ONE], [1]))
  tail.message(ONE, messageOf(0, 2, 0, [THIRD, ONE], [2]))
  assert.deepEqual(told, [[2, 'to 2']])
})

test('a message before it that was lost is noticed, and nothing more is told until a mark', () => {
  const { tail, told, marks } = tailOf()
  tail.message(ONE, messageOf(1, 2, 1, [ONE], [2]))
  tail.message(OTHER, messageOf(2, 3, 0, [OTHER], [3]))
  assert.deepEqual([told, marks.asked, tail.isHeld], [[], 1, true])
})

test('the last message that was lost is noticed by the next mark', () => {
  const { tail, told, marks } = tailOf()
  tail.mark(markOf(1, 5, { [ONE]: 5, [OTHER]: 0 }))
  assert.deepEqual([told, marks.healed.length, tail.isHeld], [[], 1, true])
})

test('half a call that was lost is noticed by the next message, and by the next mark', () => {
  for (const next of ['message', 'mark']) {
    const { tail, told } = tailOf()
    tail.message(ONE, messageOf(0, 2, 0, [ONE, OTHER], [1]))
    if (next === 'mark') tail.mark(markOf(1, 2, { [ONE]: 1, [OTHER]: 2 }))
    else tail.message(ONE, messageOf(2, 3, 1, [ONE], [3]))
    assert.deepEqual([told, tail.isHeld], [[], true])
  }
})

test('what comes while the tail is healed comes after it, and what the mark covered not again', () => {
  const { tail, told, marks } = tailOf()
  tail.message(ONE, messageOf(1, 2, 1, [ONE], [2]))
  tail.message(ONE, messageOf(2, 3, 2, [ONE], [3]))
  const mark = markOf(1, 3, { [ONE]: 3, [OTHER]: 0 })
  tail.mark(mark)
  tail.message(ONE, messageOf(3, 4, 3, [ONE], [4]))
  assert.deepEqual([told, marks.healed], [[], [mark]])
  tail.resume(mark)
  assert.deepEqual(told, [[4, 'to 4']])
})

test('a message or a mark of another epoch holds the tail', () => {
  const { tail, marks } = tailOf()
  tail.message(ONE, messageOf(0, 1, 0, [ONE], [1], 'bbbbbbbbbbbb'))
  assert.deepEqual([tail.isHeld, marks.asked], [true, 1])
  const other = tailOf()
  other.tail.mark({ ...markOf(1, 0, { [ONE]: 0, [OTHER]: 0 }), epoch: 'bbbbbbbbbbbb' })
  assert.equal(other.tail.isHeld, true)
})

test('a mark that finds everything in its place says how far the log has come', () => {
  const { tail, told } = tailOf()
  tail.message(ONE, messageOf(0, 1, 0, [ONE], [1]))
  tail.mark(markOf(1, 9, { [ONE]: 1, [OTHER]: 0 }))
  tail.message(ONE, messageOf(9, 10, 1, [ONE], [10]))
  assert.deepEqual(told, [[1, 'to 1'], ['to 9'], [10, 'to 10']])
})

test('who waits for an offset is let go when it is reached, or when the tail is held', async () => {
  const { tail } = tailOf()
  const reached = tail.reach(1)
  tail.message(ONE, messageOf(0, 1, 0, [ONE], [1]))
  await reached
  const held = tail.reach(2)
  tail.suspend()
  await held
  assert.equal(tail.reach(2), undefined)
})

/** A tail at the beginning of a log, that follows two slots. */
function tailOf(): {
  readonly tail: RedisTail
  readonly told: (number | string)[][]
  readonly marks: { asked: number; readonly healed: RedisMark[] }
} {
  const told: (number | string)[][] = []
  const marks: { asked: number; readonly healed: RedisMark[] } = { asked: 0, healed: [] }
  const tail = new RedisTail({
    wants: () => true,
    deliver: (events, to) => void told.push([...events.map(({ offset }) => offset), `to ${to}`]),
    askMark: () => void (marks.asked += 1),
    heal: (mark) => void marks.healed.push(mark),
    reached: () => {},
  })
  tail.moveTo(EPOCH, 0)
  tail.follow(ONE, 0)
  tail.follow(OTHER, 0)
  const start = markOf(1, 0, { [ONE]: 0, [OTHER]: 0 })
  tail.mark(start)
  tail.resume(start)
  marks.healed.length = 0
  return { tail, told, marks }
}

function markOf(number: number, head: number, heads: Readonly<Record<number, number>>): RedisMark {
  const slots = new Map(Object.entries(heads).map(([slot, last]) => [Number(slot), last]))
  return { number, epoch: EPOCH, epochs: undefined, head, floor: 0, bytes: 0, heads: slots, ends: [] }
}

/** A message as the script makes it: of the call in (base, to], with these offsets of a slot that was at `before`. */
function messageOf(
  base: number,
  to: number,
  before: number,
  slots: readonly number[],
  offsets: readonly number[],
  epoch = EPOCH,
): Buffer {
  const head = Buffer.alloc(46)
  head.write(epoch, 'latin1')
  for (const [at, number] of [base, to, 1_000, before].entries()) head.writeDoubleBE(number, 12 + 8 * at)
  head.writeUInt16BE(slots.length, 44)
  const records = offsets.map((offset) => {
    const body = packBody({ topic: 'a', type: 'message', key: undefined, data: 'x' })
    const place = Buffer.alloc(8)
    place.writeUInt32BE(offset - base, 0)
    place.writeUInt32BE(body.length, 4)
    return Buffer.concat([place, body])
  })
  return Buffer.concat([head, Buffer.from(slots), ...records])
}
