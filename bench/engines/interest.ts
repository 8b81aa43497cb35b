// What a node costs that does not want a busy topic, beside one that serves it; and how many connections nodes have.

import type { RunningServer } from '../running-server.ts'
import type { BareClient } from './broker.ts'
import { cpuMs } from './cpu.ts'
import { arrival, EVENT_BYTES, follow, paced } from './latency.ts'
import type { Kind } from './pair.ts'
import { Publisher } from './publisher.ts'
import { dataOf, Receiver } from './receiver.ts'

const BUSY = 'busy'
const QUIET = 'quiet'
const PUBLISHERS = 50
const CLIENTS = 500

/** CPU of two nodes while the topic was busy. */
interface Beside {
  readonly servingMs: number
  readonly otherMs: number
}

/** What the node that does not want the topic has instead. */
export interface Interest {
  readonly withoutClients: Beside
  /** One client, of another topic. */
  readonly withClient: Beside
}

/** How many connections a broker has from both nodes. */
export interface Connections {
  readonly before: number
  /** With 500 clients at one of them. */
  readonly withClients: number
}

/** One publishes, one serves one client of the topic, one has no client, and then one of another topic. */
export async function measureInterest(
  kind: Kind,
  [publishing, serving, other]: readonly [RunningServer, RunningServer, RunningServer],
  rate: number,
  events: number,
): Promise<Interest> {
  const protocol = kind.paths.sse === undefined ? 'ws' : 'sse'
  const publishers = await Publisher.open(publishing.port, PUBLISHERS)
  const [busy] = await follow(kind, serving.port, publishers, [protocol], BUSY)
  if (busy === undefined) throw new Error(`${kind.name} has no ${protocol}`)
  const post = async (count: number): Promise<void> => {
    let number = 0
    busy.receiver.expect(0, count)
    const free = [...publishers]
    const answers: Promise<void>[] = []
    await paced(rate, count, () => {
      const publisher = free.pop()
      if (publisher === undefined) return // counted below
      const answer = publisher.post(kind.publishPath(BUSY), dataOf(number++, EVENT_BYTES))
      answers.push(answer.then(() => void free.push(publisher)))
    })
    await Promise.all(answers)
    await arrival(busy.receiver, number)
  }
  const meter = async (): Promise<Beside> => {
    const [servingBeginMs, otherBeginMs] = [cpuMs(serving.pid), cpuMs(other.pid)]
    await post(events)
    return { servingMs: cpuMs(serving.pid) - servingBeginMs, otherMs: cpuMs(other.pid) - otherBeginMs }
  }
  await post(Math.round(events / 4))
  const withoutClients = await meter()
  const quiet = await follow(kind, other.port, publishers, [protocol], QUIET)
  const withClient = await meter()
  for (const one of [...publishers, busy.receiver, ...quiet.map(({ receiver }) => receiver)]) one.close()
  return { withoutClients, withClient }
}

/** Asks the broker without clients and with them; undefined where it is not asked. */
export async function measureConnections(
  kind: Kind,
  { port }: RunningServer,
  bare: BareClient,
): Promise<Connections | undefined> {
  const before = await bare.connections()
  if (before === undefined) return undefined
  const protocol = kind.paths.sse === undefined ? 'ws' : 'sse'
  const path = kind.paths[protocol]
  if (path === undefined) return undefined
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, at) =>
      Receiver.open({ protocol, port, path: path(`c${at}`), hello: kind.hello }),
    ),
  )
  const withClients = (await bare.connections()) ?? Number.NaN
  for (const client of clients) client.close()
  return { before, withClients }
}
