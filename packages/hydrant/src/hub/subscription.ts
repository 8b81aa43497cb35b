// In-process subscribers: `for await (const event of hub.subscribe('stocks/*'))`.
//
// A subscription is a cursor into the shared window, with the meaning of tokio's broadcast channels: publishing never
// waits for a slow receiver; one that falls more than `capacityEvents` behind is told how many it missed, and goes on
// with the oldest of those that it may still have. Locked by test/hub/subscription.test.ts.
//
// One that begins with the state, or with a snapshot of the program's, has a position first; then that; then everything
// after the position. After a gap it begins anew, from a new position: what is missing is made good. Locked by
// test/hub/snapshot.test.ts.

import type { Gap, GapReason } from 'hydrant-client/wire'
import type { Engine, TrimmedGap } from '../engine/engine.ts'
import type { Delivery, GapNotice, HubEvent } from './delivery.ts'
import type { LogEvent } from './event.ts'
import type { Feed } from './feed.ts'
import { gapOf, newGap, resumeOffset, withId } from './gap.ts'
import type { Selection } from './selection.ts'
import { stateStart, type Start } from './start.ts'
import type { Window } from './window.ts'

/** What a subscription reads from. */
export interface SubscriptionSource {
  readonly engine: Engine
  /** The hub's window; valid once the start was found. */
  window(): Window
  /** Every selected event after this offset is in the window. */
  floorOf(selection: Selection): number
  /** How often events were undone. */
  undone(): number
  /** The gap of a cursor at or beyond `to`, when everything after `to` is undone. */
  undoneGap(selection: Selection, cursor: number, to: number): Gap | undefined
  /** The id of a position. */
  readonly idAt: (offset: number) => string
  /** Where everything selected has ended, if it has. */
  readonly endOf: (selection: Selection) => number | undefined
  /** Called once, when it ends. */
  ended(): void
}

/** What a subscription begins with, first and after each gap. */
export interface Beginning<Notice> {
  /** Whether the state as of the position is given out before the notice. */
  readonly hasState: boolean
  /** What comes last, before everything after the position. */
  notice(position: number, signal: AbortSignal): Notice | Promise<Notice>
}

/** What a subscription is made of. */
export interface SubscriptionParts<Notice> {
  readonly source: SubscriptionSource
  readonly selection: Selection
  readonly start: Promise<Start>
  /** How many events it may fall behind. */
  readonly capacity: number
  /** Undefined for one that is a stream and nothing else. */
  readonly beginning: Beginning<Notice> | undefined
}

const END: IteratorReturnResult<undefined> = { done: true, value: undefined }
const READ = { eventsMax: 256, bytesMax: 256 * 1024 } as const

/**
 * A stream of deliveries, and of notices where it begins with more than the stream. Ends when the hub closes, on
 * `return()`, or when a `for await` is left.
 */
export class Subscription<Value = unknown, Notice = never>
  implements Feed, AsyncIterableIterator<Delivery<Value> | Notice, undefined>
{
  readonly selection: Selection
  readonly #source: SubscriptionSource
  readonly #start: Promise<Start>
  readonly #capacity: number
  readonly #beginning: Beginning<Notice> | undefined
  #cursor: number | undefined
  /** The position, while what it begins with is not given out. */
  #stateTo: number | undefined
  /** Up to here what is gone was declared, or was gone before it came; the cursor may stand before it. */
  #goneTo = 0
  #notice: GapNotice | undefined
  /** Told next: what it was given was undone. */
  #undone: Gap | undefined
  /** Read from the engine, not yet given out; at most one reading. */
  #history: LogEvent[] = []
  /**
   * True at the head, at the start or once it was reached; from then on `#behind` counts what is offered and
   * not yet taken.
   */
  #live = false
  #behind = 0
  readonly #ended = new AbortController()
  #wake: (() => void) | undefined
  /** Calls of `next()` are answered one after the other, as an async generator does. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor({ source, selection, start, capacity, beginning }: SubscriptionParts<Notice>) {
    this.#source = source
    this.selection = selection
    this.#start = start
    this.#capacity = capacity
    this.#beginning = beginning
    start.then(
      (found) => this.#found(found),
      () => this.end(), // told to whoever calls next()
    )
  }

  /** @internal The hub tells of a new event. */
  offer(): void {
    if (this.#live) this.#behind += 1
    this.#wake?.()
  }

  /** @internal What it was not offered is to be read: nothing of it is missed. */
  skip(): void {
    this.#live = false
    this.#behind = 0
    this.#wake?.()
  }

  /** @internal Everything after `to` was undone: it is told, if it was given any of it, or would have been next. */
  undo(to: number): void {
    this.skip()
    this.#history = this.#history.filter((event) => event.offset <= to)
    const cursor = this.#cursor ?? 0
    this.#goneTo = Math.min(this.#goneTo, to)
    if (this.#stateTo !== undefined && this.#stateTo > to) this.#stateTo = to
    if (cursor < to) return
    const gap = this.#source.undoneGap(this.selection, cursor, to)
    if (gap !== undefined) this.#undone = { ...gap, from: this.#undone?.from ?? gap.from }
    this.#cursor = to
  }

  /** The next event or gap; waits for it. */
  next(): Promise<IteratorResult<Delivery<Value> | Notice, undefined>> {
    const turn = this.#turn.then(() => this.#next())
    this.#turn = turn.catch(() => {}) // the caller of this turn is told; the next one starts afresh
    return turn
  }

  /** Ends it; a waiting `next()` resolves as done. */
  async return(): Promise<IteratorResult<Delivery<Value> | Notice, undefined>> {
    this.end()
    return END
  }

  /** @internal Ends it, once. */
  end(): void {
    if (this.#isEnded) return
    this.#ended.abort()
    this.#source.ended()
    this.#wake?.()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end()
  }

  get #isEnded(): boolean {
    return this.#ended.signal.aborted
  }

  async #next(): Promise<IteratorResult<Delivery<Value> | Notice, undefined>> {
    if (this.#cursor === undefined) this.#begin(await this.#start)
    while (!this.#isEnded) {
      const delivery = await this.#take(this.#cursor ?? 0)
      if (delivery !== undefined) return { done: false, value: delivery }
      if (this.#isOver()) this.end()
      else if (this.#isAtHead()) await new Promise<void>((resolve) => (this.#wake = resolve))
      this.#wake = undefined
    }
    return END
  }

  #begin({ after, gap, goneTo, stateTo }: Omit<Start, 'isHead' | 'resumed'>): void {
    this.#cursor = after
    this.#goneTo = goneTo
    this.#stateTo = stateTo
    if (gap !== undefined) this.#notice = { id: gap.id ?? gap.to, gap }
  }

  #found({ after, isHead }: Start): void {
    if (isHead) this.#goLive(after)
  }

  /** From here on it is the receiver's fault if it falls behind. */
  #goLive(after: number): void {
    if (after < this.#source.window().floor) return // already beyond the window: the engine judges what is gone
    this.#live = true
    this.#behind = 0
    this.#source.window().read(after, this.selection, () => ((this.#behind += 1), true), Number.MAX_SAFE_INTEGER)
  }

  /** Everything selected has ended, and was given out. */
  #isOver(): boolean {
    return this.#isAtHead() && this.#source.endOf(this.selection) !== undefined
  }

  #isAtHead(): boolean {
    return (
      !this.#isEnded &&
      this.#notice === undefined &&
      this.#undone === undefined &&
      this.#stateTo === undefined &&
      this.#history.length === 0 &&
      this.#cursor === this.#source.window().head
    )
  }

  async #take(cursor: number): Promise<Delivery<Value> | Notice | undefined> {
    const notice = this.#notice
    if (notice !== undefined) {
      this.#notice = undefined
      return notice
    }
    const undone = this.#undone
    if (undone !== undefined) {
      this.#undone = undefined
      await this.#goOn(undone, { after: cursor, goneTo: this.#goneTo })
      return undefined
    }
    if (this.#stateTo !== undefined) return this.#takeBeginning(cursor, this.#stateTo)
    if (this.#live && (this.#behind > this.#capacity || cursor < this.#source.window().floor)) {
      await this.#skip(cursor)
      return undefined
    }
    const event = this.#history.shift() ?? (await this.#read(cursor))
    if (event === undefined) return undefined
    if (this.#live) this.#behind -= 1
    return this.#give(event)
  }

  #give(event: LogEvent): HubEvent<Value> | undefined {
    this.#cursor = event.offset
    return holds<Value>(event) ? event : undefined
  }

  async #takeBeginning(cursor: number, position: number): Promise<HubEvent<Value> | Notice | undefined> {
    const beginning = this.#beginning
    if (beginning?.hasState === true) {
      const event = this.#history.shift() ?? (await this.#readState(cursor, position))
      if (event !== undefined) return this.#give(event)
      if (this.#cursor !== position || this.#notice !== undefined) return undefined
    }
    const notice = await this.#untilEnded(beginning?.notice(position, this.#ended.signal))
    this.#cursor = position
    this.#stateTo = undefined
    return notice
  }

  /** Waits for the program's loader; undefined when the subscription ends first. Its error ends the subscription. */
  async #untilEnded<Loaded>(loading: Loaded | Promise<Loaded>): Promise<Loaded | undefined> {
    const { signal } = this.#ended
    const ended = Promise.withResolvers<undefined>()
    const onEnd = (): void => ended.resolve(undefined)
    signal.addEventListener('abort', onEnd)
    try {
      const loaded = await Promise.race([loading, ended.promise])
      return signal.aborted ? undefined : loaded
    } catch (error) {
      if (signal.aborted) return undefined
      this.end()
      throw error
    } finally {
      signal.removeEventListener('abort', onEnd)
    }
  }

  /** A part of the state. Where some of it went before it was given out, it begins anew. */
  async #readState(cursor: number, position: number): Promise<LogEvent | undefined> {
    if (cursor >= position) {
      this.#cursor = position
      return undefined
    }
    const { engine } = this.#source
    const undone = this.#source.undone()
    const request = { after: cursor, selection: this.selection, ...READ }
    const state = await engine.state({ ...request, to: position })
    const missed =
      cursor < this.#source.floorOf(this.selection) ? await engine.read({ ...request, latest: true }) : undefined
    if (undone !== this.#source.undone()) return undefined // what was read may be no part of the log any more
    const gap = missed === undefined ? undefined : newGap(missed, this.#goneTo)
    if (gap !== undefined) {
      await this.#tell(gap, cursor, 'trimmed', cursor)
      return undefined
    }
    this.#history = [...state.events]
    if (state.events.length === 0) this.#cursor = state.to
    return this.#history.shift()
  }

  /** The fast path: the next event is in the window. */
  async #read(cursor: number): Promise<LogEvent | undefined> {
    const window = this.#source.window()
    if (cursor < this.#source.floorOf(this.selection)) return this.#readHistory(cursor)
    let next: LogEvent | undefined
    const to = window.read(
      cursor,
      this.selection,
      (event) => next === undefined && ((next = event), true),
      READ.eventsMax,
    )
    if (next === undefined) {
      this.#cursor = to
      if (to === window.head && !this.#live) this.#goLive(to)
    }
    return next
  }

  async #readHistory(cursor: number): Promise<LogEvent | undefined> {
    const undone = this.#source.undone()
    const history = await this.#source.engine.read({ after: cursor, selection: this.selection, ...READ })
    if (undone !== this.#source.undone()) return undefined
    const gap = newGap(history, this.#goneTo)
    if (gap !== undefined) await this.#tell(gap, cursor, 'trimmed', resumeOffset(gap, history))
    if (this.#stateTo !== undefined) return undefined // it begins anew
    this.#history = [...history.events]
    if (history.events.length === 0) this.#cursor = history.to
    return gap === undefined ? this.#history.shift() : undefined
  }

  /** The slow path: so far behind that events must be missed. Keeps the newest that it may have. */
  async #skip(cursor: number): Promise<void> {
    const window = this.#source.window()
    const from = Math.max(cursor, window.floor)
    let kept = 0
    window.read(from, this.selection, () => ((kept += 1), true), Number.MAX_SAFE_INTEGER)
    let skipped = Math.max(0, kept - this.#capacity)
    const missed = this.#behind - kept + skipped
    const to = window.read(from, this.selection, () => (skipped -= 1) >= 0, Number.MAX_SAFE_INTEGER)
    this.#behind -= missed
    this.#cursor = to
    // What left the window may not have been selected.
    if (missed > 0) await this.#tell({ to, certain: true, count: missed }, cursor, 'lagged', to)
  }

  /** Declares what is gone after a cursor; the stream goes on at another offset, or begins anew. */
  async #tell(gap: TrimmedGap, cursor: number, reason: GapReason, at: number): Promise<void> {
    await this.#goOn(gapOf(gap, cursor, reason, this.#source.idAt), { after: at, goneTo: gap.to })
  }

  async #goOn(gap: Gap, to: { readonly after: number; readonly goneTo: number }): Promise<void> {
    const { engine, idAt } = this.#source
    if (this.#beginning === undefined) return this.#begin({ ...to, gap: withId(gap, idAt(to.after)) })
    const { count: _, ...told } = gap // the state stands for more than is gone
    this.#live = false
    this.#history = []
    this.#begin(await stateStart(engine, this.selection, told))
  }
}

/** The value of an event has the type of its topic's schema: it was held against that when it was published. */
function holds<Value>(event: LogEvent): event is LogEvent & HubEvent<Value> {
  return event.offset > 0
}
