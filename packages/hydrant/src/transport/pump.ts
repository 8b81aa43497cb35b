// The pump: moves events from broadcasts to sockets.
//
//   a turn of the event loop:  up to `sliceSockets` writes to live subscribers, broadcast after broadcast
//                              a few slices for those that are behind
//                              … publishing, accepting, reading go on … what came meanwhile joins the next flush
//
// So cost per delivery falls as load rises, and nothing waits when idle. A socket that takes no more leaves the live;
// once it drained it reads from its own cursor until it is at the head again: history and live differ only in where
// the bytes come from, so there is no seam at which an event could be lost or doubled.
//
// Locked by test/transport/pump.test.ts and test/property/resume.test.ts.

import type { Gap, LagPolicy } from 'hydrant-client/wire'
import { count, type EndReason } from '../hub/counters.ts'
import type { LogEvent } from '../hub/event.ts'
import type { Hub } from '../hub/hub.ts'
import { decideLag, isPositionDue } from '../hub/lag.ts'
import type { Selection } from '../hub/selection.ts'
import type { Start } from '../hub/start.ts'
import { Broadcast, type Flush } from './broadcast.ts'
import type { Connection } from './connection.ts'
import { encode, type Format } from './format.ts'
import { join, Payload } from './payload.ts'
import { Pins } from './pins.ts'
import { Subscriber } from './subscriber.ts'

/** Slices of catching up in one turn: each at most `flushBytesMax`, so that live subscribers wait for no more than a few. */
const CATCH_UPS_PER_TURN = 8
/** Readings of the engine under way at once: each holds at most `flushBytesMax` of events. */
const READINGS_MAX = 8
/** Events in one reading of history. */
const READ_EVENTS_MAX = 1_000

/** When to come back after a farewell: at random within twice `retryMs`, so that a crowd does not come at once. */
export function farewellMs(retryMs: number): number {
  return Math.round(retryMs * (1 + Math.random()))
}

/** What a subscriber asks for. */
export interface Subscribe {
  readonly connection: Connection
  readonly selection: Selection
  readonly format: Format
  readonly start: Start
  readonly lag: LagPolicy
  /** The client's number for it; 0 where there is only one. */
  readonly label: number
}

/** One for each hub; owns every cursor. */
export class Pump {
  readonly #hub: Hub
  readonly #pins: Pins
  readonly #broadcasts = new Map<string, Broadcast>()
  /** Broadcasts with something to flush, first come first served. */
  readonly #dirty = new Set<Broadcast>()
  /** Subscribers that have to read for themselves, likewise. */
  readonly #behind = new Set<Subscriber>()
  /** Broadcasts with news that wait `lingerMs` for more. */
  readonly #lingering = new Set<Broadcast>()
  /** The last catch-up, for whoever comes next with the same cursor: a reconnecting crowd comes with equal ids. */
  #lastCatchUp: { readonly broadcast: Broadcast; readonly after: number; readonly payload: Payload } | undefined
  #readings = 0
  #isScheduled = false
  #stopTimer: () => void

  constructor(hub: Hub) {
    this.#hub = hub
    this.#pins = new Pins(hub.limits.pinnedBytesMax, hub.counters, (connection) =>
      this.disconnect(connection, 'pinned'),
    )
    this.#stopTimer = this.#tickLater()
  }

  /** Starts a stream: what is selected after its start, then what is published, until the connection ends. */
  subscribe(request: Subscribe): Subscriber {
    const { connection, start } = request
    const broadcast = this.#broadcast(request.selection, request.format)
    const subscriber = new Subscriber(connection, broadcast, start.after, request.lag, request.label)
    broadcast.members += 1
    connection.subscribers.push(subscriber)
    if (start.gap !== undefined) this.#tell(subscriber, start.gap, start.after)
    if (connection.isClosed) this.#remove(subscriber)
    else if (connection.isStalled) subscriber.state = 'stalled'
    else if (subscriber.cursor === this.#hub.window.head) this.#goLive(subscriber)
    else this.#fallBehind(subscriber)
    return subscriber
  }

  /** Ends one subscription; its connection stays. */
  unsubscribe(subscriber: Subscriber): void {
    const { subscribers } = subscriber.connection
    const at = subscribers.indexOf(subscriber)
    if (at !== -1) subscribers.splice(at, 1)
    this.#remove(subscriber)
  }

  /**
   * Ends a connection for a reason of ours, with a farewell that names the id to come back with. One that holds bytes
   * is cut at once: it would not hear the reason.
   */
  disconnect(connection: Connection, reason: EndReason): void {
    if (connection.isClosed) return
    count(this.#hub.counters.ended, reason)
    if (connection.isStalled) return connection.destroy()
    const [subscriber] = connection.subscribers
    const bye = subscriber?.broadcast.format.bye(
      this.#hub.idAt(subscriber.cursor),
      farewellMs(this.#hub.limits.retryMs),
    )
    if (bye !== undefined) connection.send(bye)
    connection.end(reason)
  }

  /** Sends bytes that belong to one connection alone: openings, answers, farewells. */
  send(connection: Connection, bytes: Uint8Array): void {
    if (!connection.send(bytes)) this.#stall(connection, new Payload(bytes, 0, 0))
  }

  /** A connection can take more: its subscribers read on from their cursors. */
  drained(connection: Connection): void {
    connection.isStalled = false
    this.#pins.release(connection)
    for (const subscriber of connection.subscribers) if (subscriber.state === 'stalled') this.#fallBehind(subscriber)
  }

  /** A connection is gone. */
  closed(connection: Connection): void {
    this.#pins.release(connection)
    for (const subscriber of connection.subscribers) this.#remove(subscriber)
    connection.subscribers.length = 0
  }

  /** Stops the timer; nothing is flushed any more. */
  close(): void {
    this.#stopTimer()
    this.#dirty.clear()
    this.#behind.clear()
    this.#lingering.clear()
  }

  // ── turns ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#hub.clock.defer(this.#turn)
  }

  readonly #wake = (broadcast: Broadcast): void => {
    const { lingerMs } = this.#hub.limits
    if (lingerMs === 0) {
      this.#dirty.add(broadcast)
      this.#schedule()
    } else if (broadcast.flush === undefined) {
      if (this.#lingering.size === 0) this.#hub.clock.after(lingerMs, this.#endLinger)
      this.#lingering.add(broadcast)
    }
  }

  readonly #endLinger = (): void => {
    for (const broadcast of this.#lingering) this.#dirty.add(broadcast)
    this.#lingering.clear()
    this.#schedule()
  }

  readonly #turn = (): void => {
    this.#isScheduled = false
    this.#writeLive()
    this.#writeBehind()
    if (this.#behind.size === 0) this.#lastCatchUp = undefined
    if (this.#dirty.size > 0 || (this.#behind.size > 0 && this.#readings < READINGS_MAX)) this.#schedule()
  }

  #writeLive(): void {
    let budget = this.#hub.limits.sliceSockets
    let unvisited = this.#dirty.size
    for (const broadcast of this.#dirty) {
      if (budget <= 0 || unvisited === 0) return
      unvisited -= 1
      this.#dirty.delete(broadcast)
      const flush = (broadcast.flush ??= this.#beginFlush(broadcast))
      if (flush !== undefined) budget -= this.#writeFlush(broadcast, flush, budget)
      if (broadcast.flush !== undefined) this.#dirty.add(broadcast)
      else if (broadcast.hasNews) this.#wake(broadcast)
    }
  }

  #beginFlush(broadcast: Broadcast): Flush | undefined {
    const { window, limits, clock } = this.#hub
    if (broadcast.isOverrun(window)) {
      broadcast.abandonPending()
      for (const subscriber of broadcast.live.slice()) this.#fallBehind(subscriber)
    }
    const flush = broadcast.begin(window, limits.flushBytesMax) ?? this.#beginHeartbeat(broadcast)
    broadcast.needsHeartbeat = false
    if (flush === undefined) return undefined
    broadcast.wroteMs = clock.monotonicMs()
    if (flush.payload.to > broadcast.named) broadcast.named = flush.payload.to
    return flush
  }

  #beginHeartbeat(broadcast: Broadcast): Flush | undefined {
    if (!broadcast.needsHeartbeat) return undefined
    const { window, counters } = this.#hub
    counters.heartbeats += broadcast.live.length
    const isDue = isPositionDue(broadcast.named, window.floor, window.head)
    const position = isDue ? broadcast.format.position(this.#hub.idAt(window.head)) : undefined
    if (position !== undefined) return broadcast.beginControl(position, window.head)
    const { heartbeat } = broadcast.format
    return heartbeat === undefined ? undefined : broadcast.beginControl(heartbeat, 0)
  }

  /** Writes a flush to its next targets; an eighth of them at least, so that small audiences do not wait for joining. */
  #writeFlush(broadcast: Broadcast, flush: Flush, budget: number): number {
    const { targets, payload } = flush
    const share = Math.min(budget, Math.max(8, targets.length >>> 3))
    let written = 0
    while (written < share && flush.done < targets.length) {
      const subscriber = targets[(flush.start + flush.done) % targets.length]
      flush.done += 1
      if (subscriber === undefined || subscriber.state !== 'live') continue
      if (payload.events === 0) this.#writeControl(subscriber, payload)
      else if (subscriber.cursor >= payload.to) continue
      else if (subscriber.cursor >= flush.after && subscriber.cursor < flush.first) this.#write(subscriber, payload)
      else this.#fallBehind(subscriber)
      written += 1
    }
    if (flush.done === targets.length) broadcast.flush = undefined
    return written
  }

  #writeControl(subscriber: Subscriber, payload: Payload): void {
    const isFresherId = payload.to > 0
    if (isFresherId && subscriber.cursor > payload.to) return // it was sent an event meanwhile
    this.#write(subscriber, payload, isFresherId ? payload.to : subscriber.cursor)
  }

  #writeBehind(): void {
    let budget = CATCH_UPS_PER_TURN
    for (const subscriber of this.#behind) {
      if (budget === 0) return
      budget -= 1
      if (subscriber.cursor < this.#hub.window.floor) {
        if (this.#readings === READINGS_MAX) continue
        this.#behind.delete(subscriber)
        void this.#readHistory(subscriber)
        continue
      }
      this.#behind.delete(subscriber)
      this.#catchUp(subscriber)
    }
  }

  // ── subscribers ────────────────────────────────────────────────────────────────────────────────────────────────────

  #write(subscriber: Subscriber, payload: Payload, cursor: number = payload.to): void {
    const { connection } = subscriber
    const { counters } = this.#hub
    subscriber.cursor = cursor
    if (payload.events > 0) subscriber.isFresh = false
    connection.turnTo(subscriber)
    counters.writes += 1
    counters.deliveries += payload.events
    counters.deliveredBytes += payload.bytes.length
    if (!connection.send(payload.bytes)) this.#stall(connection, payload)
  }

  #stall(connection: Connection, payload: Payload): void {
    if (connection.isStalled || connection.isClosed) return
    connection.isStalled = true
    connection.stalledMs = this.#hub.clock.monotonicMs()
    this.#hub.counters.stalls += 1
    for (const subscriber of connection.subscribers) this.#leave(subscriber, 'stalled')
    this.#pins.hold(connection, payload)
  }

  #fallBehind(subscriber: Subscriber): void {
    this.#leave(subscriber, 'behind')
    this.#behind.add(subscriber)
    this.#schedule()
  }

  #goLive(subscriber: Subscriber): void {
    subscriber.isFresh = false
    subscriber.broadcast.join(subscriber)
  }

  #leave(subscriber: Subscriber, state: 'stalled' | 'behind' | 'gone'): void {
    if (subscriber.state === 'live') subscriber.broadcast.leave(subscriber)
    if (subscriber.state === 'behind') this.#behind.delete(subscriber)
    subscriber.state = state
  }

  #remove(subscriber: Subscriber): void {
    if (subscriber.state === 'gone') return
    this.#leave(subscriber, 'gone')
    const { broadcast } = subscriber
    broadcast.members -= 1
    if (broadcast.members > 0) return
    this.#broadcasts.delete(broadcast.key)
    this.#dirty.delete(broadcast)
    this.#lingering.delete(broadcast)
    this.#hub.removeFeed(broadcast)
  }

  /** One slice from the window. */
  #catchUp(subscriber: Subscriber): void {
    const { window } = this.#hub
    const from = subscriber.cursor
    const payload = this.#catchUpPayload(subscriber.broadcast, from)
    if (payload.events > 0) this.#write(subscriber, payload)
    else if (payload.to === window.head) this.#namePosition(subscriber, payload.to)
    else subscriber.cursor = payload.to
    if (subscriber.state !== 'behind') return
    if (subscriber.cursor === window.head) this.#goLive(subscriber)
    else this.#fallBehind(subscriber)
  }

  #catchUpPayload(broadcast: Broadcast, after: number): Payload {
    const { window, limits } = this.#hub
    const known = this.#lastCatchUp
    const isSame = known?.broadcast === broadcast && known.after === after
    if (isSame && (known.payload.to === window.head || known.payload.bytes.length * 2 > limits.flushBytesMax))
      return known.payload
    const parts: Uint8Array[] = []
    let bytes = 0
    const take = (event: LogEvent): boolean => {
      const part = encode(event, broadcast.format, window)
      if (bytes > 0 && bytes + part.length > limits.flushBytesMax) return false
      parts.push(part)
      bytes += part.length
      return true
    }
    const to = window.read(after, broadcast.selection, take, limits.scanEventsMax)
    const payload = new Payload(join(parts, bytes), to, parts.length)
    if (parts.length > 0) this.#lastCatchUp = { broadcast, after, payload }
    return payload
  }

  /** Nothing was missed, but the client's id may be old: a fresher one spares it a gap later. */
  #namePosition(subscriber: Subscriber, head: number): void {
    const isDue = isPositionDue(subscriber.cursor, this.#hub.window.floor, head)
    const position = isDue ? subscriber.broadcast.format.position(this.#hub.idAt(head)) : undefined
    if (position === undefined) subscriber.cursor = head
    else this.#write(subscriber, new Payload(position, head, 0))
  }

  /** One slice from the engine: the window no longer reaches back to the cursor. */
  async #readHistory(subscriber: Subscriber): Promise<void> {
    const { engine, limits } = this.#hub
    const { selection } = subscriber.broadcast
    subscriber.state = 'reading'
    this.#readings += 1
    try {
      const history = await engine.read({
        after: subscriber.cursor,
        selection,
        eventsMax: READ_EVENTS_MAX,
        bytesMax: limits.flushBytesMax,
      })
      if (subscriber.state !== 'reading') return
      subscriber.state = 'behind'
      if (
        history.gap !== undefined &&
        !this.#passGap(subscriber, history.gap.to, history.gap.certain, history.gap.count)
      )
        return
      this.#writeHistory(subscriber, history.events, history.to)
    } catch (error) {
      this.#hub.report(error)
      this.disconnect(subscriber.connection, 'internal-error')
    } finally {
      this.#readings -= 1
      this.#schedule()
    }
  }

  #writeHistory(subscriber: Subscriber, events: readonly LogEvent[], to: number): void {
    const { format } = subscriber.broadcast
    const parts = events
      .filter((event) => event.offset > subscriber.cursor)
      .map((event) => encode(event, format, this.#hub.window))
    const bytes = parts.reduce((sum, part) => sum + part.length, 0)
    if (parts.length > 0 && to > subscriber.cursor)
      this.#write(subscriber, new Payload(join(parts, bytes), to, parts.length))
    else if (to > subscriber.cursor) subscriber.cursor = to
    subscriber.isFresh = false
    if (subscriber.state === 'behind') this.#fallBehind(subscriber)
  }

  /** Events at the cursor are gone. Answers whether what the engine read after them is still wanted. */
  #passGap(subscriber: Subscriber, to: number, certain: boolean, missing: number | undefined): boolean {
    const from = this.#hub.idAt(subscriber.cursor)
    const counted = missing === undefined ? {} : { count: missing }
    if (subscriber.isFresh) {
      return this.#tell(subscriber, { from, to: this.#hub.idAt(to), reason: 'trimmed', certain, ...counted }, to)
    }
    if (decideLag({ policy: subscriber.lag, lost: true }) === 'disconnect') {
      this.disconnect(subscriber.connection, 'lagged')
      return false
    }
    const { head } = this.#hub.window
    return this.#tell(subscriber, { from, to: this.#hub.idAt(head), reason: 'lagged', certain }, head)
  }

  /** Declares a gap and moves the cursor behind it; a connection that cannot be told ends. */
  #tell(subscriber: Subscriber, gap: Gap, to: number): boolean {
    this.#hub.counters.gaps += 1
    const bytes = subscriber.broadcast.format.gap(gap)
    if (bytes === undefined) {
      this.disconnect(subscriber.connection, 'gap')
      return false
    }
    this.#write(subscriber, new Payload(bytes, to, 0))
    return true
  }

  // ── broadcasts ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #broadcast(selection: Selection, format: Format): Broadcast {
    const key = `${format.name} ${selection.key}`
    const known = this.#broadcasts.get(key)
    if (known !== undefined) return known
    const { window, clock } = this.#hub
    const broadcast = new Broadcast(key, selection, format, window.head, clock.monotonicMs(), this.#wake)
    this.#broadcasts.set(key, broadcast)
    this.#hub.addFeed(broadcast)
    return broadcast
  }

  // ── the one timer ──────────────────────────────────────────────────────────────────────────────────────────────────

  #tickLater(): () => void {
    return this.#hub.clock.after(this.#hub.limits.heartbeatMs / 4, () => {
      this.#tick()
      this.#stopTimer = this.#tickLater()
    })
  }

  /** Every quarter of `heartbeatMs`: signs of life where it was quiet for three of them, and an end to long stalls. */
  #tick(): void {
    const nowMs = this.#hub.clock.monotonicMs()
    const { heartbeatMs, stallMs } = this.#hub.limits
    for (const broadcast of this.#broadcasts.values()) {
      if (broadcast.live.length === 0 || nowMs - broadcast.wroteMs < heartbeatMs * 0.75) continue
      broadcast.needsHeartbeat = true
      this.#dirty.add(broadcast)
    }
    for (const connection of this.#pins.heldSince(nowMs - stallMs)) this.disconnect(connection, 'lagged')
    if (this.#dirty.size > 0) this.#schedule()
  }
}
