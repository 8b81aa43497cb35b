// Pins: Buffers that stalled sockets hold. Each is counted once however many hold it, and their sum is bounded.

import type { Counters } from '../hub/counters.ts'
import type { Connection } from './connection.ts'
import type { Payload } from './payload.ts'

/** What stalled connections keep in memory; beyond `bytesMax` the one that stalled longest ago is given up. */
export class Pins {
  readonly #bytesMax: number
  readonly #counters: Counters
  readonly #giveUp: (connection: Connection) => void
  /** In the order in which they stalled. */
  readonly #connections = new Set<Connection>()

  constructor(bytesMax: number, counters: Counters, giveUp: (connection: Connection) => void) {
    this.#bytesMax = bytesMax
    this.#counters = counters
    this.#giveUp = giveUp
  }

  /** A connection stalled with this payload. */
  hold(connection: Connection, payload: Payload): void {
    connection.pinned = payload
    this.#connections.add(connection)
    payload.holders += 1
    this.#count(payload, payload.sizeBytes) // more than before, where a form of it was made since
    while (this.#counters.pinnedBytes > this.#bytesMax) {
      const [oldest] = this.#connections
      if (oldest === undefined) return
      this.release(oldest)
      this.#giveUp(oldest)
    }
  }

  /** A connection drained, or is gone. */
  release(connection: Connection): void {
    const payload = connection.pinned
    if (payload === undefined) return
    connection.pinned = undefined
    this.#connections.delete(connection)
    payload.holders -= 1
    if (payload.holders === 0) this.#count(payload, 0)
  }

  /** The connections that have held theirs since this time or longer. */
  heldSince(timeMs: number): readonly Connection[] {
    const held: Connection[] = []
    for (const connection of this.#connections) {
      if (connection.stalledMs > timeMs) break
      held.push(connection)
    }
    return held
  }

  #count(payload: Payload, bytes: number): void {
    this.#counters.pinnedBytes += bytes - payload.pinnedBytes
    payload.pinnedBytes = bytes
  }
}
