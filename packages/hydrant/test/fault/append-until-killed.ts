// Run by kill.test.ts in a process of its own: a hub over a file engine under load, which says what is acknowledged.
//
//   append-until-killed.ts <folder> <run> <log bytes>

import { writeSync } from 'node:fs'
import { createHub } from '../../src/create-hub.ts'
import { FileEngine } from '../../src/engine/file.ts'

const [folder = '', run = '', logBytesMax = ''] = process.argv.slice(2)
const PUBLISHERS = 8

const hub = createHub({ engine: new FileEngine({ folder, retention: { logBytesMax: Number(logBytesMax) } }) })
await hub.ready
await Promise.all(Array.from({ length: PUBLISHERS }, async (_, publisher) => publish(publisher)))

async function publish(publisher: number): Promise<never> {
  for (let batch = 0; ; batch += 1) {
    const size = 1 + ((batch * 7 + publisher) % 5)
    const name = `${run}-${publisher}-${batch}`
    const events = Array.from({ length: size }, (_, at) => ({
      topic: `publisher/${publisher}`,
      data: `${name} ${at} ${size} ${'x'.repeat((batch * 31) % 400)}`,
    }))
    const ids = await hub.publishBatch(events, batch % 3 === 0 ? { idempotencyKey: name } : {})
    writeSync(1, `${name} ${ids.join(' ')}\n`)
  }
}
