// How many events a second: of the client library alone, of an engine in this process, and from one node to the other.

import type { Engine } from '../../packages/hydrant/src/engine/engine.ts'
import type { RunningServer } from '../running-server.ts'
import type { BareClient } from './broker.ts'
import { cpuMs } from './cpu.ts'
import { arrival, EVENT_BYTES, follow } from './latency.ts'
import type { Kind } from './pair.ts'
import { Publisher, publishLines } from './publisher.ts'
import { dataOf, type Receiver } from './receiver.ts'

const TOPIC = 'bench'
const PUBLISHERS = 100
const LINES_EACH = 64
const COUNT_MAX = 4_000_000
/** Of the time that is measured, before it. */
const WARMUP = 0.4

/** Events a second that were acknowledged, and the CPU that each took. */
export interface Rate {
  readonly perS: number
  /** Of this process, all its threads. */
  readonly clientUs: number
  readonly brokerUs: number
}

/** Events a second that reached the other node. */
export interface Delivered {
  readonly perS: number
  /** Everything came once; and, where one request carried all, in order. */
  readonly isExact: boolean
  readonly lost: number
}

/** The library alone, with so many calls under way. */
export async function bareThroughput(bare: BareClient, callers: number, ms: number, brokerPid: number): Promise<Rate> {
  return callingThroughput(callers, ms, brokerPid, async (data) => bare.append(data))
}

/** An engine in this process, with so many appends of one event under way. */
export async function engineThroughput(engine: Engine, callers: number, ms: number, brokerPid: number): Promise<Rate> {
  await engine.open(() => {})
  try {
    return await callingThroughput(callers, ms, brokerPid, async (data) => {
      await engine.append([{ topic: TOPIC, type: 'message', key: undefined, data }])
    })
  } finally {
    await engine.close()
  }
}

/** 100 publishers at the first node, each with one POST of one event under way; one WebSocket at the second. */
export async function postThroughput(
  kind: Kind,
  [publishing, serving]: readonly [RunningServer, RunningServer],
  ms: number,
): Promise<Delivered> {
  const publishers = await Publisher.open(publishing.port, PUBLISHERS)
  const [follower] = await follow(kind, serving.port, publishers, ['ws'])
  if (follower === undefined) throw new Error(`${kind.name} has no WebSocket`)
  const { receiver } = follower
  const path = kind.publishPath(TOPIC)
  const post = async (forMs: number): Promise<Delivered> => {
    let count = 0
    receiver.expect(0, COUNT_MAX)
    const beginMs = performance.now()
    await Promise.all(
      publishers.map(async (publisher) => {
        while (performance.now() < beginMs + forMs) await publisher.post(path, dataOf(count++, EVENT_BYTES))
      }),
    )
    return delivered(receiver, count, beginMs)
  }
  await post(ms * WARMUP)
  const found = await post(ms)
  for (const one of [...publishers, receiver]) one.close()
  // Requests on several connections have no order among each other.
  return { ...found, isExact: found.lost === 0 && receiver.doubled === 0 }
}

/** One NDJSON stream to the first node; one SSE subscriber at the second. */
export async function linesThroughput(
  kind: Kind,
  [publishing, serving]: readonly [RunningServer, RunningServer],
  ms: number,
): Promise<Delivered> {
  const publishers = await Publisher.open(publishing.port, 1)
  const [follower] = await follow(kind, serving.port, publishers, ['sse'])
  if (follower === undefined) throw new Error(`${kind.name} has no SSE`)
  const { receiver } = follower
  const stream = async (forMs: number): Promise<Delivered> => {
    let count = 0
    receiver.expect(0, COUNT_MAX)
    const beginMs = performance.now()
    const acknowledged = await publishLines(publishing.port, () => {
      if (performance.now() > beginMs + forMs) return undefined
      let lines = ''
      for (let line = 0; line < LINES_EACH; line += 1) {
        lines += `{"topic":"${TOPIC}","data":"${dataOf(count++, EVENT_BYTES)}"}\n`
      }
      return lines
    })
    if (acknowledged !== count) throw new Error(`${acknowledged} of ${count} lines were acknowledged`)
    return delivered(receiver, count, beginMs)
  }
  await stream(ms * WARMUP)
  const found = await stream(ms)
  for (const one of [...publishers, receiver]) one.close()
  return found
}

async function delivered(receiver: Receiver, count: number, beginMs: number): Promise<Delivered> {
  await arrival(receiver, count)
  return {
    perS: (receiver.received / (receiver.lastMs - beginMs)) * 1_000,
    isExact: receiver.received === count && receiver.doubled === 0 && receiver.reordered === 0,
    lost: count - receiver.received,
  }
}

async function callingThroughput(
  callers: number,
  ms: number,
  brokerPid: number,
  call: (data: string) => Promise<void>,
): Promise<Rate> {
  const data = dataOf(0, EVENT_BYTES)
  const run = async (forMs: number): Promise<Rate> => {
    let count = 0
    const [beginMs, clientMs, brokerMs] = [performance.now(), cpuMs(process.pid), cpuMs(brokerPid)]
    const caller = async (): Promise<void> => {
      while (performance.now() < beginMs + forMs) {
        await call(data)
        count += 1
      }
    }
    await Promise.all(Array.from({ length: callers }, caller))
    return {
      perS: (count / (performance.now() - beginMs)) * 1_000,
      clientUs: ((cpuMs(process.pid) - clientMs) / count) * 1_000,
      brokerUs: ((cpuMs(brokerPid) - brokerMs) / count) * 1_000,
    }
  }
  await run(ms * WARMUP)
  return run(ms)
}
