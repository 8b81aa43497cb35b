// Several nodes start in one moment on a NATS that has no log yet: one of them makes it, and all of them have it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NatsEngine } from '../../src/engine/nats.ts'
import { NATS_SERVERS, NatsServer } from '../support/nats-server.ts'

const NODES = 4
const LOGS = 20

for (const { name, command } of NATS_SERVERS) {
  test(`${name}: ${NODES} nodes that start at once on a log that is not there all open it, in one epoch`, async () => {
    await using server = await NatsServer.start(command)
    for (let log = 0; log < LOGS; log += 1) {
      const options = { servers: [server.address], hub: `log${log}`, onWarning: () => {} }
      const engines = Array.from({ length: NODES }, () => new NatsEngine(options))
      await Promise.all(engines.map(async (engine) => engine.open(() => {})))
      await Promise.all(engines.map(async (engine) => engine.synced()))
      const ids = engines.map((engine) => engine.bounds().epochs.idAt(engine.bounds().head))
      assert.deepEqual(new Set(ids), new Set(ids.slice(0, 1)))
      await Promise.all(engines.map(async (engine) => engine.close()))
    }
  })
}
