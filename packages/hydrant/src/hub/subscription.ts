// In-process subscribers: `for await (const event of hub.subscribe('stocks/*'))`.
//
// A subscription is a cursor into the shared window, with the meaning of tokio's broadcast channels: publishing never
// waits for a slow receiver; one that falls more than `capacityEvents` behind is told how many it missed, and goes on
// with the oldest of those that it may still have. Locked by test/hub/subscription.test.ts.

import type { Gap } from 'hydrant-client/wire'
import type { Engine } from '../engine/engine.ts'
import type { LogEvent } from './event.ts'
import type { Feed } from './feed.ts'
import type { Selection } from './selection.ts'
import type { Window } from './window.ts'

/** An event, as programs see it. */
export interface HubEvent<Value = unknown> {
  readonly id: string
  readonly topic: string
  readonly type: string
  readonly key: string | undefined
  /** Milliseconds since 1970. */
  readonly timeMs: number
  /** Text, or the bytes that were published as bytes. */
  readonly data: string | Uint8Array
  /** The JSON of the data, as a value; the data itself where it is none. Parsed anew each time it is asked for. */
  readonly value: Value
  readonly gap?: undefined
}

/** Stands in the place of events that are missing. */
export interface GapNotice {
  /** The id to resume from. */
  readonly id: string
  readonly gap: Gap
}

/** What a subscription yields: `if (delivery.gap) …` tells the two apart. */
export type Delivery<Value = unknown> = HubEvent<Value> | GapNotice

/** What a subscription reads from. */
export interface SubscriptionSource {
  readonly engine: Engine
  /** The hub's window; valid once the start was found. */
  window(): Window
  /** The id of a position. */
  readonly idAt: (offset: number) => string
  /** Where everything selected has ended, if it has. */
  readonly endOf: (selection: Selection) => number | undefined
  /** Called once, when it ends. */
  ended(subscription: Subscription): void
}

/** Where it starts. */
export interface SubscriptionStart {
  readonly after: number
  readonly isHead: boolean
  /** Told before the first event. */
  readonly gap: Gap | undefined
}

const END: IteratorReturnResult<undefined> = { done: true, value: undefined }
const READ = { eventsMax: 256, bytesMax: 256 * 1024 } as const

/** A stream of deliveries. Ends when the hub closes, on `return()`, or when a `for await` is left. */
export class Subscription<Value = unknown> implements Feed, AsyncIterableIterator<Delivery<Value>, undefined> {
  readonly selection: Selection
  readonly #source: SubscriptionSource
  readonly #start: Promise<SubscriptionStart>
  readonly #capacity: number
  #cursor: number | undefined
  #notice: GapNotice | undefined
  /** Read from the engine, not yet given out; at most one reading. */
  #history: LogEvent[] = []
  /**
   * True at the head, at the start or once it was reached; from then on `#behind` counts what is offered and
   * not yet taken.
   */
  #live = false
  #behind = 0
  #ended = false
  #wake: (() => void) | undefined
  /** Calls of `next()` are answered one after the other, as an async generator does. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(source: SubscriptionSource, selection: Selection, start: Promise<SubscriptionStart>, capacity: number) {
    this.#source = source
    this.selection = selection
    this.#start = start
    this.#capacity = capacity
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

  /** The next event or gap; waits for it. */
  next(): Promise<IteratorResult<Delivery<Value>, undefined>> {
    const turn = this.#turn.then(() => this.#next())
    this.#turn = turn.catch(() => {}) // the caller of this turn is told; the next one starts afresh
    return turn
  }

  /** Ends it; a waiting `next()` resolves as done. */
  async return(): Promise<IteratorResult<Delivery<Value>, undefined>> {
    this.end()
    return END
  }

  /** @internal Ends it, once. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#source.ended(this)
    this.#wake?.()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end()
  }

  async #next(): Promise<IteratorResult<Delivery<Value>, undefined>> {
    if (this.#cursor === undefined) {
      const start = await this.#start
      this.#cursor = start.after
      if (start.gap !== undefined) this.#notice = { id: start.gap.to, gap: start.gap }
    }
    while (!this.#ended) {
      const delivery = await this.#take(this.#cursor)
      if (delivery !== undefined) return { done: false, value: delivery }
      if (this.#isOver()) this.end()
      else if (this.#isAtHead()) await new Promise<void>((resolve) => (this.#wake = resolve))
      this.#wake = undefined
    }
    return END
  }

  #found({ after, isHead }: SubscriptionStart): void {
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
      !this.#ended &&
      this.#notice === undefined &&
      this.#history.length === 0 &&
      this.#cursor === this.#source.window().head
    )
  }

  async #take(cursor: number): Promise<Delivery<Value> | undefined> {
    const notice = this.#notice
    if (notice !== undefined) {
      this.#notice = undefined
      return notice
    }
    if (this.#live && (this.#behind > this.#capacity || cursor < this.#source.window().floor)) return this.#skip(cursor)
    const event = this.#history.shift() ?? (await this.#read(cursor))
    if (event === undefined) return undefined
    this.#cursor = event.offset
    if (this.#live) this.#behind -= 1
    return holds<Value>(event) ? event : undefined
  }

  /** The fast path: the next event is in the window. */
  async #read(cursor: number): Promise<LogEvent | undefined> {
    const window = this.#source.window()
    if (cursor < window.floor) return this.#readHistory(cursor)
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
    const history = await this.#source.engine.read({ after: cursor, selection: this.selection, ...READ })
    this.#history = [...history.events]
    if (history.gap === undefined) {
      if (history.events.length === 0) this.#cursor = history.to
      return this.#history.shift()
    }
    this.#cursor = history.gap.to
    this.#notice = this.#gapNotice(cursor, history.gap.to, 'trimmed', history.gap.certain, history.gap.count)
    return undefined
  }

  /** The slow path: so far behind that events must be missed. Keeps the newest that it may have. */
  #skip(cursor: number): GapNotice | undefined {
    const window = this.#source.window()
    const from = Math.max(cursor, window.floor)
    let kept = 0
    window.read(from, this.selection, () => ((kept += 1), true), Number.MAX_SAFE_INTEGER)
    let skipped = Math.max(0, kept - this.#capacity)
    const missed = this.#behind - kept + skipped
    const to = window.read(from, this.selection, () => (skipped -= 1) >= 0, Number.MAX_SAFE_INTEGER)
    this.#behind -= missed
    this.#cursor = to
    if (missed === 0) return undefined // what left the window was not selected
    return this.#gapNotice(cursor, to, 'lagged', true, missed)
  }

  #gapNotice(from: number, to: number, reason: Gap['reason'], certain: boolean, count: number | undefined): GapNotice {
    const { idAt } = this.#source
    const gap: Gap = { from: idAt(from), to: idAt(to), reason, certain, ...(count === undefined ? {} : { count }) }
    return { id: gap.to, gap }
  }
}

/** The value of an event has the type of its topic's schema: it was held against that when it was published. */
function holds<Value>(event: LogEvent): event is LogEvent & HubEvent<Value> {
  return event.offset > 0
}
