// The engine of a worker keeps the contract of engines, whatever engine the main thread has.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { engineContract, type EngineTestOptions } from '../../src/engine/contract.ts'
import type { Engine, EngineCapabilities } from '../../src/engine/engine.ts'
import { FileEngine } from '../../src/engine/file.ts'
import { MemoryEngine } from '../../src/engine/memory.ts'
import { claimed, WorkerEngines } from '../support/worker-engines.ts'

const root = mkdtempSync(join(tmpdir(), 'hydrant-workers-'))
let logs = 0

after(() => rmSync(root, { recursive: true, force: true }))

contract('memory', new MemoryEngine().capabilities, (options) => new MemoryEngine(options))

contract('file', new FileEngine({ folder: root }).capabilities, ({ limits, nowMs }) => {
  logs += 1
  const retention = limits.windowBytes === undefined ? {} : { logBytesMax: limits.windowBytes }
  return new FileEngine({ folder: join(root, String(logs)), limits, nowMs, retention })
})

function contract(name: string, capabilities: EngineCapabilities, make: (options: EngineTestOptions) => Engine): void {
  let engines: WorkerEngines | undefined
  engineContract(`a worker's engine over the ${name} engine`, {
    capabilities: claimed(capabilities),
    make: async (options) => {
      engines = new WorkerEngines(make(options))
      return engines.join(options.limits)
    },
    join: async (options) => {
      assert.ok(engines !== undefined)
      return engines.join(options.limits)
    },
  })
}
