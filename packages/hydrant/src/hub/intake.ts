// The intake: what the engine's tail brings goes into the window, and from there to the feeds.
//
// A tail simply goes on, but for logs that live elsewhere: there it may skip what it could not bring, and take back
// what another writer never had. Both are said to the feeds here, in one place, in the order in which the engine says
// them.

import type { Gap } from 'hydrant-client/wire'
import type { Engine, LogRange } from '../engine/engine.ts'
import type { Clock } from './clock.ts'
import type { Counters } from './counters.ts'
import { HydrantError } from './errors.ts'
import type { Feed } from './feed.ts'
import { Interests } from './interests.ts'
import type { Limits } from './limits.ts'
import { Router } from './router.ts'
import type { Selection } from './selection.ts'
import { contentBytes, Window } from './window.ts'

/** What an intake is made of. */
export interface IntakeParts {
  readonly engine: Engine
  readonly clock: Clock
  readonly limits: Limits
  readonly counters: Counters
}

/** See the head of the file. */
export class Intake {
  readonly #engine: Engine
  readonly #limits: Limits
  readonly #counters: Counters
  readonly #router = new Router()
  readonly #interests: Interests | undefined
  readonly #onUndo: ((to: number) => void)[] = []
  #window: Window | undefined
  #undone = 0

  constructor({ engine, clock, limits, counters }: IntakeParts) {
    this.#engine = engine
    this.#limits = limits
    this.#counters = counters
    this.#interests = engine.following === undefined ? undefined : new Interests(engine.following, clock)
  }

  /** Opens the engine, and takes in what its tail brings from then on. */
  async open(): Promise<void> {
    const { head } = await this.#engine.open((range) => this.#receive(range), {
      skip: (to) => this.#skip(to),
      undo: (to) => this.#undo(to),
    })
    this.#window = this.#engine.window ?? new Window({ bytesMax: contentBytes(this.#limits.windowBytes), after: head })
  }

  /** The newest part of the log, undefined until it is open. */
  get window(): Window | undefined {
    return this.#window
  }

  /** How often events were undone: what was read from the engine before that may be no part of the log any more. */
  get undone(): number {
    return this.#undone
  }

  /** Every selected event after this offset is in the window. */
  floorOf(selection: Selection): number {
    const window = this.#open()
    return this.#interests === undefined ? window.floor : Math.max(window.floor, this.#interests.from(selection))
  }

  /** Resolves when the tail brings what is selected; what gets its feed soon after misses nothing. */
  async follow(selection: Selection): Promise<void> {
    await this.#interests?.lease(selection)
  }

  /** Offers new events to a feed, from now on. */
  addFeed(feed: Feed): void {
    this.#interests?.add(feed.selection)
    this.#router.add(feed)
  }

  /** Stops. */
  removeFeed(feed: Feed): void {
    this.#router.remove(feed)
    this.#interests?.remove(feed.selection)
  }

  /** Someone who must hear of undone events while their ids are still known. */
  onUndo(listener: (to: number) => void): void {
    this.#onUndo.push(listener)
  }

  /**
   * The gap of a cursor at or beyond `to`, when everything after `to` is undone: undefined when the window knows that
   * nothing was among that which is selected and at or before the cursor. To be asked while it is undone.
   */
  undoneGap(selection: Selection, cursor: number, to: number): Gap | undefined {
    const { epochs } = this.#engine.bounds()
    const certain = this.floorOf(selection) <= to
    const first = certain ? this.#firstAfter(to, selection) : undefined
    if (certain && (first === undefined || first > cursor)) return undefined
    const from = epochs.idAt(Math.min(cursor, this.#open().head))
    return { from, to: epochs.idAt(to), reason: 'epoch', certain }
  }

  /** Takes nothing in any more. */
  close(): void {
    this.#interests?.close()
  }

  #open(): Window {
    if (this.#window === undefined) throw new HydrantError('unavailable', 'The log is not open yet.')
    return this.#window
  }

  #receive({ events, to }: LogRange): void {
    const window = this.#open()
    if (this.#engine.window === undefined) {
      for (const event of events) window.append(event)
      window.advance(to)
    }
    for (const event of events) {
      this.#counters.published += 1
      this.#counters.publishedBytes += event.data.length
      this.#router.offer(event)
    }
  }

  #skip(to: number): void {
    this.#open().restart(to)
    for (const feed of this.#router.feeds()) feed.skip()
  }

  #undo(to: number): void {
    const window = this.#open()
    if (to >= window.head) return
    this.#undone += 1
    for (const listener of this.#onUndo) listener(to)
    for (const feed of this.#router.feeds()) feed.undo(to)
    window.undo(to)
  }

  #firstAfter(offset: number, selection: Selection): number | undefined {
    let first: number | undefined
    this.#open().read(
      offset,
      selection,
      (event) => {
        first ??= event.offset
        return false
      },
      Infinity,
    )
    return first
  }
}
