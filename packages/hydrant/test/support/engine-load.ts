// Appends numbered events to some topics for as long as it is told to, and knows what became of each.

import assert from 'node:assert/strict'
import type { Engine } from '../../src/engine/engine.ts'
import { HydrantError } from '../../src/hub/errors.ts'
import type { LogEvent } from '../../src/hub/event.ts'

const TOPICS = 40
const LOOPS = 4

/** See the head of the file. */
export class EngineLoad {
  /** Data → id, of those that were acknowledged. */
  readonly acknowledged: Map<string, string> = new Map()
  /** Of those whose append was refused, and which may be stored all the same. */
  readonly inDoubt: Set<string> = new Set()
  readonly #engine: Engine
  readonly #name: string
  readonly #batchMax: number
  #isOver = false
  #count = 0
  readonly #loops: Promise<void>[] = []

  /** Appends batches of one event and up to `batchMax`, default 1. */
  constructor(engine: Engine, name: string, batchMax = 1) {
    this.#engine = engine
    this.#name = name
    this.#batchMax = batchMax
    for (let loop = 0; loop < LOOPS; loop += 1) this.#loops.push(this.#run(loop))
  }

  /** How many were acknowledged. */
  get count(): number {
    return this.acknowledged.size
  }

  /** Stops; resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#loops)
  }

  /** Each event at most once, each acknowledged one with its id, unless that is gone, and none that nobody appended. */
  static check(loads: readonly EngineLoad[], events: readonly LogEvent[], isGone: (id: string) => boolean): void {
    const byData = new Map<string, string>()
    for (const { data, id } of events) {
      assert.ok(!byData.has(String(data)), `${String(data)} is there twice: as ${byData.get(String(data))} and ${id}`)
      byData.set(String(data), id)
    }
    for (const { acknowledged, inDoubt } of loads) {
      for (const [data, id] of acknowledged) {
        assert.equal(byData.get(data), isGone(id) ? undefined : id, `${data} was acknowledged as ${id}`)
        byData.delete(data)
      }
      for (const data of inDoubt) byData.delete(data)
    }
    assert.deepEqual([...byData], [], 'nobody appended these')
  }

  async #run(loop: number): Promise<void> {
    while (!this.#isOver) {
      const batch = Array.from({ length: 1 + (this.#count % this.#batchMax) }, () => this.#next(loop))
      try {
        const ids = await this.#engine.append(batch)
        for (const [at, { data }] of batch.entries()) this.acknowledged.set(data, ids[at] ?? '')
      } catch (error) {
        assert.ok(error instanceof HydrantError && error.code === 'unavailable', String(error))
        for (const { data } of batch) this.inDoubt.add(data)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
  }

  #next(loop: number): { topic: string; type: string; key: undefined; data: string } {
    this.#count += 1
    const topic = `load/${(this.#count * 7 + loop) % TOPICS}`
    return { topic, type: 'message', key: undefined, data: `${this.#name} ${this.#count}` }
  }
}
