// Publishing from a source: one after the other, no faster than the log and the throttle allow.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventInput } from '../../src/hub/event.ts'
import { publishFrom } from '../../src/hub/source.ts'
import { QuietHub } from '../support/quiet-hub.ts'
import { settle, VirtualClock } from '../support/virtual-clock.ts'

/** A source that notes how it is treated. */
class Watched implements AsyncIterable<string> {
  readonly clock: VirtualClock
  /** When each item was asked for. */
  readonly askedMs: number[] = []
  isClosed = false
  readonly #items: readonly string[]

  constructor(clock: VirtualClock, items: readonly string[]) {
    this.clock = clock
    this.#items = items
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    try {
      for (const item of this.#items) {
        this.askedMs.push(this.clock.monotonicMs())
        yield item
      }
    } finally {
      this.isClosed = true
    }
  }
}

test('every item becomes an event of the topic and type, in order, and the number of them is answered', async () => {
  const hub = new QuietHub()
  const subscription = hub.subscribe('a')
  const count = await hub.publishFrom(['x', { y: 1 }, new Uint8Array([7])], { topic: 'a', type: 't' })
  assert.equal(count, 3)
  for (const data of ['x', '{"y":1}', new Uint8Array([7])]) {
    const { value } = await subscription.next()
    assert.ok(value !== undefined && value.gap === undefined)
    assert.deepEqual([value.topic, value.type, value.data], ['a', 't', data])
  }
  assert.equal(await hub.publishFrom([], { topic: 'a' }), 0)
})

test('the next item is not asked for before the last one is stored', async () => {
  const clock = new VirtualClock()
  const source = new Watched(clock, ['1', '2', '3'])
  const stored: (() => void)[] = []
  const done = publishFrom(
    source,
    { topic: 'a' },
    () => new Promise<void>((resolve) => void stored.push(resolve)),
    clock,
  )
  for (let at = 1; at <= 3; at += 1) {
    await settle()
    assert.deepEqual([source.askedMs.length, stored.length], [at, at])
    stored[at - 1]?.()
  }
  assert.equal(await done, 3)
  assert.ok(source.isClosed)
})

test('a throttle keeps events so far apart, and the source waits with them', async () => {
  const clock = new VirtualClock()
  const publishedMs: number[] = []
  const publish = async (): Promise<void> => void publishedMs.push(clock.monotonicMs())
  const source = new Watched(clock, ['1', '2', '3', '4'])
  const done = publishFrom(source, { topic: 'a', throttleMs: 100 }, publish, clock)
  for (let passed = 0; passed < 50; passed += 1) {
    await settle()
    await clock.advance(10)
  }
  assert.equal(await done, 4)
  assert.deepEqual(publishedMs, [0, 100, 200, 300])
  assert.ok(source.askedMs.every((ms, at) => ms <= (publishedMs[at] ?? 0)))
})

test('an item of a slow source is published as soon as it comes', async () => {
  const clock = new VirtualClock()
  const publishedMs: number[] = []
  const yieldedMs: number[] = []
  async function* slow(): AsyncGenerator<string> {
    for (const item of ['1', '2', '3']) {
      await new Promise<void>((resolve) => void clock.after(250, resolve))
      yieldedMs.push(clock.monotonicMs())
      yield item
    }
  }
  const publish = async (): Promise<void> => void publishedMs.push(clock.monotonicMs())
  const done = publishFrom(slow(), { topic: 'a', throttleMs: 100 }, publish, clock)
  for (let passed = 0; passed < 30; passed += 1) {
    await settle()
    await clock.advance(50)
  }
  assert.equal(await done, 3)
  assert.deepEqual(publishedMs, yieldedMs)
})

test('an event that is refused ends it with that error, and closes the source', async () => {
  const hub = new QuietHub()
  const source = new Watched(hub.clock, ['1', '2'])
  await assert.rejects(hub.publishFrom(source, { topic: 'a', type: 'open' }), { code: 'reserved-type' })
  await settle()
  assert.ok(source.isClosed)
  assert.equal(source.askedMs.length, 1)
})

test('an error of the source is told, after what came before it was published', async () => {
  const published: EventInput[] = []
  async function* failing(): AsyncGenerator<string> {
    yield '1'
    throw new Error('the source broke')
  }
  const publish = async (event: EventInput): Promise<void> => void published.push(event)
  await assert.rejects(publishFrom(failing(), { topic: 'a' }, publish, new VirtualClock()), /the source broke/)
  assert.deepEqual(
    published.map(({ data }) => data),
    ['1'],
  )
})

test('a hub that closes ends it, and closes the source', async () => {
  const hub = new QuietHub()
  const source = new Watched(hub.clock, Array.from({ length: 10 }, String))
  const done = hub.publishFrom(source, { topic: 'a', throttleMs: 10 })
  await settle()
  await hub.close()
  const refused = assert.rejects(done, { code: 'shutting-down' })
  await hub.clock.advance(20)
  await refused
  await settle()
  assert.ok(source.isClosed)
})

test('a signal stops it at once: before it begins, in the throttle, and while the source is quiet', async () => {
  const clock = new VirtualClock()
  const published: EventInput[] = []
  const publish = async (event: EventInput): Promise<void> => void published.push(event)

  const early = new Watched(clock, ['1'])
  assert.equal(await publishFrom(early, { topic: 'a', signal: AbortSignal.abort() }, publish, clock), 0)

  const inThrottle = new AbortController()
  const throttled = new Watched(clock, ['1', '2'])
  const options = { topic: 'a', throttleMs: 1_000, signal: inThrottle.signal }
  const stopped = publishFrom(throttled, options, publish, clock)
  await settle()
  inThrottle.abort()
  assert.equal(await stopped, 1)
  await settle()
  assert.ok(throttled.isClosed)

  const whileQuiet = new AbortController()
  let isClosed = false
  const quiet: AsyncIterable<string> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: async () => ((isClosed = true), { done: true, value: undefined }),
    }),
  }
  const waiting = publishFrom(quiet, { topic: 'a', signal: whileQuiet.signal }, publish, clock)
  await settle()
  whileQuiet.abort()
  assert.equal(await waiting, 0)
  assert.ok(isClosed)
  assert.equal(published.length, 1)
})

test('a source that never waits lets the event loop turn', async () => {
  const hub = new QuietHub()
  let asked = 0
  function* endless(): Generator<number> {
    for (;;) yield (asked += 1)
  }
  const stop = new AbortController()
  const done = hub.publishFrom(endless(), { topic: 'a', signal: stop.signal })
  await settle()
  const inOneTurn = asked
  assert.ok(inOneTurn > 0 && inOneTurn < 10_000, `${inOneTurn} were published in one turn`)
  await hub.clock.turn()
  assert.ok(asked > inOneTurn)
  stop.abort()
  await hub.clock.rest()
  assert.ok((await done) >= inOneTurn)
})

test('a long run leaves nothing behind on its signal', async () => {
  const clock = new VirtualClock()
  const stop = new AbortController()
  let listeners = 0
  const add = stop.signal.addEventListener.bind(stop.signal)
  const remove = stop.signal.removeEventListener.bind(stop.signal)
  stop.signal.addEventListener = (...given: Parameters<typeof add>) => ((listeners += 1), add(...given))
  stop.signal.removeEventListener = (...given: Parameters<typeof remove>) => ((listeners -= 1), remove(...given))
  const items = Array.from({ length: 2_000 }, String)
  const options = { topic: 'a', signal: stop.signal }
  assert.equal(await publishFrom(items, options, () => Promise.resolve(), clock), 2_000)
  assert.ok(listeners <= 1, `${listeners} listeners are left on the signal`)
})
