// Appending: what cannot be stored at the moment, or not as one.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Idempotency, Trouble } from '../../src/engine/engine.ts'
import { MemoryEngine } from '../../src/engine/memory.ts'
import type { CheckedEvent } from '../../src/hub/event.ts'
import { Hub } from '../../src/hub/hub.ts'
import { HydrantError } from '../../src/index.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

/** An engine that loses its log for a while: what is appended meanwhile is refused, or stored without an answer. */
class LostEngine extends MemoryEngine {
  isLost = false
  /** Whether it stores what it refuses, as a log does whose answer is lost. */
  stores = false
  tries = 0

  override async append(batch: readonly CheckedEvent[], idempotency?: Idempotency): Promise<readonly string[]> {
    this.tries += 1
    const ids = !this.isLost || this.stores ? await super.append(batch, idempotency) : []
    if (this.isLost) throw new HydrantError('unavailable', 'The log cannot be reached.')
    return ids
  }

  trouble(): Trouble | undefined {
    return this.isLost ? { sinceMs: 0, reason: 'the log cannot be reached' } : undefined
  }
}

class SingleEngine extends MemoryEngine {
  override readonly capabilities = {
    durable: false,
    shared: false,
    exactGaps: true,
    topicRetention: false,
    atomicBatch: false,
  }
  readonly sizes: number[] = []

  override append(batch: readonly CheckedEvent[], idempotency?: Idempotency): Promise<readonly string[]> {
    this.sizes.push(batch.length)
    return super.append(batch, idempotency)
  }
}

/** Lets what was begun come to its first wait. */
function tried(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function isUnavailable(error: unknown): boolean {
  return error instanceof HydrantError && error.code === 'unavailable'
}

test('a publish waits for a log that cannot be reached as long as it asked, and is stored once', async () => {
  const clock = new VirtualClock()
  const engine = new LostEngine({ nowMs: () => clock.nowMs() })
  const hub = new Hub({ engine, clock })
  await hub.ready
  engine.isLost = engine.stores = true
  const publishing = hub.publish({ topic: 'a', data: 'x' }, { waitMs: 5_000 })
  await tried()
  await clock.advance(1_000)
  assert.equal(engine.tries, 1, 'it does not ask a log that says it cannot be reached')
  engine.isLost = false
  await clock.advance(1_000)
  assert.equal(await publishing, hub.idAt(1))
  assert.deepEqual([engine.tries, engine.bounds().head], [2, 1])
})

test('a publish that does not ask for it does not wait, and one that does not longer than it may', async () => {
  const clock = new VirtualClock()
  const engine = new LostEngine()
  const hub = new Hub({ engine, clock, limits: { publishWaitMs: 2_000 } })
  await hub.ready
  engine.isLost = true
  await assert.rejects(hub.publish({ topic: 'a' }), isUnavailable)
  const refused = assert.rejects(hub.publish({ topic: 'a' }, { waitMs: 60_000 }), isUnavailable)
  await tried()
  await clock.advance(2_500)
  await refused
  assert.equal(clock.timers, 0)
})

test('what waits is bounded in bytes', async () => {
  const clock = new VirtualClock()
  const engine = new LostEngine()
  const hub = new Hub({ engine, clock, limits: { publishWaitBytesMax: 1_000 } })
  await hub.ready
  engine.isLost = true
  const waiting = hub.publish({ topic: 'a', data: 'x'.repeat(900) }, { waitMs: 5_000 })
  await tried()
  await assert.rejects(hub.publish({ topic: 'a', data: 'x'.repeat(200) }, { waitMs: 5_000 }), isUnavailable)
  engine.isLost = false
  await clock.advance(1_000)
  assert.equal(await waiting, hub.idAt(1))
})

test('an engine that cannot store several events as one is not asked to', async () => {
  const engine = new SingleEngine()
  const hub = new Hub({ engine, clock: new VirtualClock() })
  const batch = [
    { topic: 'a', data: '1' },
    { topic: 'b', data: '2' },
  ]
  await assert.rejects(hub.publishBatch(batch), { code: 'not-atomic' })
  const stored = await hub.publishEach(batch)
  assert.deepEqual(stored, [{ id: hub.idAt(1) }, { id: hub.idAt(2) }])
  assert.deepEqual(engine.sizes, [1, 1])
})

test('of events that are stored each for itself, one that is refused keeps no other out', async () => {
  const engine = new MemoryEngine()
  const hub = new Hub({ engine, clock: new VirtualClock() })
  await hub.end('over')
  const stored = await hub.publishEach([{ topic: 'a' }, { topic: 'over' }, { topic: 'b' }])
  assert.deepEqual(
    stored.map((one) => ('error' in one ? one.error.code : one.id)),
    [hub.idAt(2), 'topic-ended', hub.idAt(3)],
  )
})
