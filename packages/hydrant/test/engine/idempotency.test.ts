// Idempotency keys by themselves: which answers are remembered, and for how long.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IdempotencyKeys } from '../../src/engine/idempotency.ts'
import { resolveLimits } from '../../src/hub/limits.ts'

function keysOf(limits: { readonly idempotencyKeysMax?: number; readonly idempotencyMs?: number } = {}): {
  readonly time: { ms: number }
  readonly ask: (key: string, fingerprint?: string) => Promise<readonly string[]>
  readonly appends: () => number
} {
  const time = { ms: 0 }
  let appends = 0
  const keys = new IdempotencyKeys(resolveLimits(limits), () => time.ms)
  const append = async (): Promise<readonly string[]> => [String((appends += 1))]
  return {
    time,
    ask: (key, fingerprint = 'f') => keys.once({ key, fingerprint }, append),
    appends: () => appends,
  }
}

test('the same request is answered as the first time, another body is a conflict', async () => {
  const { ask, appends } = keysOf()
  assert.deepEqual(await ask('a'), ['1'])
  assert.deepEqual(await ask('a'), ['1'])
  await assert.rejects(ask('a', 'other'), { code: 'idempotency-conflict' })
  assert.deepEqual(await ask('b', 'other'), ['2'])
  assert.equal(appends(), 2)
})

test('a retry joins an append that is under way', async () => {
  const keys = new IdempotencyKeys(resolveLimits(), () => 0)
  const stored = Promise.withResolvers<readonly string[]>()
  const request = { key: 'a', fingerprint: 'f' }
  const first = keys.once(request, () => stored.promise)
  const retry = keys.once(request, () => Promise.reject(new Error('appended twice')))
  stored.resolve(['7'])
  assert.deepEqual(await Promise.all([first, retry]), [['7'], ['7']])
})

test('a request that failed is forgotten: its retry is a first one', async () => {
  const keys = new IdempotencyKeys(resolveLimits(), () => 0)
  const request = { key: 'a', fingerprint: 'f' }
  await assert.rejects(
    keys.once(request, () => Promise.reject(new Error('full'))),
    /full/,
  )
  assert.deepEqual(await keys.once(request, async () => ['1']), ['1'])
})

test('a key is remembered for its time from its first use, and no longer', async () => {
  const { ask, time } = keysOf({ idempotencyMs: 1_000 })
  await ask('a')
  time.ms = 600
  await ask('b')
  await ask('a')
  time.ms = 999
  assert.deepEqual(await ask('a'), ['1'])
  time.ms = 1_000
  assert.deepEqual(await ask('a'), ['3'])
  assert.deepEqual(await ask('b'), ['2'])
})

test('no more keys are remembered than may be: the oldest go first', async () => {
  const { ask } = keysOf({ idempotencyKeysMax: 3 })
  for (const key of ['a', 'b', 'c', 'd']) await ask(key)
  assert.deepEqual(await ask('d'), ['4'])
  assert.deepEqual(await ask('a'), ['5'])
})
