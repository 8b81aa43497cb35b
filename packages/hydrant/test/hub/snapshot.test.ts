// In-process subscriptions that begin with the state, or with a snapshot that the program loads: a position, then that,
// then everything after the position.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Delivery, LiveNotice, SnapshotNotice, SnapshotRequest } from '../../src/hub/delivery.ts'
import { QUIET_EPOCH, QuietHub } from '../support/quiet-hub.ts'
import { settle } from '../support/virtual-clock.ts'

/** A window of about fifteen events of this size. */
const LARGE_BYTES = 4_000
const SMALL_WINDOW = { windowBytes: 65_536 } as const

type Any = Delivery | LiveNotice | SnapshotNotice<readonly string[]>

function textOf(delivery: Any | undefined): string {
  if (delivery === undefined) return 'end'
  if (delivery.gap !== undefined) return `gap ${delivery.gap.reason}`
  if (delivery.live !== undefined) return `live ${offsetOf(delivery.id)}`
  if (delivery.snapshot !== undefined) return `snapshot ${offsetOf(delivery.id)}: ${delivery.snapshot.join(' ')}`
  return String(delivery.data).trim()
}

function offsetOf(id: string): number {
  return Number(id.split('-')[1])
}

async function take(
  subscription: AsyncIterableIterator<Any, undefined>,
  count: number,
): Promise<readonly (string | undefined)[]> {
  const taken: string[] = []
  for (let at = 0; at < count; at += 1) taken.push(textOf((await subscription.next()).value))
  return taken
}

async function put(hub: QuietHub, ...pairs: readonly string[]): Promise<readonly string[]> {
  return hub.publishBatch(
    pairs.map((pair) => {
      const [key = '', data = ''] = pair.split('=')
      return { topic: 'prices', key, data: data === '' ? '' : `${key}${data}` }
    }),
  )
}

/** Publishes so much that the window lets go of everything before. */
async function flood(hub: QuietHub, topic: string): Promise<void> {
  await hub.publishTexts(
    topic,
    Array.from({ length: 40 }, (_, at) => `flood ${at}`),
    LARGE_BYTES,
  )
}

// ── state ────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('a subscription of the state begins with the newest of each key, then says that it is live, then goes on', async () => {
  const hub = new QuietHub()
  await put(hub, 'A=1', 'B=1', 'A=2', 'C=1', 'C=')
  const prices = hub.subscribe('prices', { state: 'latest' })
  assert.deepEqual(await take(prices, 3), ['B1', 'A2', 'live 5'])
  await put(hub, 'A=3', 'A=4')
  assert.deepEqual(await take(prices, 2), ['A3', 'A4'])
})

test('what is published while the state is taken comes after the sign, once', async () => {
  const hub = new QuietHub()
  await put(hub, ...Array.from({ length: 600 }, (_, at) => `k${at}=:1`))
  const prices = hub.subscribe('prices', { state: 'latest', capacityEvents: 1 })
  const first = await take(prices, 300)
  await put(hub, 'k0=:2', 'k599=:2', 'new=:1')
  const rest = await take(prices, 304)
  assert.deepEqual(
    [...first, ...rest.slice(0, 300)],
    Array.from({ length: 600 }, (_, at) => `k${at}:1`),
  )
  assert.deepEqual(rest.slice(300), ['live 600', 'k0:2', 'k599:2', 'new:1'])
})

test('the state of topics that have ended is given out, then what follows it, and then it is over', async () => {
  const hub = new QuietHub()
  await put(hub, 'A=1')
  await hub.end('prices')
  assert.deepEqual(await take(hub.subscribe('prices', { state: 'latest' }), 4), ['A1', '{}', 'live 2', 'end'])
})

test('an id beats the state; where it would be a gap, the gap is told under an id at offset 0, and the state again', async () => {
  const hub = new QuietHub(SMALL_WINDOW)
  const [first = ''] = await put(hub, 'A=1', 'A=2')
  assert.deepEqual(await take(hub.subscribe('prices', { state: 'latest', lastEventId: first }), 1), ['A2'])
  await flood(hub, 'prices')
  await put(hub, 'B=1')
  const { head } = hub.window
  const late = hub.subscribe('prices', { state: 'latest', lastEventId: first })
  const { value } = await late.next()
  assert.deepEqual(value, {
    id: `${QUIET_EPOCH}-0`,
    gap: { from: first, to: hub.idAt(head), id: `${QUIET_EPOCH}-0`, reason: 'trimmed', certain: true },
  })
  assert.deepEqual(await take(late, 3), ['flood 39', 'B1', `live ${head}`])
})

test('who falls behind is told so, and gets the state again', async () => {
  const hub = new QuietHub()
  await put(hub, 'A=1')
  const prices = hub.subscribe('prices', { state: 'latest', capacityEvents: 2 })
  assert.deepEqual(await take(prices, 2), ['A1', 'live 1'])
  const next = prices.next()
  await put(hub, 'A=2')
  assert.equal(textOf((await next).value), 'A2')
  const waiting = prices.next() // reaches the head: from here on it is its own fault
  await settle()
  await put(hub, 'A=3', 'A=4', 'B=1', 'A=5')
  assert.deepEqual([textOf((await waiting).value), ...(await take(prices, 3))], ['gap lagged', 'B1', 'A5', 'live 6'])
  await put(hub, 'B=2')
  assert.deepEqual(await take(prices, 1), ['B2'])
})

test('state that is gone before it was given out is a gap, and the state begins anew', async () => {
  const hub = new QuietHub(SMALL_WINDOW)
  await put(hub, 'A=1', 'B=1')
  const prices = hub.subscribe('prices', { state: 'latest' })
  await settle()
  await flood(hub, 'noise')
  await put(hub, 'C=1')
  assert.deepEqual(await take(prices, 3), ['gap trimmed', 'C1', 'live 43'])
})

test('what was gone before is no gap of a state', async () => {
  const hub = new QuietHub(SMALL_WINDOW)
  await put(hub, 'A=1')
  await flood(hub, 'noise')
  await put(hub, ...Array.from({ length: 20 }, (_, at) => `k${at}=:1`))
  const prices = hub.subscribe('prices', { state: 'latest' })
  assert.deepEqual((await take(prices, 21)).at(-1), 'live 61')
})

// ── snapshot ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A store that is written before each publish, and loads when the test says so. */
class Store {
  readonly rows: string[] = []
  readonly asked: SnapshotRequest[] = []
  #waiting: (() => void)[] = []

  readonly load = async (selection: SnapshotRequest): Promise<readonly string[]> => {
    this.asked.push(selection)
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return [...this.rows]
  }

  answer(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  async put(hub: QuietHub, row: string): Promise<void> {
    this.rows.push(row)
    await hub.publishTexts('orders/1', [row])
  }
}

test('a snapshot is loaded after the position is taken, and everything after the position follows it', async () => {
  const hub = new QuietHub()
  const store = new Store()
  await store.put(hub, 'a')
  const orders = hub.subscribe('orders/*', { types: ['message'], snapshot: store.load })
  const first = orders.next()
  await settle()
  await store.put(hub, 'b')
  store.answer()
  assert.equal(textOf((await first).value), 'snapshot 1: a b')
  await store.put(hub, 'c')
  assert.deepEqual(await take(orders, 2), ['b', 'c'])
  const [asked] = store.asked
  assert.partialDeepStrictEqual(asked, { topics: ['orders/*'], types: ['message'], id: hub.idAt(1) })
  assert.equal(asked?.signal.aborted, false)
})

test('whenever something is published, it is in the snapshot or follows it', async () => {
  for (let turns = 0; turns < 12; turns += 1) {
    const hub = new QuietHub()
    const store = new Store()
    const orders = hub.subscribe('orders/*', { snapshot: store.load })
    const writing = (async () => {
      for (let at = 0; at < 12; at += 1) await store.put(hub, String(at))
    })()
    const first = orders.next()
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
    while (store.asked.length === 0) await Promise.resolve()
    store.answer()
    const { value } = await first
    assert.ok(value?.snapshot !== undefined)
    await writing
    const after = await take(orders, 12 - offsetOf(value.id))
    assert.deepEqual(
      [...value.snapshot.slice(0, offsetOf(value.id)), ...after],
      Array.from({ length: 12 }, (_, at) => String(at)),
    )
  }
})

test('however much is published while a snapshot is loaded, nothing of it is missed', async () => {
  const hub = new QuietHub()
  const store = new Store()
  const orders = hub.subscribe('orders/*', { snapshot: store.load, capacityEvents: 2 })
  const first = orders.next()
  await settle()
  const rows = Array.from({ length: 100 }, (_, at) => String(at))
  for (const row of rows) await store.put(hub, row)
  store.answer()
  assert.match(textOf((await first).value), /^snapshot 0: 0 1/)
  assert.deepEqual(await take(orders, 100), rows)
})

test('after a gap there is a new snapshot, as of a new position', async () => {
  const hub = new QuietHub()
  const store = new Store()
  const orders = hub.subscribe('orders/*', { snapshot: store.load, capacityEvents: 1 })
  const first = orders.next()
  await settle()
  store.answer()
  assert.equal(textOf((await first).value), 'snapshot 0: ')
  const waiting = orders.next()
  await settle()
  store.rows.push('a', 'b', 'c')
  await hub.publishTexts('orders/1', store.rows)
  const { value } = await waiting
  assert.deepEqual(value?.gap, {
    from: hub.idAt(0),
    to: hub.idAt(3),
    id: hub.idAt(0),
    reason: 'lagged',
    certain: true,
  })
  const second = orders.next()
  await settle()
  await store.put(hub, 'd')
  store.answer()
  assert.equal(textOf((await second).value), 'snapshot 3: a b c d')
  assert.deepEqual(await take(orders, 1), ['d'])
})

test('what the log lets go of while a snapshot is loaded is a gap, and the snapshot is loaded again', async () => {
  const hub = new QuietHub(SMALL_WINDOW)
  const store = new Store()
  const orders = hub.subscribe('orders/*', { snapshot: store.load })
  const first = orders.next()
  await settle()
  await store.put(hub, 'a')
  await flood(hub, 'noise')
  store.answer()
  assert.equal(textOf((await first).value), 'snapshot 0: a')
  assert.deepEqual(await take(orders, 1), ['gap trimmed'])
  const second = orders.next()
  await settle()
  store.answer()
  assert.equal(textOf((await second).value), 'snapshot 41: a')
})

test('an id beats the snapshot; only where it would be a gap is it loaded', async () => {
  const hub = new QuietHub(SMALL_WINDOW)
  const store = new Store()
  await store.put(hub, 'a')
  await store.put(hub, 'b')
  const lastEventId = hub.idAt(1)
  assert.deepEqual(await take(hub.subscribe('orders/*', { snapshot: store.load, lastEventId }), 1), ['b'])
  assert.equal(store.asked.length, 0)
  await flood(hub, 'noise')
  const late = hub.subscribe('orders/*', { snapshot: store.load, lastEventId })
  assert.deepEqual(await take(late, 1), ['gap trimmed'])
  const second = late.next()
  await settle()
  store.answer()
  assert.equal(textOf((await second).value), 'snapshot 42: a b')
})

test('a loader that fails ends the subscription, which passes its error on', async () => {
  const hub = new QuietHub()
  for (const snapshot of [
    () => Promise.reject(new Error('no database')),
    () => {
      throw new Error('no database')
    },
  ]) {
    const orders = hub.subscribe('orders/*', { snapshot })
    await assert.rejects(orders.next(), /no database/)
    assert.deepEqual(await orders.next(), { done: true, value: undefined })
  }
})

test('a subscription that ends while a snapshot is loaded waits for it no longer, and tells the loader', async () => {
  const hub = new QuietHub()
  const store = new Store()
  const orders = hub.subscribe('orders/*', { snapshot: store.load })
  const first = orders.next()
  await settle()
  await orders.return()
  assert.deepEqual(await first, { done: true, value: undefined })
  assert.equal(store.asked[0]?.signal.aborted, true)
})

test('a snapshot and another place to start from are refused', async () => {
  const hub = new QuietHub()
  await assert.rejects(hub.subscribe('a', { snapshot: () => [], last: 1 }).next(), { code: 'conflicting-start' })
  await assert.rejects(hub.subscribe('a', { state: 'latest', earliest: true }).next(), { code: 'conflicting-start' })
})
