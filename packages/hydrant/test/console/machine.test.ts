// When the machine's metrics are published, and when not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Machine, MACHINE_TOPIC } from '../../src/console/machine.ts'
import { readMachine } from '../../src/console/reading.ts'
import { createHub } from '../../src/create-hub.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

test('nothing is read or published before somebody looks', async () => {
  const { clock, hub, readings } = await newMachine()
  await clock.advance(120_000)
  assert.equal(readings(), 0)
  assert.equal(hub.counters.published, 0)
  await hub.close()
})

test('once somebody looks there is a sample each second for a minute, and then none', async () => {
  const { clock, hub, machine } = await newMachine()
  machine.wanted()
  await clock.advance(10_000)
  assert.equal(hub.counters.published, 10)
  await clock.advance(3_600_000)
  assert.equal(hub.counters.published, 59)
  await hub.close()
})

test('who looks again buys another minute, and however many look, there is one sample a second', async () => {
  const { clock, hub, machine } = await newMachine()
  for (let look = 0; look < 10; look += 1) {
    machine.wanted()
    machine.wanted()
    await clock.advance(30_000)
    await clock.rest()
  }
  assert.equal(hub.counters.published, 300)
  await hub.close()
})

test('after a pause it starts again', async () => {
  const { clock, hub, machine } = await newMachine()
  machine.wanted()
  await clock.advance(600_000)
  const before = hub.counters.published
  machine.wanted()
  await clock.advance(2_000)
  assert.equal(hub.counters.published, before + 2)
  await hub.close()
})

test('a sample is JSON on its topic, keyed, and of the last second', async () => {
  const { clock, hub, machine } = await newMachine()
  const subscription = hub.subscribe(MACHINE_TOPIC)
  machine.wanted()
  const next = subscription.next()
  await clock.advance(1_000)
  const { value } = await next
  assert.ok(value !== undefined && value.gap === undefined)
  const sample: unknown = JSON.parse(String(value.data))
  assert.ok(typeof sample === 'object' && sample !== null)
  assert.deepEqual(Object.keys(sample).slice(0, 3), ['timeMs', 'cpu', 'memory'])
  assert.equal('timeMs' in sample && sample.timeMs, clock.nowMs())
  assert.equal(value.key, 'machine')
  assert.equal(value.type, 'message')
  await hub.close()
})

test('closing stops its timer at once', async () => {
  const { clock, hub, machine } = await newMachine()
  const timers = clock.timers
  machine.wanted()
  assert.equal(clock.timers, timers + 1)
  machine.close()
  assert.equal(clock.timers, timers)
  await clock.advance(5_000)
  assert.equal(hub.counters.published, 0)
  await hub.close()
})

test('a closing hub is given no more samples, and nothing is left behind', async () => {
  const { clock, hub, machine, errors } = await newMachine()
  machine.wanted()
  await clock.advance(1_000)
  await hub.close()
  await clock.advance(10_000)
  assert.equal(hub.counters.published, 1)
  assert.deepEqual(errors, [])
})

async function newMachine() {
  const clock = new VirtualClock()
  const errors: unknown[] = []
  const hub = createHub({ clock, onError: (error) => errors.push(error) })
  await hub.ready
  let readings = 0
  const machine = new Machine(hub, (of) => {
    readings += 1
    return readMachine(of)
  })
  return { clock, hub, machine, errors, readings: () => readings }
}
