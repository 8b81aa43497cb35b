// What the tests of contract.ts stand on: an engine, opened, and a record of all that its tail was told.

import assert from 'node:assert/strict'
import type { CheckedEvent, LogEvent } from '../hub/event.ts'
import type { Selection } from '../hub/selection.ts'
import { ALL } from './contract-events.ts'
import type { Engine, LogBounds, LogRange, ReadRequest, Seek } from './engine.ts'

/** How much one reading may answer. */
export type ReadLimits = Pick<ReadRequest, 'eventsMax' | 'bytesMax'>

/** Limits that no test reaches. */
export const AMPLE: ReadLimits = { eventsMax: 10_000, bytesMax: 10_000_000 }

const WAIT_MS = 10_000

/** A clock that stands still until it is set. */
export class TestClock {
  ms = 1_000_000
}

/** See the head of the file. */
export class OpenLog implements AsyncDisposable {
  /** What the tail was told, as it was told. */
  readonly ranges: LogRange[] = []
  readonly events: LogEvent[] = []
  readonly engine: Engine
  /** What `open` answered. */
  readonly opened: LogBounds

  private constructor(engine: Engine, opened: LogBounds) {
    this.engine = engine
    this.opened = { ...opened }
  }

  /** Opens an engine, and follows everything where it has to be asked, or nothing. No break of its tail is expected. */
  static async of(engine: Engine, follow: Selection | 'nothing' = ALL): Promise<OpenLog> {
    const early: LogRange[] = []
    let tell = (range: LogRange): void => void early.push(range)
    const breaks = { skip: refuseBreak, undo: refuseBreak }
    const log = new OpenLog(engine, await engine.open((range) => tell(range), breaks))
    tell = (range) => log.#told(range)
    for (const range of early) log.#told(range)
    if (follow !== 'nothing') await engine.following?.add(follow)
    return log
  }

  #told(range: LogRange): void {
    this.ranges.push(range)
    this.events.push(...range.events)
  }

  /** Where batches are not atomic, one event after the other, all under way at once. */
  async append(batch: readonly CheckedEvent[]): Promise<readonly string[]> {
    if (this.engine.capabilities.atomicBatch) return this.engine.append(batch)
    return (await Promise.all(batch.map(async (event) => this.engine.append([event])))).flat()
  }

  /** Waits for the tail: an engine may acknowledge before it tells. */
  async until(isSo: (events: readonly LogEvent[]) => boolean): Promise<void> {
    const endMs = performance.now() + WAIT_MS
    while (!isSo(this.events)) {
      assert.ok(performance.now() < endMs, `the tail told of ${this.events.length} events, and then of no more`)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }

  /** Pages through the log to its head, as a hub does; there must be no gap. */
  async readAll(from: number, selection: Selection, limits: ReadLimits = AMPLE): Promise<readonly LogEvent[]> {
    const all: LogEvent[] = []
    const { head } = this.engine.bounds()
    for (let after = from; after < head;) {
      const { events, to, gap } = await this.engine.read({ after, selection, ...limits })
      assert.equal(gap, undefined)
      assert.ok(events.length <= limits.eventsMax)
      assert.ok(to > after || events.length > 0, `a reading from ${after} came no further`)
      for (const { offset } of events)
        assert.ok(offset > after && offset <= to, `${offset} is not in (${after}, ${to}]`)
      all.push(...events)
      after = to
    }
    return all
  }

  async readFrom(seek: Seek, selection: Selection): Promise<readonly LogEvent[]> {
    return this.readAll(await this.engine.seek(seek, selection), selection)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine.close()
  }
}

function refuseBreak(to: number): void {
  throw new Error(`the tail broke, and goes on after ${to}`)
}
