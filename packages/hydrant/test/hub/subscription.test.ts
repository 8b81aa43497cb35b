// In-process subscribers: what tokio's broadcast channels promise, held against a log.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Delivery } from '../../src/hub/delivery.ts'
import type { Subscription } from '../../src/hub/subscription.ts'
import { QUIET_EPOCH, QuietHub } from '../support/quiet-hub.ts'
import { settle } from '../support/virtual-clock.ts'

/** A window of about fifteen events of this size. */
const LARGE_BYTES = 4_000
const SMALL_WINDOW = { windowBytes: 65_536 } as const

function numbers(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at)
}

/** An event's text, or what a gap says. */
function textOf(delivery: Delivery | undefined): string {
  if (delivery === undefined) return 'end'
  if (delivery.gap !== undefined) {
    const { reason, count, certain } = delivery.gap
    return `${reason} ${count ?? '?'}${certain ? '' : ' perhaps'}`
  }
  return String(delivery.data).trim()
}

async function take(subscription: Subscription, count: number): Promise<readonly string[]> {
  const taken: string[] = []
  for (let at = 0; at < count; at += 1) taken.push(textOf((await subscription.next()).value))
  return taken
}

/** Whether a promise is still open once everything that can go on has gone on. */
async function isOpen(promise: Promise<unknown>): Promise<boolean> {
  let open = true
  void promise.then(
    () => (open = false),
    () => (open = false),
  )
  await settle()
  return open
}

test('every subscriber gets every event of its selection, in order, with all that was published', async () => {
  const hub = new QuietHub()
  const all = hub.subscribe('**')
  const some = hub.subscribe(['a/*', 'b'], { types: ['x'] })
  const id = await hub.publish({ topic: 'a/1', type: 'x', key: 'k', data: { n: 1 } })
  await hub.publishBatch([
    { topic: 'a/1', data: 'not of this type' },
    { topic: 'c', type: 'x', data: 'not of these topics' },
    { topic: 'b', type: 'x', data: new Uint8Array([1, 2]) },
  ])
  const first = { id, topic: 'a/1', type: 'x', key: 'k', timeMs: hub.clock.nowMs(), data: '{"n":1}' }
  for (const subscription of [all, some]) {
    const { value } = await subscription.next()
    assert.ok(value !== undefined && value.gap === undefined)
    const { id: ownId, topic, type, key, timeMs, data } = value
    assert.deepEqual({ id: ownId, topic, type, key, timeMs, data }, first)
  }
  const { value: last } = await some.next()
  assert.ok(last !== undefined && last.gap === undefined)
  assert.deepEqual([last.topic, last.data, last.id], ['b', new Uint8Array([1, 2]), `${QUIET_EPOCH}-4`])
  assert.deepEqual(await take(all, 2), ['not of this type', 'not of these topics'])
})

test('what is published right after the call is not missed, even while the log is still being opened', async () => {
  const hub = new QuietHub()
  const subscription = hub.subscribe('a')
  const published = hub.publishTexts('a', [1, 2])
  assert.deepEqual(await take(subscription, 2), ['1', '2'])
  await published
})

test('what was published before the call does not come', async () => {
  const hub = new QuietHub()
  await hub.publishTexts('a', [1, 2])
  const subscription = hub.subscribe('a')
  await settle()
  await hub.publishTexts('a', [3])
  assert.deepEqual(await take(subscription, 1), ['3'])
})

test('next waits until something comes', async () => {
  const hub = new QuietHub()
  const subscription = hub.subscribe('a')
  const next = subscription.next()
  assert.ok(await isOpen(next))
  await hub.publishTexts('b', [1])
  assert.ok(await isOpen(next), 'an event that is not selected wakes nobody')
  await hub.publishTexts('a', [2])
  assert.equal(textOf((await next).value), '2')
})

test('calls of next that overlap are answered in their order', async () => {
  const hub = new QuietHub()
  const subscription = hub.subscribe('a')
  const answers = Promise.all([subscription.next(), subscription.next(), subscription.next()])
  await settle()
  await hub.publishTexts('a', [1])
  await settle()
  await hub.publishTexts('a', [2, 3])
  assert.deepEqual(
    (await answers).map(({ value }) => textOf(value)),
    ['1', '2', '3'],
  )
})

test('as many events as the capacity wait without loss', async () => {
  const hub = new QuietHub()
  const subscription = hub.subscribe('a', { capacityEvents: 4 })
  await settle()
  await hub.publishTexts('a', [1, 2, 3, 4])
  assert.deepEqual(await take(subscription, 4), ['1', '2', '3', '4'])
})

test('one event more than the capacity is one missed, and the newest go on', async () => {
  const hub = new QuietHub()
  const subscription = hub.subscribe('a', { capacityEvents: 4 })
  await settle()
  await hub.publishTexts('a', numbers(1, 5))
  assert.deepEqual(await take(subscription, 5), ['lagged 1', '2', '3', '4', '5'])
})

test('the default capacity is 1,024, also for a receiver that has not asked for anything yet', async () => {
  const hub = new QuietHub()
  const subscription = hub.subscribe('a')
  await settle()
  await hub.publishTexts('a', numbers(1, 3_000))
  assert.deepEqual(await take(subscription, 2), ['lagged 1976', '1977'])
})

test('a receiver that lags again is told again, each time how many', async () => {
  const hub = new QuietHub()
  const subscription = hub.subscribe('a', { capacityEvents: 2 })
  await settle()
  await hub.publishTexts('a', numbers(1, 5))
  assert.deepEqual(await take(subscription, 2), ['lagged 3', '4'])
  await hub.publishTexts('a', numbers(6, 9))
  assert.deepEqual(await take(subscription, 3), ['lagged 3', '8', '9'])
  await hub.publishTexts('a', [10])
  assert.deepEqual(await take(subscription, 1), ['10'])
})

test('only events of the selection count', async () => {
  const hub = new QuietHub()
  const subscription = hub.subscribe('a', { capacityEvents: 2 })
  await settle()
  for (const number of numbers(1, 4)) {
    await hub.publishTexts('noise', numbers(1, 20))
    await hub.publishTexts('a', [number])
  }
  assert.deepEqual(await take(subscription, 3), ['lagged 2', '3', '4'])
})

test('a gap names the ids that it lies between, and leads back to what follows', async () => {
  const hub = new QuietHub()
  await hub.publishTexts('a', [0])
  const subscription = hub.subscribe('a', { capacityEvents: 1 })
  await settle()
  const ids = await hub.publishTexts('a', [1, 2, 3])
  const { value } = await subscription.next()
  assert.deepEqual(value, {
    id: ids[1],
    gap: { from: `${QUIET_EPOCH}-1`, to: ids[1], reason: 'lagged', certain: true, count: 2 },
  })
  const resumed = hub.subscribe('a', { lastEventId: ids[1] })
  assert.deepEqual(await take(resumed, 1), ['3'])
})

test('the count is exact also when the window has let go of what was missed', async () => {
  const hub = new QuietHub(SMALL_WINDOW)
  const subscription = hub.subscribe('a', { capacityEvents: 1_000 })
  await settle()
  await hub.publishTexts('a', numbers(1, 50), LARGE_BYTES)
  const kept = hub.window.length
  assert.ok(kept < 50)
  const [gap, first] = await take(subscription, 2)
  assert.deepEqual([gap, first], [`lagged ${50 - kept}`, String(50 - kept + 1)])
})

test('a quiet topic has no gap, however much went by on others', async () => {
  const hub = new QuietHub(SMALL_WINDOW)
  const subscription = hub.subscribe('quiet', { capacityEvents: 1 })
  await hub.publishTexts('quiet', [1])
  assert.deepEqual(await take(subscription, 1), ['1'])
  for (const round of numbers(2, 4)) {
    const next = subscription.next()
    await settle()
    await hub.publishTexts('noise', numbers(1, 100), LARGE_BYTES)
    await hub.publishTexts('quiet', [round])
    assert.equal(textOf((await next).value), String(round))
  }
})

test('history comes whole before the live, and is not bounded by the capacity', async () => {
  const hub = new QuietHub()
  const ids = await hub.publishTexts('a', numbers(1, 10))
  const cases = [
    [{ earliest: true }, '1'],
    [{ last: 3 }, '8'],
    [{ lastEventId: ids[4] }, '6'],
    [{ sinceMs: 0 }, '1'],
  ] as const
  for (const [start, first] of cases) {
    const subscription = hub.subscribe('a', { ...start, capacityEvents: 2 })
    const count = 11 - Number(first)
    assert.deepEqual(await take(subscription, count), numbers(Number(first), 10).map(String))
    await subscription.return()
  }
})

test('since begins at the first event of that time', async () => {
  const hub = new QuietHub()
  await hub.publishTexts('a', [1])
  await hub.clock.advance(1_000)
  await hub.publishTexts('a', [2])
  const subscription = hub.subscribe('a', { sinceMs: hub.clock.nowMs() })
  assert.deepEqual(await take(subscription, 1), ['2'])
})

test('who comes back with an id is told what was trimmed, once, and then gets what is kept', async () => {
  const hub = new QuietHub(SMALL_WINDOW)
  await hub.publishTexts('a', numbers(1, 50), LARGE_BYTES)
  const { floor, length } = hub.window
  const subscription = hub.subscribe('a', { lastEventId: `${QUIET_EPOCH}-3` })
  const { value } = await subscription.next()
  assert.deepEqual(value?.gap, {
    from: `${QUIET_EPOCH}-3`,
    to: `${QUIET_EPOCH}-${floor}`,
    reason: 'trimmed',
    certain: true,
  })
  assert.deepEqual(await take(subscription, length), numbers(floor + 1, 50).map(String))
})

test('who comes back to a quiet topic with an old id is told nothing', async () => {
  const hub = new QuietHub(SMALL_WINDOW)
  const [id] = await hub.publishTexts('quiet', [1])
  await hub.publishTexts('noise', numbers(1, 50), LARGE_BYTES)
  const subscription = hub.subscribe('quiet', { lastEventId: id })
  const next = subscription.next()
  assert.ok(await isOpen(next))
  await hub.publishTexts('quiet', [2])
  assert.equal(textOf((await next).value), '2')
})

test('an id of another log is a gap that says so', async () => {
  const hub = new QuietHub()
  await hub.publishTexts('a', [1])
  for (const lastEventId of ['bbbbbbbbbbbb-9', 'nonsense', `${QUIET_EPOCH}-2`]) {
    const subscription = hub.subscribe('a', { lastEventId })
    const { value } = await subscription.next()
    assert.deepEqual([value?.gap?.reason, value?.gap?.from, value?.gap?.certain], ['epoch', lastEventId, false])
    await subscription.return()
  }
})

test('two starts at once are refused, to whoever asks for the first event', async () => {
  const hub = new QuietHub()
  const subscription = hub.subscribe('a', { last: 1, earliest: true })
  await assert.rejects(subscription.next(), { code: 'conflicting-start' })
  assert.throws(() => hub.subscribe('a b'), { code: 'malformed-pattern' })
  assert.throws(() => hub.subscribe([]), { code: 'no-topic' })
})

test('leaving a for await ends the subscription', async () => {
  const hub = new QuietHub()
  const subscription = hub.subscribe('a')
  await settle()
  await hub.publishTexts('a', [1, 2])
  for await (const delivery of subscription) {
    assert.equal(textOf(delivery), '1')
    break
  }
  assert.deepEqual(await subscription.next(), { done: true, value: undefined })
})

test('return, close and a signal each end a next that waits', async () => {
  const endings: readonly ((hub: QuietHub, subscription: Subscription, abort: AbortController) => unknown)[] = [
    (_hub, subscription) => subscription.return(),
    (_hub, subscription) => subscription[Symbol.asyncDispose](),
    (hub) => hub.close(),
    (_hub, _subscription, abort) => abort.abort(),
  ]
  for (const end of endings) {
    const hub = new QuietHub()
    const abort = new AbortController()
    const subscription = hub.subscribe('a', { signal: abort.signal })
    const next = Promise.all([subscription.next(), subscription.next()])
    assert.ok(await isOpen(next))
    await end(hub, subscription, abort)
    assert.deepEqual(await next, [
      { done: true, value: undefined },
      { done: true, value: undefined },
    ])
  }
})

test('a subscription that is over before it began yields nothing', async () => {
  const hub = new QuietHub()
  const aborted = hub.subscribe('a', { signal: AbortSignal.abort() })
  assert.deepEqual(await aborted.next(), { done: true, value: undefined })
  await hub.close()
  const late = hub.subscribe('a')
  assert.deepEqual(await late.next(), { done: true, value: undefined })
})

test('many subscriptions of one long-lived signal leave nothing behind on it', async () => {
  const hub = new QuietHub()
  const { signal } = new AbortController()
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...given: Parameters<typeof add>) => ((listeners += 1), add(...given))
  signal.removeEventListener = (...given: Parameters<typeof remove>) => ((listeners -= 1), remove(...given))
  for (let at = 0; at < 20; at += 1) await hub.subscribe('a', { signal }).return()
  assert.equal(listeners, 0)
})

test('a slow receiver costs nobody else anything', async () => {
  const hub = new QuietHub()
  const slow = hub.subscribe('a', { capacityEvents: 1 })
  const fast = hub.subscribe('a')
  for (const number of numbers(1, 100)) {
    await hub.publishTexts('a', [number])
    assert.deepEqual(await take(fast, 1), [String(number)])
  }
  assert.deepEqual(await take(slow, 2), ['lagged 99', '100'])
})
