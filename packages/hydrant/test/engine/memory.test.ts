// The memory engine keeps the contract of engines.

import { engineContract } from '../../src/engine/contract.ts'
import { MemoryEngine } from '../../src/engine/memory.ts'

engineContract('the memory engine', {
  capabilities: { durable: false, shared: false, exactGaps: true, topicRetention: false, atomicBatch: true },
  make: (options) => new MemoryEngine(options),
})
