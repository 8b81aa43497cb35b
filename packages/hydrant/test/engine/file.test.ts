// The file engine keeps the contract of engines.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { engineContract } from '../../src/engine/contract.ts'
import { FileEngine } from '../../src/engine/file.ts'

const root = mkdtempSync(join(tmpdir(), 'hydrant-file-'))
let logs = 0

after(() => rmSync(root, { recursive: true, force: true }))

engineContract('the file engine', {
  capabilities: { durable: true, shared: false, exactGaps: true, topicRetention: true, atomicBatch: true },
  make: ({ limits, nowMs }) => {
    logs += 1
    const retention = limits.windowBytes === undefined ? {} : { logBytesMax: limits.windowBytes }
    return new FileEngine({ folder: join(root, String(logs)), limits, nowMs, retention })
  },
})
