// The hub: publishing, and how it ends.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryEngine } from '../../src/engine/memory.ts'
import { HydrantError } from '../../src/hub/errors.ts'
import { Hub } from '../../src/hub/hub.ts'
import type { LogBounds } from '../../src/engine/engine.ts'
import { QUIET_EPOCH, QuietHub } from '../support/quiet-hub.ts'
import { settle, VirtualClock } from '../support/virtual-clock.ts'

test('publish answers the id, and a batch its ids in order', async () => {
  const hub = new QuietHub()
  assert.equal(await hub.publish({ topic: 'a' }), `${QUIET_EPOCH}-1`)
  assert.deepEqual(await hub.publishTexts('a', [1, 2]), [`${QUIET_EPOCH}-2`, `${QUIET_EPOCH}-3`])
  assert.deepEqual(await hub.publishBatch([]), [])
  assert.equal(hub.counters.published, 3)
  assert.equal(hub.counters.publishedBytes, 2)
})

test('what is published without waiting keeps its order, however much it is', async () => {
  const hub = new QuietHub()
  const first = Array.from({ length: 700 }, (_, at) => hub.publish({ topic: 'a', data: at }))
  const then = first[256]?.then(() => hub.publish({ topic: 'a', data: 'then' }))
  for (let turns = 0; turns < 10; turns += 1) await hub.clock.turn()
  const ids = await Promise.all([...first, then])
  assert.deepEqual(
    ids,
    Array.from({ length: 701 }, (_, at) => `${QUIET_EPOCH}-${at + 1}`),
  )
})

test('a loop of publishing lets the event loop turn', async () => {
  const hub = new QuietHub()
  const progress = { published: 0 }
  const loop = (async () => {
    for (; progress.published < 2_000; progress.published += 1) await hub.publish({ topic: 'a' })
  })()
  await settle()
  assert.ok(progress.published > 0 && progress.published < 2_000, `${progress.published} in one turn`)
  await hub.clock.rest()
  await loop
  assert.equal(hub.window.head, 2_000)
})

test('a batch that is too large, or has a fault, is refused whole', async () => {
  const hub = new QuietHub({ batchEventsMax: 2 })
  await assert.rejects(hub.publishTexts('a', [1, 2, 3]), { code: 'batch-too-large' })
  await assert.rejects(hub.publishBatch([{ topic: 'a' }, { topic: '' }]), { code: 'malformed-topic' })
  await hub.publishTexts('a', [1, 2])
  assert.equal(hub.window.head, 2)
})

test('a retry with its key stores nothing and answers the first ids; with another body it is an error', async () => {
  const hub = new QuietHub()
  const key = { idempotencyKey: 'k' }
  const [first, joined] = await Promise.all([
    hub.publishBatch([{ topic: 'a' }, { topic: 'b' }], key),
    hub.publishBatch([{ topic: 'a' }, { topic: 'b' }], key),
  ])
  assert.deepEqual(joined, first)
  assert.deepEqual(await hub.publishBatch([{ topic: 'a' }, { topic: 'b' }], key), first)
  assert.equal(hub.window.head, 2)
  await assert.rejects(hub.publish({ topic: 'a' }, key), { code: 'idempotency-conflict' })
  await hub.publish({ topic: 'a' }, { idempotencyKey: 'other' })
  assert.equal(hub.window.head, 3)
})

test('a key is forgotten after its time, and one that cannot be a key is refused', async () => {
  const hub = new QuietHub({ idempotencyMs: 1_000 })
  const key = { idempotencyKey: 'k' }
  await hub.publish({ topic: 'a' }, key)
  await hub.clock.advance(999)
  await hub.publish({ topic: 'a' }, key)
  assert.equal(hub.window.head, 1)
  await hub.clock.advance(1)
  await hub.publish({ topic: 'a' }, key)
  assert.equal(hub.window.head, 2)
  for (const idempotencyKey of ['', 'x'.repeat(256)])
    await assert.rejects(hub.publish({ topic: 'a' }, { idempotencyKey }), { code: 'malformed-idempotency-key' })
})

test('a hub whose log cannot be opened says so to everybody who asks, and can be closed', async () => {
  class Broken extends MemoryEngine {
    override async open(): Promise<LogBounds> {
      throw new HydrantError('unavailable', 'The disk is gone.')
    }
  }
  const hub = new Hub({ engine: new Broken(), clock: new VirtualClock() })
  await assert.rejects(hub.ready, /disk is gone/)
  await assert.rejects(hub.publish({ topic: 'a' }), { code: 'unavailable' })
  await assert.rejects(hub.subscribe('a').next(), { code: 'unavailable' })
  assert.equal(hub.isOpen, false)
  assert.throws(() => hub.window, { code: 'unavailable' })
  await hub.close()
})

test('closing ends subscriptions, then what was registered, then the log, once', async () => {
  const steps: string[] = []
  class Noting extends MemoryEngine {
    override async close(): Promise<void> {
      steps.push('log')
      return super.close()
    }
  }
  const clock = new VirtualClock()
  const hub = new Hub({ engine: new Noting(), clock })
  await hub.ready
  const next = hub
    .subscribe('a')
    .next()
    .then(() => steps.push('subscription'))
  hub.onClose(async () => {
    await next
    steps.push('connections')
  })
  hub.onClose(() => Promise.reject(new Error('one that fails stops nobody')))
  assert.equal(hub.isClosing, false)
  await Promise.all([hub.close(), hub.close()])
  assert.ok(hub.isClosing)
  assert.deepEqual(steps, ['subscription', 'connections', 'log'])
  assert.equal(clock.timers, 0, 'the deadline was taken back')
  await assert.rejects(hub.publish({ topic: 'a' }), { code: 'shutting-down' })
})

test('closing takes no longer than its deadline', async () => {
  const hub = new QuietHub({ closeMs: 500 })
  await hub.ready
  hub.onClose(() => new Promise(() => {}))
  let isClosed = false
  const closed = hub.close().then(() => (isClosed = true))
  await hub.clock.advance(499)
  assert.equal(isClosed, false)
  await hub.clock.advance(1)
  await closed
})

test('an error that nobody awaits goes to who was named for it', () => {
  const errors: unknown[] = []
  const hub = new Hub({
    engine: new MemoryEngine(),
    clock: new VirtualClock(),
    onError: (error) => void errors.push(error),
  })
  const error = new Error('x')
  hub.report(error)
  assert.deepEqual(errors, [error])
})
