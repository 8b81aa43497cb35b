// How late an event is that is published on one node and delivered on the other, and in the same seconds, between the
// events, how long the broker alone takes to answer.

import type { RunningServer } from '../running-server.ts'
import type { Protocol } from '../servers.ts'
import type { BareClient } from './broker.ts'
import type { Kind } from './pair.ts'
import { Publisher } from './publisher.ts'
import { dataOf, Receiver } from './receiver.ts'

/** Bytes of an event's data. */
export const EVENT_BYTES = 256

const TOPIC = 'bench'
/** Publishers that take turns, so that none waits for an answer. */
const PUBLISHERS = 50
const PATIENCE_MS = 5_000
const STALL_MS = 20

/** A middle and a late one. */
export interface Percentiles {
  readonly p50Ms: number
  readonly p99Ms: number
}

/** What was found. */
export interface Latency {
  readonly roundTrip: Percentiles
  readonly sse: Percentiles | undefined
  readonly ws: Percentiles | undefined
  /** Everything came, and once. Several connections publish, so that its order is not defined. */
  readonly isExact: boolean
}

/** How it is measured. */
export interface LatencyPlan {
  readonly rate: number
  readonly events: number
  /** Events before these, which are not timed. */
  readonly warmup: number
}

/** Publishes on the first node and follows on the second. */
export async function measureLatency(
  kind: Kind,
  [publishing, serving]: readonly [RunningServer, RunningServer],
  bare: BareClient,
  { rate, events, warmup }: LatencyPlan,
): Promise<Latency> {
  const publishers = await Publisher.open(publishing.port, PUBLISHERS)
  const followers = await follow(kind, serving.port, publishers)
  const sentMs: number[] = []
  const pingsMs: number[] = []
  const lates = new Map<Protocol, number[]>(followers.map(({ protocol }) => [protocol, []]))
  for (const { protocol, receiver } of followers) {
    receiver.expect(0, warmup + events, (number, nowMs) => {
      if (number >= warmup) lates.get(protocol)?.push(nowMs - (sentMs[number] ?? Number.NaN))
    })
  }
  const path = kind.publishPath(TOPIC)
  const answers: Promise<void>[] = []
  await paced(2 * rate, 2 * (warmup + events), (turn) => {
    const number = turn >> 1
    if (turn % 2 === 1) {
      answers.push(ping(bare, number < warmup ? [] : pingsMs))
      return
    }
    const publisher = publishers.find(({ isBusy }) => !isBusy)
    if (publisher === undefined) throw new Error(`${kind.name} does not keep up with ${rate} events/s`)
    sentMs[number] = performance.now()
    answers.push(publisher.post(path, dataOf(number, EVENT_BYTES)))
  })
  await Promise.all(answers)
  const receivers = followers.map(({ receiver }) => receiver)
  for (const receiver of receivers) await arrival(receiver, warmup + events)
  for (const one of [...publishers, ...receivers]) one.close()
  return {
    roundTrip: percentilesOf(pingsMs),
    sse: percentilesOrNone(lates.get('sse')),
    ws: percentilesOrNone(lates.get('ws')),
    isExact: receivers.every(({ received, doubled }) => received === warmup + events && doubled === 0),
  }
}

/** Subscribers of a node, one for each protocol, that an event of another node has reached. */
export async function follow(
  kind: Kind,
  port: number,
  publishers: readonly Publisher[],
  protocols: readonly Protocol[] = ['sse', 'ws'],
  topic: string = TOPIC,
): Promise<readonly { readonly protocol: Protocol; readonly receiver: Receiver }[]> {
  const followers: { readonly protocol: Protocol; readonly receiver: Receiver }[] = []
  for (const protocol of protocols) {
    const path = kind.paths[protocol]?.(topic)
    if (path === undefined) continue
    followers.push({ protocol, receiver: await Receiver.open({ protocol, port, path, hello: kind.hello }) })
  }
  const untilMs = performance.now() + PATIENCE_MS
  const tries = 1_000
  const first = 1_000_000_000 // numbers of no account
  for (const { receiver } of followers) receiver.expect(first, tries)
  for (let number = first; followers.some(({ receiver }) => receiver.received === 0); number += 1) {
    if (performance.now() > untilMs || number >= first + tries) throw new Error(`${kind.name} delivers nothing`)
    await publishers[0]?.post(kind.publishPath(topic), dataOf(number, EVENT_BYTES))
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return followers
}

/** Resolves when so many have come, or when nothing has come for a while. */
export async function arrival(receiver: Receiver, count: number): Promise<void> {
  let [before, sinceMs] = [receiver.received, performance.now()]
  while (receiver.received < count && performance.now() < sinceMs + PATIENCE_MS) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    if (receiver.received > before) [before, sinceMs] = [receiver.received, performance.now()]
  }
}

/**
 * Acts so often each second. A turn that is a little late is made up for; a stall of this process moves all that follow,
 * or they would come at once.
 */
export async function paced(rate: number, turns: number, act: (turn: number) => void): Promise<void> {
  let beginMs = performance.now()
  for (let turn = 0; turn < turns; turn += 1) {
    const waitMs = beginMs + (turn * 1_000) / rate - performance.now()
    if (waitMs < -STALL_MS) beginMs -= waitMs
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    act(turn)
  }
}

async function ping(bare: BareClient, tripsMs: number[]): Promise<void> {
  const beginMs = performance.now()
  await bare.roundTrip()
  tripsMs.push(performance.now() - beginMs)
}

function percentilesOrNone(valuesMs: readonly number[] | undefined): Percentiles | undefined {
  return valuesMs === undefined ? undefined : percentilesOf(valuesMs)
}

function percentilesOf(valuesMs: readonly number[]): Percentiles {
  const sorted = valuesMs.toSorted((left, right) => left - right)
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN
  return { p50Ms: at(0.5), p99Ms: at(0.99) }
}
