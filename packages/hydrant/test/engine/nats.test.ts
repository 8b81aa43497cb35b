// The NATS engine keeps the contract of engines: on Debian's nats-server, and on a current one where there is one.

import { after, before } from 'node:test'
import { engineContract, type EngineTestOptions } from '../../src/engine/contract.ts'
import { NatsEngine } from '../../src/engine/nats.ts'
import { NATS_SERVERS, NatsServer } from '../support/nats-server.ts'

for (const { name, command } of NATS_SERVERS) {
  let server: NatsServer | undefined
  let logs = 0

  before(async () => {
    server = await NatsServer.start(command)
  })

  after(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  const engineOf = ({ limits, nowMs }: EngineTestOptions): NatsEngine => {
    const retention = limits.windowBytes === undefined ? {} : { logBytesMax: limits.windowBytes }
    return new NatsEngine({ servers: [server?.address ?? ''], hub: String(logs), limits, nowMs, retention })
  }

  engineContract(`the NATS engine on ${name}`, {
    capabilities: { durable: true, shared: true, exactGaps: false, topicRetention: false, atomicBatch: false },
    make: (options) => {
      logs += 1
      return engineOf(options)
    },
    join: engineOf,
  })
}
