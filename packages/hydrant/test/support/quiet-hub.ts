// A hub in virtual time with nothing around it: no server, no connections.

import { MemoryEngine } from '../../src/engine/memory.ts'
import { Hub } from '../../src/hub/hub.ts'
import type { Limits } from '../../src/hub/limits.ts'
import { VirtualClock } from './virtual-clock.ts'

/** The epoch of its log. */
export const QUIET_EPOCH = 'aaaaaaaaaaaa'

/** See the head of the file. */
export class QuietHub extends Hub {
  override readonly clock: VirtualClock

  constructor(limits: Partial<Limits> = {}) {
    const clock = new VirtualClock()
    const engine = new MemoryEngine({ limits, epoch: QUIET_EPOCH, nowMs: () => clock.nowMs() })
    super({ engine, clock, limits })
    this.clock = clock
  }

  /** Publishes numbered texts of a topic, `bytes` long at least; answers their ids. */
  async publishTexts(topic: string, texts: readonly (string | number)[], bytes = 0): Promise<readonly string[]> {
    return this.publishBatch(texts.map((text) => ({ topic, data: String(text).padEnd(bytes, ' ') })))
  }
}
