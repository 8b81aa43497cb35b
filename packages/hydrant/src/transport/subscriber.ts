// A subscriber: a cursor into a broadcast, and a connection. Nothing else: no queue of its own.

import type { Gap, LagPolicy } from 'hydrant-client/wire'
import type { Broadcast } from './broadcast.ts'
import type { Connection } from './connection.ts'

/**
 * - `live`: at the head; gets what its broadcast flushes.
 * - `behind`: reads from its cursor, a slice at a turn, until it is at the head.
 * - `reading`: waits for the engine's answer to such a reading.
 * - `stalled`: its connection holds bytes; nothing happens until it drained.
 * - `gone`: was taken out.
 */
export type SubscriberState = 'live' | 'behind' | 'reading' | 'stalled' | 'gone'

/** See the head of the file. */
export class Subscriber {
  readonly connection: Connection
  readonly broadcast: Broadcast
  readonly lag: LagPolicy
  /** The client's number for it, on a WebSocket with several subscriptions. */
  readonly label: number
  /** Everything selected up to this offset was sent. */
  cursor: number
  state: SubscriberState = 'behind'
  /** The state as of this offset is still to be sent, from the cursor on. */
  stateTo: number | undefined
  /** Up to here what is gone was declared, or was gone before it came; the cursor may stand before it. */
  goneTo = 0
  /** Told next: what it saw was undone. */
  undone: Gap | undefined
  /** Whether it only just came: what it misses then was trimmed before it came, and is no lag. */
  isFresh = true
  /** Its place among the live of its broadcast. */
  place = -1

  constructor(connection: Connection, broadcast: Broadcast, cursor: number, lag: LagPolicy, label: number) {
    this.connection = connection
    this.broadcast = broadcast
    this.cursor = cursor
    this.lag = lag
    this.label = label
  }
}
