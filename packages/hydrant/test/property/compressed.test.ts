// Compressed streams under stalls, cuts, joins and quiet times in any order: every client reads every event once.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { GzipListener, gzipFormatOf } from '../support/gzip-listener.ts'
import { PumpRoom } from '../support/pump-room.ts'

const HEARTBEAT_MS = 1_000
const LIMITS = { shareConnectionsMin: 2, sliceSockets: 1, flushBytesMax: 4_096, heartbeatMs: HEARTBEAT_MS }

/** `who`: a client, counted around; the amount: events, turns, or the eighths of the held bytes that arrive. */
const steps = fc.array(
  fc.record({
    kind: fc.oneof(
      { weight: 8, arbitrary: fc.constant('publish' as const) },
      { weight: 4, arbitrary: fc.constant('turn' as const) },
      { weight: 2, arbitrary: fc.constantFrom('join', 'stall', 'drain', 'cut', 'return') },
      { weight: 1, arbitrary: fc.constant('quiet' as const) },
    ),
    who: fc.nat(9),
    amount: fc.integer({ min: 1, max: 8 }),
  }),
  { maxLength: 80, size: 'max' },
)

interface Step {
  readonly kind: 'publish' | 'turn' | 'join' | 'stall' | 'drain' | 'cut' | 'return' | 'quiet'
  readonly who: number
  readonly amount: number
}

/** A client over all its connections: it comes back with the last id that it read. */
class Client {
  /** Published before it came. */
  readonly from: number
  readonly read: number[] = []
  listener: GzipListener

  constructor(from: number, listener: GzipListener) {
    this.from = from
    this.listener = listener
  }

  take({ messages }: GzipListener['stream']): void {
    for (const { type, data } of messages) {
      assert.notEqual(type, 'hydrant:gap')
      if (!type.startsWith('hydrant:')) this.read.push(Number(data.split(' ', 1)[0]))
    }
  }
}

/** Plays the steps; answers how many bytes were read, and in how many they came. */
async function play(all: readonly Step[], segment: number): Promise<void> {
  const room = new PumpRoom(LIMITS)
  const format = gzipFormatOf({ flushes: segment, bytes: 8_192 })
  const clients: Client[] = []
  let published = 0
  const back = async (client: Client): Promise<void> => {
    client.take(client.listener.stream)
    client.listener = await GzipListener.open(room, format, lastIdOf(client))
  }
  const ids: string[] = []
  const lastIdOf = (client: Client): string => ids[client.read.at(-1) ?? client.from - 1] ?? room.idAt(0)
  for (const { kind, who, amount } of all) {
    const client = clients[who % Math.max(1, clients.length)]
    const socket = client?.listener.socket
    if (kind === 'publish') {
      for (let at = 0; at < amount; at += 1) {
        const data = `${published} AAPL price 101.25 ${'.'.repeat(who * 40)}`
        ids.push(await room.hub.publish({ topic: 'prices', data }))
        published += 1
      }
    } else if (kind === 'turn') for (let at = 0; at < amount; at += 1) await room.clock.turn()
    else if (kind === 'quiet') await room.pass(HEARTBEAT_MS, HEARTBEAT_MS / 4)
    else if (kind === 'join') clients.push(new Client(published, await GzipListener.open(room, format)))
    else if (client === undefined || socket === undefined) continue
    else if (kind === 'return' && socket.isClosed) await back(client)
    else if (kind === 'stall') socket.isFull = true
    else if (kind === 'drain') socket.drain()
    else if (kind === 'cut') socket.cut(amount / 8)
  }
  for (const client of clients) {
    client.listener.socket.drain()
    if (client.listener.socket.isClosed) await back(client)
  }
  await room.rest()
  await room.hub.close()
  for (const client of clients) {
    client.take(client.listener.whole)
    const wanted = Array.from({ length: published - client.from }, (_, at) => client.from + at)
    assert.deepEqual(client.read, wanted)
    assert.equal(client.listener.socket.forbidden, 0)
  }
  assert.deepEqual([room.hub.counters.pinnedBytes, room.errors], [0, []])
}

test('whenever clients of a compressed stream join, stall, are cut and come back, each reads every event once', () =>
  fc.assert(
    fc.asyncProperty(steps, fc.constantFrom(1, 2, 3, 7), (all, segment) => play(all, segment)),
    { numRuns: 300 },
  ))
