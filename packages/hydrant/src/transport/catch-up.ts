// Catching up: subscribers that are not at the head read for themselves, a slice at a turn, from their own cursor.
//
//   cursor before the window's floor:  engine.read (asynchronous; it alone can judge what is gone)
//   cursor in the window:              joined from the same encodings that live subscribers get
//   cursor at the head:                back to the live, with nothing in between
//
// Whoever resumed and whoever lagged are the same thing here, but for one: what a newcomer misses was trimmed before it
// came, and is told as such; what a connected one misses is lag, and its policy decides.

import type { Gap } from 'hydrant-client/wire'
import type { History, TrimmedGap } from '../engine/engine.ts'
import type { EndReason } from '../hub/counters.ts'
import { HydrantError } from '../hub/errors.ts'
import { gapOf, newGap, resumeOffset, withId } from '../hub/gap.ts'
import type { Hub } from '../hub/hub.ts'
import { decideLag, isConflated, isPositionDue } from '../hub/lag.ts'
import type { Connection } from './connection.ts'
import { encodeElsewhere, encodePast } from './format.ts'
import { join, Payload } from './payload.ts'
import { Slices } from './slices.ts'
import type { Subscriber } from './subscriber.ts'

/** Slices in one turn: each at most `flushBytesMax`, so that live subscribers wait for no more than a few. */
const SLICES_PER_TURN = 8
/** Readings of the engine under way at once: each holds at most `flushBytesMax` of events. */
const READINGS_MAX = 8
/** How long those rest that need the log while it cannot be reached. */
const REST_MS = 500
/** Events in one reading of the engine. */
const READ_EVENTS_MAX = 1_000

/** What catching up needs of the pump. */
export interface CatchUpSink {
  /** Sends a payload to one subscriber, and moves its cursor. */
  write(subscriber: Subscriber, payload: Payload): void
  /** The subscriber is at the head. */
  arrive(subscriber: Subscriber): void
  disconnect(connection: Connection, reason: EndReason): void
  /** There is work for a turn. */
  schedule(): void
}

/** See the head of the file. */
export class CatchUp {
  readonly #hub: Hub
  readonly #sink: CatchUpSink
  /** First come first served; whoever is not at the head after its slice goes to the end. */
  readonly #behind = new Set<Subscriber>()
  /** Those that need the engine while it has as many readings as it may. */
  readonly #waiting = new Set<Subscriber>()
  readonly #slices: Slices
  #readings = 0
  /** Those whose reading failed, for the log cannot be reached at the moment. */
  readonly #resting = new Set<Subscriber>()
  #wakeResting: (() => void) | undefined

  constructor(hub: Hub, sink: CatchUpSink) {
    this.#hub = hub
    this.#sink = sink
    this.#slices = new Slices(hub)
    hub.onUndo(() => this.#slices.clear())
  }

  /** Whether a turn would get something done. */
  get hasWork(): boolean {
    return this.#behind.size > 0
  }

  /** Whether anybody is on its way to the head. */
  get isBusy(): boolean {
    return this.#behind.size > 0 || this.#readings > 0
  }

  /** Queues a subscriber whose state is `behind`. */
  add(subscriber: Subscriber): void {
    this.#behind.add(subscriber)
  }

  /** Takes one out again. */
  delete(subscriber: Subscriber): void {
    this.#behind.delete(subscriber)
    this.#waiting.delete(subscriber)
    this.#resting.delete(subscriber)
  }

  /** Takes all out. */
  clear(): void {
    this.#behind.clear()
    this.#waiting.clear()
    this.#resting.clear()
    this.#wakeResting?.()
  }

  /** Gives the next few their slice. */
  turn(): void {
    let budget = SLICES_PER_TURN
    for (const subscriber of this.#behind) {
      if (budget === 0) return
      this.#behind.delete(subscriber)
      const isCold = this.#isCold(subscriber) || subscriber.stateTo !== undefined
      if (isCold && this.#readings === READINGS_MAX) {
        this.#waiting.add(subscriber)
        continue
      }
      budget -= 1
      if (subscriber.undone !== undefined) this.#tellUndone(subscriber, subscriber.undone)
      else if (subscriber.stateTo !== undefined) void this.#readState(subscriber, subscriber.stateTo)
      else if (isCold) void this.#readHistory(subscriber)
      else this.#readWindow(subscriber)
    }
    if (this.#behind.size === 0) this.#slices.clear()
  }

  /**
   * Declares a gap and moves the cursor to where the stream goes on; a connection that cannot be told ends. Answers
   * whether it was told.
   */
  tell(subscriber: Subscriber, gap: Gap, at: number): boolean {
    this.#hub.counters.gaps += 1
    const bytes = subscriber.broadcast.format.gap(withId(gap, this.#hub.idAt(at)))
    if (bytes === undefined) this.#sink.disconnect(subscriber.connection, 'gap')
    else this.#sink.write(subscriber, new Payload(bytes, at, 0))
    return bytes !== undefined
  }

  #isCold({ cursor, broadcast }: Subscriber): boolean {
    return cursor < this.#hub.floorOf(broadcast.selection)
  }

  /** What it saw is no part of the log any more; it goes on from where the log does. */
  #tellUndone(subscriber: Subscriber, gap: Gap): void {
    subscriber.undone = undefined
    if (this.tell(subscriber, gap, subscriber.cursor)) this.#next(subscriber)
  }

  #readWindow(subscriber: Subscriber): void {
    const { window } = this.#hub
    const payload = this.#slices.read(subscriber)
    if (payload.events > 0) this.#sink.write(subscriber, payload)
    else if (payload.to === window.head) this.#namePosition(subscriber, payload.to)
    else subscriber.cursor = payload.to
    this.#next(subscriber)
  }

  #next(subscriber: Subscriber): void {
    if (subscriber.state !== 'behind') return
    if (subscriber.stateTo === undefined && subscriber.cursor === this.#hub.window.head) this.#sink.arrive(subscriber)
    else this.#behind.add(subscriber)
  }

  /** Nothing was missed, but the client's id may be old: a fresher one spares it a gap later. */
  #namePosition(subscriber: Subscriber, head: number): void {
    const isDue = isPositionDue(subscriber.cursor, this.#hub.window.floor, head)
    const position = isDue ? subscriber.broadcast.format.position(this.#hub.idAt(head)) : undefined
    if (position === undefined) subscriber.cursor = head
    else this.#sink.write(subscriber, new Payload(position, head, 0))
  }

  async #readHistory(subscriber: Subscriber): Promise<void> {
    const { cursor: after, broadcast, lag } = subscriber
    const request = { ...this.#bounds(), after, selection: broadcast.selection, latest: lag === 'latest' }
    await this.#reading(subscriber, async () => {
      const { undone } = this.#hub
      const history = await this.#hub.engine.read(request)
      if (this.#isUndone(subscriber, undone)) return
      // It may have stalled and drained meanwhile; then another reading is under way from the same cursor.
      if (subscriber.state !== 'reading' || subscriber.cursor !== after) return
      subscriber.state = 'behind'
      if (this.#passGap(subscriber, history)) this.#writeHistory(subscriber, history)
    })
  }

  /**
   * One slice of the state; after the last one, the sign that what follows is live. What was trimmed while the first
   * slices were sent is a gap, unless something newer stands for it; the state goes on from where it was, for of other
   * topics more may be retained.
   */
  async #readState(subscriber: Subscriber, to: number): Promise<void> {
    const { cursor: after, broadcast } = subscriber
    const request = { ...this.#bounds(), after, to, selection: broadcast.selection }
    await this.#reading(subscriber, async () => {
      const { undone } = this.#hub
      const state = after >= to ? undefined : await this.#hub.engine.state(request)
      // A log with a retention of its own may have let go of what the window still has.
      const isCut = this.#hub.engine.window === undefined || this.#isCold(subscriber)
      const missed = isCut ? await this.#hub.engine.read({ ...request, latest: true }) : undefined
      if (this.#isUndone(subscriber, undone)) return
      if (subscriber.state !== 'reading' || subscriber.cursor !== after) return
      subscriber.state = 'behind'
      const gap = missed === undefined ? undefined : newGap(missed, subscriber.goneTo)
      if (gap !== undefined) {
        if (this.#declare(subscriber, gap, 'trimmed', after)) this.#next(subscriber)
      } else if (state === undefined) this.#endState(subscriber, to)
      else this.#writeHistory(subscriber, { ...state, gap: undefined })
    })
  }

  #endState(subscriber: Subscriber, to: number): void {
    const live = subscriber.broadcast.format.live(this.#hub.idAt(to))
    subscriber.stateTo = undefined
    subscriber.isFresh = false
    subscriber.cursor = to
    if (live !== undefined) this.#sink.write(subscriber, new Payload(live, to, 0))
    this.#next(subscriber)
  }

  #bounds(): { readonly eventsMax: number; readonly bytesMax: number } {
    return { eventsMax: READ_EVENTS_MAX, bytesMax: this.#hub.limits.flushBytesMax }
  }

  /** Reads from the engine, bounded in number; whoever waits for a place is next. */
  async #reading(subscriber: Subscriber, read: () => Promise<void>): Promise<void> {
    subscriber.state = 'reading'
    this.#readings += 1
    try {
      await read()
    } catch (error) {
      if (error instanceof HydrantError && error.code === 'unavailable') this.#rest(subscriber)
      else {
        this.#hub.report(error)
        this.#sink.disconnect(subscriber.connection, 'internal-error')
      }
    } finally {
      this.#readings -= 1
      const [next] = this.#waiting
      if (next !== undefined) {
        this.#waiting.delete(next)
        this.#behind.add(next)
      }
      this.#sink.schedule()
    }
  }

  /** The log cannot be reached: its stream stays open, and asks again in a while. */
  #rest(subscriber: Subscriber): void {
    if (subscriber.state !== 'reading') return
    subscriber.state = 'behind'
    this.#resting.add(subscriber)
    this.#wakeResting ??= this.#hub.clock.after(REST_MS, () => {
      this.#wakeResting = undefined
      for (const one of this.#resting) this.#behind.add(one)
      this.#resting.clear()
      this.#sink.schedule()
    })
  }

  /**
   * Whether what was read is of a log that has since lost events: then it is read again.
   */
  #isUndone(subscriber: Subscriber, undone: number): boolean {
    if (undone === this.#hub.undone) return false
    if (subscriber.state === 'reading') {
      subscriber.state = 'behind'
      this.#behind.add(subscriber)
    }
    return true
  }

  /** Declares what is gone. Answers whether what the engine read after it is still wanted. */
  #passGap(subscriber: Subscriber, history: History): boolean {
    const gap = newGap(history, subscriber.goneTo)
    if (gap === undefined) return true
    const at = resumeOffset(gap, history)
    if (subscriber.isFresh) return this.#declare(subscriber, gap, 'trimmed', at)
    const decision = decideLag({ policy: subscriber.lag, lost: true })
    if (decision === 'disconnect') {
      this.#sink.disconnect(subscriber.connection, 'lagged')
      return false
    }
    if (decision === 'latest') return this.#declare(subscriber, gap, 'lagged', at)
    const to = this.#hub.window.head
    this.#declare(subscriber, { to, certain: gap.certain, count: undefined }, 'lagged', to)
    this.#next(subscriber)
    return false
  }

  /** Tells of what is gone after the cursor; `at`: where the stream goes on. Answers whether it was told. */
  #declare(subscriber: Subscriber, gap: TrimmedGap, reason: Gap['reason'], at: number): boolean {
    const told = gapOf(gap, subscriber.cursor, reason, (offset) => this.#hub.idAt(offset))
    subscriber.goneTo = gap.to
    return this.tell(subscriber, told, at)
  }

  #writeHistory(subscriber: Subscriber, history: History): void {
    if (subscriber.stateTo === undefined) subscriber.isFresh = false
    if (subscriber.state === 'behind' && history.to > subscriber.cursor) {
      const payload = this.#historyPayload(subscriber, history)
      if (payload.events === 0) subscriber.cursor = payload.to
      else this.#sink.write(subscriber, payload)
    }
    this.#next(subscriber)
  }

  /** Encoded, events are larger than the engine counted them: what exceeds a flush is read again next time. */
  #historyPayload({ broadcast, lag }: Subscriber, history: History): Payload {
    const { window, engine } = this.#hub
    const { format, selection } = broadcast
    const isWindow = engine.window !== undefined
    const parts: Uint8Array[] = []
    let bytes = 0
    for (const event of history.events) {
      if (lag === 'latest' && isConflated(event, selection, window)) continue
      const part = isWindow ? encodePast(event, format, window) : encodeElsewhere(event, format)
      if (bytes > 0 && bytes + part.length > this.#hub.limits.flushBytesMax) {
        return new Payload(join(parts, bytes), event.offset - 1, parts.length)
      }
      parts.push(part)
      bytes += part.length
    }
    return new Payload(join(parts, bytes), history.to, parts.length)
  }
}
