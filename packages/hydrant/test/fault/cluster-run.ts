// Three nodes on one broker, and faults of all kinds by the dice, one after the other, some at once. Run for a few faults
// by cluster-chaos.test.ts, and for longer by `npm run torture -- --cluster redis`.

import { slotOf } from '../../src/engine/redis-layout.ts'
import type { Report } from '../../src/testing/testing.ts'
import { Cluster } from '../support/cluster.ts'
import type { ClusterNodeOptions } from '../support/cluster-node.ts'
import { NatsServer } from '../support/nats-server.ts'
import { RedisServer } from '../support/redis-server.ts'
import { Wire } from '../support/wire.ts'
import { randomOf } from '../testing/naive-run.ts'

/** What the nodes share. `redis that forgets` keeps nothing over a restart, and is emptied now and then. */
export type Broker = 'redis' | 'redis that forgets' | 'nats'

/** What is done. */
export interface ClusterRunOptions {
  readonly broker: Broker
  readonly faults: number
  /** Decides what is published, when clients hop, and what is done when. */
  readonly seed: number
  /** Called before each fault. */
  readonly onFault?: (fault: string, acknowledged: number) => void
}

/** What came of it. */
export interface ClusterRunOutcome {
  readonly report: Report
  /** What nodes said on stderr, but for the lines that an outage leaves. */
  readonly complaints: readonly string[]
}

interface Room {
  readonly cluster: Cluster
  readonly wire: Wire
  readonly random: (below: number) => number
}

type Fault = (room: Room) => Promise<unknown>

const NOTHING: readonly [string, Fault] = ['nothing', async () => {}]
const EVENTS_MAX = 150
const DELAY_MS_MAX = 100
const FREEZE_MS_MAX = 1_500
const TOPICS = ['a/1', 'a/2', 'b', 'c/deep/er']

/** Does so many faults; resolves when every client has come to the head. */
export async function clusterRun(options: ClusterRunOptions): Promise<ClusterRunOutcome> {
  const { broker, faults, seed, onFault = () => {} } = options
  await using server = await serverOf(broker)
  await using wire = await Wire.start(server.port)
  const nodes: readonly ClusterNodeOptions[] = [server.port, server.port, wire.port].map((port) => ({
    engine: `${broker === 'nats' ? 'nats' : 'redis'}://127.0.0.1:${port}`,
  }))
  await using cluster = await Cluster.start({ nodes, seed, batchMax: broker === 'nats' ? 1 : 5 })
  const random = randomOf(seed + 1)
  const kinds = Object.entries({ ...FAULTS, ...faultsOf(broker, server) })
  const room = { cluster, wire, random }
  for (let fault = 0; fault < faults; fault += 1) {
    await cluster.fleet.progress(random(EVENTS_MAX))
    const several = new Map(Array.from({ length: 1 + random(2) }, () => kinds[random(kinds.length)] ?? NOTHING))
    for (const name of several.keys()) onFault(name, cluster.fleet.acknowledged)
    await Promise.all(Array.from(several.values(), async (act) => act(room)))
  }
  wire.delayMs = 0
  await cluster.untilWell()
  const report = await cluster.fleet.finish()
  const said = cluster.nodes.flatMap(({ complaints }) => complaints)
  return { report, complaints: said.filter((line) => !Cluster.isOfOutage(line)) }
}

/** Of nodes and wires. */
const FAULTS: Readonly<Record<string, Fault>> = {
  'a node is frozen': async ({ cluster, random }) => {
    const node = cluster.nodes[random(cluster.nodes.length)]
    node?.freeze()
    await pause(random(FREEZE_MS_MAX))
    node?.thaw()
  },
  'a wire gets slow': async ({ wire, random }) => {
    wire.delayMs = random(DELAY_MS_MAX)
  },
  'a wire is quick again': async ({ wire }) => {
    wire.delayMs = 0
  },
  'a wire is cut': async ({ wire, random }) => {
    wire.cut()
    await pause(random(FREEZE_MS_MAX))
    wire.mend()
  },
}

function faultsOf(broker: Broker, server: RedisServer | NatsServer): Readonly<Record<string, Fault>> {
  if (server instanceof NatsServer) {
    return {
      'NATS is killed': async ({ random }) => {
        await server.kill()
        await pause(random(FREEZE_MS_MAX))
        await server.start()
      },
    }
  }
  return { ...redisFaults(server), ...(broker === 'redis' ? {} : forgetting(server)) }
}

function redisFaults(server: RedisServer): Readonly<Record<string, Fault>> {
  return {
    'Redis is killed': async ({ random }) => {
      await server.kill()
      await pause(random(FREEZE_MS_MAX))
      await server.restart()
    },
    'messages are cut': asking(server, 'CLIENT', 'KILL', 'TYPE', 'pubsub'),
    'commands are cut': asking(server, 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'),
    'Redis pauses': asking(server, 'CLIENT', 'PAUSE', '500', 'ALL'),
    'scripts are forgotten': asking(server, 'SCRIPT', 'FLUSH'),
  }
}

function forgetting(server: RedisServer): Readonly<Record<string, Fault>> {
  const streams = TOPICS.map((topic) => `{hydrant}:s${slotOf(topic)}`)
  return {
    'everything is deleted': asking(server, 'FLUSHALL'),
    'a stream is deleted': async (room) => asking(server, 'DEL', streams[room.random(streams.length)] ?? '')(room),
  }
}

/** Of a server that another fault took away at the moment there is nothing to ask. */
function asking(server: RedisServer, ...command: readonly string[]): Fault {
  return async () => server.ask(command).catch(() => {}) // see above
}

async function serverOf(broker: Broker): Promise<RedisServer | NatsServer> {
  if (broker === 'nats') return NatsServer.start()
  return RedisServer.start({ isPersistent: broker === 'redis' })
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}
