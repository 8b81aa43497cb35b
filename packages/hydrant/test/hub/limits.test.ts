// The table of limits.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLimitName, LIMITS, resolveLimits, type Limit, type LimitName } from '../../src/hub/limits.ts'

const names = Object.keys(LIMITS).filter(isLimitName)

test('without a word every limit has its default, which is at least its least', () => {
  const limits = resolveLimits()
  assert.deepEqual(Object.keys(limits).toSorted(), names.toSorted())
  for (const name of names) {
    const limit: Limit = LIMITS[name]
    assert.equal(limits[name], limit.default)
    assert.ok(limit.default >= limit.min, name)
    assert.ok(limit.reason.length > 20, `${name} has no reason`)
  }
})

test('a name ends with its unit, or says what it counts', () => {
  const endings: Record<Limit['unit'], RegExp> = {
    bytes: /Bytes(Max)?$/,
    ms: /Ms$/,
    events: /Events(Max)?$/,
    sockets: /Sockets$/,
    items: /(topics|Topics|connections|subscriptions|Keys|epochs)Max$|ConnectionsMin$/,
    'per second': /PerSecondMax$/,
  }
  for (const name of names) assert.match(name, endings[LIMITS[name].unit])
})

test('what is given replaces the default, alone, and undefined is as if not given', () => {
  const limits = resolveLimits({ lingerMs: 5 })
  assert.deepEqual(limits, { ...resolveLimits(), lingerMs: 5 })
  const given: Partial<Record<LimitName, number>> = JSON.parse('{}') as object
  Object.assign(given, { lingerMs: undefined })
  assert.equal(resolveLimits(given).lingerMs, LIMITS.lingerMs.default)
})

test('the least is taken; below it, and what is no number, is refused with the name of the limit', () => {
  for (const name of names) {
    const { min } = LIMITS[name]
    assert.equal(resolveLimits({ [name]: min })[name], min)
    for (const wrong of [min - 1, Number.NaN, Number.POSITIVE_INFINITY, -Infinity])
      assert.throws(() => resolveLimits({ [name]: wrong }), {
        name: 'RangeError',
        message: new RegExp(`^${name} must be at least ${min} `),
      })
  }
})

test('a limit that does not exist is refused by its name', () => {
  for (const name of ['windowbytes', 'toString', '__proto__x', ''])
    assert.throws(() => resolveLimits({ [name]: 1 }), { message: `there is no limit named ${name}` })
})
