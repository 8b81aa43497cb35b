// Two engines on one log in Redis, each followed, and held against each other and against what was acknowledged.

import assert from 'node:assert/strict'
import { RedisEngine, type RedisEngineOptions } from '../../src/engine/redis.ts'
import { EngineFollower } from './engine-follower.ts'
import { EngineLoad } from './engine-load.ts'
import type { RedisServer } from './redis-server.ts'
import { until } from './until.ts'

let logs = 0

/** See the head of the file. */
export class RedisNodes implements AsyncDisposable {
  readonly one: EngineFollower
  readonly other: EngineFollower
  readonly warnings: string[]
  /** What the names of the log begin with. */
  readonly prefix: string
  /** Events of the largest batches that are published. */
  batchMax = 1
  #loads = 0

  private constructor(one: EngineFollower, other: EngineFollower, warnings: string[], prefix: string) {
    this.prefix = prefix
    this.one = one
    this.other = other
    this.warnings = warnings
  }

  get all(): readonly EngineFollower[] {
    return [this.one, this.other]
  }

  /** Opens them on a log that nobody else uses. */
  static async open(server: RedisServer, given: Partial<RedisEngineOptions> = {}): Promise<RedisNodes> {
    logs += 1
    const warnings: string[] = []
    const onWarning = ({ message }: Error): void => void warnings.push(message)
    const options = { url: server.url(`?prefix=log${logs}`), onWarning, ...given }
    const one = await EngineFollower.open(new RedisEngine(options))
    return new RedisNodes(one, await EngineFollower.open(new RedisEngine(options)), warnings, `log${logs}`)
  }

  /** Publishes on both meanwhile, and then holds both against what was acknowledged, against each other and the log. */
  async underLoad(
    run: (loads: readonly EngineLoad[]) => Promise<void>,
    isGone: (id: string) => boolean = () => false,
  ): Promise<void> {
    const loads = await this.load(run)
    this.checkTails(loads, isGone)
    for (const node of this.all) await node.checkAgainstHistory()
  }

  /** Publishes on both meanwhile, and waits until both have come to the end. */
  async load(run: (loads: readonly EngineLoad[]) => Promise<void>): Promise<readonly EngineLoad[]> {
    this.#loads += 1
    const loads = this.all.map(
      ({ engine }, at) => new EngineLoad(engine, `load ${this.#loads} of node ${at}`, this.batchMax),
    )
    try {
      await run(loads)
    } finally {
      await Promise.all(loads.map(async (load) => load.stop()))
    }
    await this.recovered()
    return loads
  }

  /** Both tails have brought the same, and all that was acknowledged, but for what is gone. */
  checkTails(loads: readonly EngineLoad[], isGone: (id: string) => boolean): void {
    for (const { events } of this.all) EngineLoad.check(loads, events, isGone)
    assert.deepEqual(
      this.one.events.map(({ id }) => id),
      this.other.events.map(({ id }) => id),
    )
  }

  /** Waits until both can work, and have come to the end of the log. */
  async recovered(): Promise<void> {
    await until(() => this.all.every(({ engine }) => engine.trouble?.() === undefined), 'both nodes to recover')
    for (const { engine } of this.all) {
      // A connection may be lost, and nobody have noticed yet.
      let isSynced = false
      const sync = (): void =>
        void engine.synced?.().then(
          () => (isSynced = true),
          () => setTimeout(sync, 20),
        )
      sync()
      await until(() => isSynced, 'the tail to come to the end of the log')
    }
    await until(
      () => this.one.isAt(this.other),
      () => `both nodes to be at one place: ${this.one.head}, ${this.other.head}`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map(async ({ engine }) => engine.close()))
  }
}

/** Waits until each has had so many more acknowledged. */
export async function moreOf(loads: readonly EngineLoad[], count: number): Promise<void> {
  const wanted = loads.map((load) => load.count + count)
  await until(
    () => loads.every((load, at) => load.count >= (wanted[at] ?? 0)),
    () => `more to be published: ${loads.map((load) => load.count).join()}`,
  )
}
