// Holds an engine to its word: follows everything, applies what the tail breaks, and says what must be true in the end.
//
//   what the tail brought, less what it undid, plus what is read where it skipped   is the log, event by event
//   what append acknowledged                                                        is in the log, or was declared lost

import assert from 'node:assert/strict'
import { parseId } from 'hydrant-client/wire'
import type { Engine, LogBounds, TrimmedGap } from '../../src/engine/engine.ts'
import { HydrantError } from '../../src/hub/errors.ts'
import type { LogEvent } from '../../src/hub/event.ts'
import { Selection } from '../../src/hub/selection.ts'

const ALL = Selection.of(['**'], undefined, 100)
const PAGE = { eventsMax: 1_000, bytesMax: 1_000_000 }

/** See the head of the file. */
export class NatsFollower {
  readonly engine: Engine
  /** What the tail brought and did not undo, in its order. */
  events: LogEvent[] = []
  /** What it brought and undid. */
  readonly undone: LogEvent[] = []
  /** Places after which everything was undone, in the order in which it was. */
  readonly undos: number[] = []
  /** What the tail did not bring: after one place, up to another. */
  readonly skips: { readonly after: number; readonly to: number }[] = []
  /** What was declared gone when skips were read. */
  readonly gaps: (TrimmedGap & { readonly after: number })[] = []
  /** Data of acknowledged events, by id. */
  readonly acknowledged: Map<string, string> = new Map()
  /** How many appends were refused as unavailable. */
  refused = 0
  readonly #followed: Selection | 'nothing'
  #to = 0

  /** Follows everything, or what it is told to. */
  constructor(engine: Engine, followed: Selection | 'nothing' = ALL) {
    this.engine = engine
    this.#followed = followed
  }

  async open(): Promise<LogBounds> {
    const bounds = await this.engine.open(({ events, to }) => this.#take(events, to), {
      skip: (to) => this.#skip(to),
      undo: (to) => this.#undo(to),
    })
    this.#to = Math.max(this.#to, bounds.head)
    if (this.#followed !== 'nothing') await this.engine.following?.add(this.#followed)
    return bounds
  }

  /** Appends; what is unavailable is counted, everything else is an error. */
  async append(topic: string, data: string): Promise<string | undefined> {
    try {
      const [id = ''] = await this.engine.append([{ topic, type: 'message', key: undefined, data }])
      this.acknowledged.set(id, data)
      return id
    } catch (error) {
      if (!(error instanceof HydrantError) || error.code !== 'unavailable') throw error
      this.refused += 1
      return undefined
    }
  }

  /** What is in the log now, from its floor on. */
  async log(): Promise<readonly LogEvent[]> {
    return this.#read(await this.engine.seek({ earliest: true }, ALL), this.engine.bounds().head)
  }

  /** Reads where the tail skipped, as a hub does. */
  async heal(): Promise<void> {
    for (const { after, to } of this.skips.splice(0)) {
      this.events.push(...(await this.#read(after, to)))
      this.events.sort((one, other) => one.offset - other.offset)
    }
  }

  /** The first two promises at the head of the file. */
  async check(): Promise<void> {
    await this.heal()
    const log = await this.log()
    const floor = this.engine.bounds().floor
    const first = this.events[0]?.offset ?? Infinity
    assert.deepEqual(
      this.events.filter(({ offset }) => offset > floor).map(lineOf),
      log.filter(({ offset }) => offset >= first).map(lineOf),
    )
    const kept = new Map(log.map((event) => [event.id, event.data]))
    for (const [id, data] of this.acknowledged) {
      if (kept.get(id) === data) continue
      const offset = parseId(id)?.offset ?? Number.NaN
      const isUndone = this.undos.some((to) => offset > to)
      const isGone = offset <= floor || this.gaps.some((gap) => offset > gap.after && offset <= gap.to)
      assert.ok(isUndone || isGone, `${id} (${data}) was acknowledged, and is lost without a word`)
    }
  }

  #take(events: readonly LogEvent[], to: number): void {
    assert.ok(to >= this.#to, `the tail goes back from ${this.#to} to ${to}`)
    for (const event of events) {
      assert.ok(event.offset > this.#to && event.offset <= to, `${event.offset} is not in (${this.#to}, ${to}]`)
      this.#to = event.offset
      this.events.push(event)
    }
    this.#to = to
  }

  #skip(to: number): void {
    assert.ok(to >= this.#to, `skips from ${this.#to} back to ${to}`)
    this.skips.push({ after: this.#to, to })
    this.#to = to
  }

  #undo(to: number): void {
    assert.ok(to <= this.#to, `undoes ${to}, but came only to ${this.#to}`)
    this.undone.push(...this.events.filter(({ offset }) => offset > to))
    this.events = this.events.filter(({ offset }) => offset <= to)
    this.undos.push(to)
    this.#to = to
  }

  async #read(from: number, to: number): Promise<readonly LogEvent[]> {
    const all: LogEvent[] = []
    for (let after = from; after < to;) {
      const history = await this.engine.read({ after, selection: ALL, ...PAGE })
      if (history.gap !== undefined) this.gaps.push({ ...history.gap, after })
      all.push(...history.events.filter(({ offset }) => offset <= to))
      after = history.to
    }
    return all
  }
}

function lineOf({ id, topic, data }: LogEvent): string {
  return `${id} ${topic} ${String(data)}`
}
