// One engine, followed as a hub does: what its tail brings is kept, what is undone is taken out, what is skipped is
// read.

import assert from 'node:assert/strict'
import type { Engine, History, LogRange, TrimmedGap } from '../../src/engine/engine.ts'
import type { LogEvent } from '../../src/hub/event.ts'
import { Selection } from '../../src/hub/selection.ts'

const ALL = Selection.of(['**'], undefined, 100)
const PAGE = { eventsMax: 1_000, bytesMax: 10_000_000 }

/** A break of the tail. */
interface Break {
  readonly kind: 'skip' | 'undo'
  readonly from: number
  readonly to: number
}

/** See the head of the file. */
export class EngineFollower implements AsyncDisposable {
  readonly engine: Engine
  readonly selection: Selection
  /** What is part of the log, in its order, as far as the tail brought it. */
  events: LogEvent[] = []
  /** What the tail brought, and undid. */
  readonly undone: LogEvent[] = []
  readonly breaks: Break[] = []
  head = 0
  #start = 0

  private constructor(engine: Engine, selection: Selection) {
    this.engine = engine
    this.selection = selection
  }

  /** Opens an engine, and follows. */
  static async open(engine: Engine, selection: Selection = ALL): Promise<EngineFollower> {
    const follower = new EngineFollower(engine, selection)
    const { head } = await engine.open((range) => follower.#take(range), {
      skip: (to) => follower.#skip(to),
      undo: (to) => follower.#undo(to),
    })
    await engine.following?.add(selection)
    follower.head = Math.max(head, follower.head)
    follower.#start = head
    return follower
  }

  /** Whether the tail has come to where another one is, in the same epoch. */
  isAt(other: EngineFollower): boolean {
    const [one, two] = [this, other].map(({ engine }) => engine.bounds())
    return one !== undefined && two !== undefined && one.epochs.idAt(one.head) === two.epochs.idAt(two.head)
  }

  /** Everything that is in the log by its history, page for page, and the gaps that are declared. */
  async history(after = 0): Promise<{ readonly events: readonly LogEvent[]; readonly gaps: readonly TrimmedGap[] }> {
    const events: LogEvent[] = []
    const gaps: TrimmedGap[] = []
    for (let at = after; at < this.engine.bounds().head;) {
      const page: History = await this.engine.read({ after: at, selection: this.selection, ...PAGE })
      const known = gaps.at(-1)?.to ?? 0
      if (page.gap !== undefined && page.gap.to > known) gaps.push(page.gap)
      assert.ok(page.to > at, `a reading from ${at} came no further`)
      events.push(...page.events)
      at = page.to
    }
    return { events, gaps }
  }

  /** What the tail brought must be what the history has, where nothing was skipped. */
  async checkAgainstHistory(): Promise<void> {
    const { events, gaps } = await this.history(this.#start)
    assert.deepEqual(gaps, [])
    const wasSkipped = (offset: number): boolean =>
      this.breaks.some(({ kind, from, to }) => kind === 'skip' && offset > from && offset <= to)
    assert.deepEqual(
      this.events.map(({ id }) => id),
      events.filter(({ offset }) => !wasSkipped(offset)).map(({ id }) => id),
    )
  }

  #take({ events, to }: LogRange): void {
    let last = this.head
    for (const event of events) {
      assert.ok(event.offset > last && event.offset <= to, `${event.id} is not in (${last}, ${to}]`)
      last = event.offset
      if (this.selection.matches(event.topic, event.type)) this.events.push(event)
    }
    assert.ok(to >= this.head, `the tail went back from ${this.head} to ${to}`)
    this.head = to
  }

  #skip(to: number): void {
    assert.ok(to >= this.head, `the tail skips back from ${this.head} to ${to}`)
    this.breaks.push({ kind: 'skip', from: this.head, to })
    this.head = to
  }

  #undo(to: number): void {
    assert.ok(to < this.head, `what is undone after ${to} was never brought: the tail is at ${this.head}`)
    this.breaks.push({ kind: 'undo', from: this.head, to })
    this.undone.push(...this.events.filter(({ offset }) => offset > to))
    this.events = this.events.filter(({ offset }) => offset <= to)
    this.head = to
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine.close()
  }
}
