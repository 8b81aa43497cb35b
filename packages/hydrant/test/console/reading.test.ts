// What is read of the machine, and what two readings say together.

import assert from 'node:assert/strict'
import { availableParallelism, totalmem } from 'node:os'
import { test } from 'node:test'
import { parseNetDev, readMachine, sampleBetween, type Reading } from '../../src/console/reading.ts'
import { createHub } from '../../src/create-hub.ts'

const NET_DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 1000 4 0 0 0 0 0 0 1000 4 0 0 0 0 0 0
  eth0:234567890123 5 0 0 0 0 0 0 42 6 0 0 0 0 0 0
`

const QUIET: Reading = {
  timeMs: 1_000_000,
  monotonicMs: 5_000,
  cores: [
    { busyMs: 100, totalMs: 1_000 },
    { busyMs: 900, totalMs: 1_000 },
  ],
  memoryUsedBytes: 3_000,
  memoryTotalBytes: 4_000,
  network: { received: 10_000, sent: 20_000 },
  load: [0.123, 1, 2],
  processBytes: 500,
  connections: 3,
  published: 10,
  deliveries: 100,
}

test('a reading of the real machine has its cores and its memory', async () => {
  const hub = createHub()
  const reading = readMachine(hub)
  await hub.close()
  assert.ok(reading.cores.length >= availableParallelism())
  assert.ok(reading.cores.every((core) => core.totalMs >= core.busyMs && core.busyMs > 0))
  assert.equal(reading.memoryTotalBytes, totalmem())
  assert.ok(reading.memoryUsedBytes > 0 && reading.memoryUsedBytes < totalmem())
  assert.ok(reading.processBytes > 1_000_000)
})

test('/proc/net/dev is added up over all interfaces, also where a long number touches the name', () => {
  assert.deepEqual(parseNetDev(NET_DEV), { received: 234_567_891_123, sent: 1_042 })
})

test('two readings give the share of busy time for each core, and rates per second', () => {
  const later: Reading = {
    ...QUIET,
    timeMs: 1_002_000,
    monotonicMs: 7_000,
    cores: [
      { busyMs: 600, totalMs: 2_000 },
      { busyMs: 900, totalMs: 2_000 },
    ],
    network: { received: 14_000, sent: 20_001 },
    published: 30,
    deliveries: 1_100,
  }
  assert.deepEqual(sampleBetween(QUIET, later), {
    timeMs: 1_002_000,
    cpu: [0.5, 0],
    memory: { usedBytes: 3_000, totalBytes: 4_000 },
    network: { receivedBytesPerSecond: 2_000, sentBytesPerSecond: 0.5 },
    load: [0.12, 1, 2],
    process: { memoryBytes: 500 },
    hub: { connections: 3, publishedPerSecond: 10, deliveriesPerSecond: 500 },
  })
})

test('counters that ran backwards, a core that is new and time that stood still give zeros, never nonsense', () => {
  const odd: Reading = {
    ...QUIET,
    monotonicMs: QUIET.monotonicMs + 1_000,
    cores: [
      { busyMs: 50, totalMs: 1_500 },
      { busyMs: 900, totalMs: 1_000 },
      { busyMs: 7, totalMs: 8 },
    ],
    network: { received: 0, sent: 0 },
    deliveries: 0,
  }
  const sample = sampleBetween(QUIET, odd)
  assert.deepEqual(sample.cpu, [0, 0, 0])
  assert.deepEqual(sample.network, { receivedBytesPerSecond: 0, sentBytesPerSecond: 0 })
  assert.equal(sample.hub.deliveriesPerSecond, 0)
  assert.deepEqual(sampleBetween(QUIET, { ...QUIET, published: 99 }).hub.publishedPerSecond, 0)
})

test('where the network cannot be known it is left out', () => {
  assert.ok(!('network' in sampleBetween(QUIET, { ...QUIET, network: undefined })))
})
