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

import type { LagPolicy } from 'hydrant-client/wire'
import { count, type EndReason } from '../hub/counters.ts'
import type { Hub } from '../hub/hub.ts'
import { isPositionDue } from '../hub/lag.ts'
import type { Selection } from '../hub/selection.ts'
import type { Start } from '../hub/start.ts'
import { Broadcast, type Flush } from './broadcast.ts'
import { CatchUp } from './catch-up.ts'
import type { Connection } from './connection.ts'
import type { Format } from './format.ts'
import { Payload } from './payload.ts'
import { Pins } from './pins.ts'
import { Subscriber } from './subscriber.ts'

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
  readonly #catchUp: CatchUp
  /** Broadcasts with news that wait `lingerMs` for more. */
  readonly #lingering = new Set<Broadcast>()
  #isScheduled = false
  #stopTimer: () => void

  constructor(hub: Hub) {
    this.#hub = hub
    this.#pins = new Pins(hub.limits.pinnedBytesMax, hub.counters, (connection) =>
      this.disconnect(connection, 'pinned'),
    )
    this.#catchUp = new CatchUp(hub, {
      write: (subscriber, payload) => this.#write(subscriber, payload),
      arrive: (subscriber) => this.#goLive(subscriber),
      disconnect: (connection, reason) => this.disconnect(connection, reason),
      schedule: () => this.#schedule(),
    })
    this.#stopTimer = this.#tickLater()
  }

  /** Starts a stream: what is selected after its start, then what is published, until the connection ends. */
  subscribe(request: Subscribe): Subscriber {
    const { connection, start } = request
    const broadcast = this.#broadcast(request.selection, request.format)
    const subscriber = new Subscriber(connection, broadcast, start.after, request.lag, request.label)
    broadcast.members += 1
    connection.subscribers = connection.subscribers.concat(subscriber) // no larger than it is: `push` makes room for 17
    subscriber.stateTo = start.stateTo
    subscriber.goneTo = start.goneTo
    if (start.gap !== undefined) this.#catchUp.tell(subscriber, start.gap, start.after)
    if (connection.isClosed) this.#remove(subscriber)
    else if (connection.isStalled) subscriber.state = 'stalled'
    else if (start.stateTo === undefined && start.after === this.#hub.window.head) this.#goLive(subscriber)
    else this.#fallBehind(subscriber)
    return subscriber
  }

  /** Ends one subscription; its connection stays. */
  unsubscribe(subscriber: Subscriber): void {
    const { connection } = subscriber
    connection.subscribers = connection.subscribers.filter((one) => one !== subscriber)
    this.#remove(subscriber)
  }

  /** Everything after `to` was undone: who was there is told, and goes on from there. Before the ids change. */
  undo(subscriber: Subscriber, to: number): void {
    const { cursor, broadcast, stateTo, lag, state } = subscriber
    const isStateUndone = stateTo !== undefined && stateTo > to
    // Whoever follows the latest, and is behind, may have been spared an event for the sake of one that is undone now.
    const isSpared = lag === 'latest' && state !== 'live'
    if (cursor >= to || isSpared) {
      const gap = this.#hub.undoneGap(broadcast.selection, isSpared ? Infinity : cursor, to)
      const from = subscriber.undone?.from ?? this.#hub.idAt(cursor)
      if (gap !== undefined) subscriber.undone = { ...gap, from, certain: gap.certain && !isSpared }
      subscriber.cursor = Math.min(cursor, to)
    }
    subscriber.goneTo = Math.min(subscriber.goneTo, to)
    if (isStateUndone) {
      subscriber.cursor = 0
      subscriber.stateTo = to
    }
    if (subscriber.state === 'live') this.#fallBehind(subscriber)
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

  /**
   * Sends bytes that belong to one connection alone: openings, answers, an application's messages. A connection that
   * reads none of them is cut once it holds a flush's worth.
   */
  send(connection: Connection, bytes: Uint8Array): void {
    if (!connection.send(bytes)) this.#stall(connection, new Payload(bytes, 0, 0))
    if (connection.isStalled && connection.heldBytes > this.#hub.limits.flushBytesMax + bytes.length) {
      this.disconnect(connection, 'lagged')
    }
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
    const { subscribers } = connection
    connection.subscribers = []
    for (const subscriber of subscribers) this.#remove(subscriber)
  }

  /** Whether something waits to be written to somebody who reads. */
  get isBusy(): boolean {
    return this.#dirty.size > 0 || this.#lingering.size > 0 || this.#catchUp.isBusy
  }

  /** Stops the timer; nothing is flushed any more. */
  close(): void {
    this.#stopTimer()
    this.#dirty.clear()
    this.#catchUp.clear()
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
    this.#catchUp.turn()
    if (this.#dirty.size > 0 || this.#catchUp.hasWork) this.#schedule()
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
      if (broadcast.flush !== undefined || broadcast.hasBacklog) this.#dirty.add(broadcast)
      else if (broadcast.hasNews) this.#wake(broadcast)
    }
  }

  #beginFlush(broadcast: Broadcast): Flush | undefined {
    const { limits, clock, window } = this.#hub
    const overrun = broadcast.takeOverrun()
    if (overrun !== undefined) {
      for (const subscriber of broadcast.live.slice()) {
        if (overrun === 'broken') subscriber.isFresh = true // what it misses now is no lag of its own
        this.#fallBehind(subscriber)
      }
    }
    const flush = broadcast.begin(limits.flushBytesMax) ?? this.#beginHeartbeat(broadcast)
    broadcast.needsHeartbeat = false
    if (flush === undefined) return undefined
    if (flush.payload.events > 0) window.settle()
    broadcast.wroteMs = clock.monotonicMs()
    if (flush.payload.to > broadcast.named) broadcast.named = flush.payload.to
    return flush
  }

  #beginHeartbeat(broadcast: Broadcast): Flush | undefined {
    if (!broadcast.needsHeartbeat) return undefined
    const { window, counters, clock } = this.#hub
    broadcast.wroteMs = clock.monotonicMs() // also where the format has nothing to say: it is asked again a beat later
    const { format } = broadcast
    const isDue = isPositionDue(broadcast.named, window.floor, window.head)
    const position = isDue ? format.position(this.#hub.idAt(window.head)) : undefined
    const bytes = position ?? format.heartbeat
    if (bytes === undefined) return undefined
    counters.heartbeats += broadcast.live.length
    return broadcast.beginControl(bytes, position === undefined ? 0 : window.head)
  }

  /**
   * Writes a flush to its next targets; an eighth of them at least, so that small audiences do not wait for
   * joining.
   */
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

  // ── subscribers ────────────────────────────────────────────────────────────────────────────────────────────────────

  #write(subscriber: Subscriber, payload: Payload, cursor: number = payload.to): void {
    const { connection } = subscriber
    const { counters } = this.#hub
    subscriber.cursor = cursor
    if (payload.events > 0 && subscriber.stateTo === undefined) subscriber.isFresh = false
    connection.turnTo(subscriber)
    counters.writes += 1
    counters.deliveries += payload.events
    counters.deliveredBytes += payload.bytes.length
    if (!connection.deliver(payload)) this.#stall(connection, payload)
    else if (cursor >= subscriber.broadcast.endsAt && subscriber.stateTo === undefined) this.#finish(subscriber)
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
    this.#catchUp.add(subscriber)
    this.#schedule()
  }

  #goLive(subscriber: Subscriber): void {
    subscriber.isFresh = false
    if (subscriber.cursor >= subscriber.broadcast.endsAt) this.#finish(subscriber)
    else subscriber.broadcast.join(subscriber)
  }

  /** Everything that it selected has ended, and was sent. */
  #finish(subscriber: Subscriber): void {
    const { connection, broadcast, label } = subscriber
    const ended = broadcast.format.ended(label)
    if (ended === undefined) return connection.end(undefined)
    this.unsubscribe(subscriber)
    this.send(connection, ended)
  }

  #leave(subscriber: Subscriber, state: 'stalled' | 'behind' | 'gone'): void {
    if (subscriber.state === 'live') subscriber.broadcast.leave(subscriber)
    if (subscriber.state === 'behind') this.#catchUp.delete(subscriber)
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

  // ── broadcasts ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #broadcast(selection: Selection, format: Format): Broadcast {
    const key = `${format.name}\n${selection.key}` // no name and no topic has a line break
    const known = this.#broadcasts.get(key)
    if (known !== undefined) return known
    const { window, clock, limits } = this.#hub
    const broadcast = new Broadcast({
      shareConnectionsMin: limits.shareConnectionsMin,
      key,
      selection,
      format,
      window,
      nowMs: clock.monotonicMs(),
      wake: this.#wake,
      endOf: () => this.#hub.endOf(selection) ?? Infinity,
    })
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
