// All open connections of a hub: counted, bounded, and ended together.

import { count } from '../hub/counters.ts'
import { HydrantError } from '../hub/errors.ts'
import type { Hub } from '../hub/hub.ts'
import type { Connection, ConnectionOwner } from './connection.ts'
import { Pump } from './pump.ts'

/**
 * Connections ended in one turn of the event loop at shutdown: 10,000 farewells must not stop the others' last
 * events.
 */
const ENDED_PER_TURN = 256

/** How many connections are open in all, where several registries share one limit. */
export interface ConnectionCount {
  /** One more here, or one less. */
  add(change: 1 | -1): void
  /** Here and elsewhere. */
  readonly total: number
}

/** The registry, and the pump that serves them. */
export class Connections implements ConnectionOwner {
  readonly pump: Pump
  readonly #hub: Hub
  readonly #count: ConnectionCount | undefined
  readonly #open = new Set<Connection>()

  /** `shared`: counts with others who have the same limit; without it, it is this registry's alone. */
  constructor(hub: Hub, shared?: ConnectionCount) {
    this.#hub = hub
    this.#count = shared
    this.pump = new Pump(hub)
    hub.onClose(() => this.#close())
    hub.onUndo((to) => {
      for (const { subscribers } of this.#open) for (const subscriber of subscribers) this.pump.undo(subscriber, to)
    })
  }

  /** Why no new connection can be taken at the moment, if so. */
  refusal(): HydrantError | undefined {
    if (this.#hub.isClosing) return this.#refuse(new HydrantError('shutting-down', 'The server is shutting down.'))
    const open = this.#count?.total ?? this.#open.size
    if (open < this.#hub.limits.connectionsMax) return undefined
    return this.#refuse(
      new HydrantError('too-many-connections', `The server has ${open} connections, as many as it may.`),
    )
  }

  /** Takes a connection in, until it is closed. */
  add(connection: Connection): void {
    const { counters } = this.#hub
    this.#open.add(connection)
    this.#count?.add(1)
    counters.connections[connection.transport] += 1
    counters.opened[connection.transport] += 1
  }

  drained(connection: Connection): void {
    this.pump.drained(connection)
  }

  closed(connection: Connection): void {
    this.pump.closed(connection)
    if (!this.#open.delete(connection)) return
    this.#count?.add(-1)
    this.#hub.counters.connections[connection.transport] -= 1
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size
  }

  /** Every open connection. */
  [Symbol.iterator](): Iterator<Connection> {
    return this.#open.values()
  }

  #refuse(error: HydrantError): HydrantError {
    count(this.#hub.counters.refused, error.code)
    return error
  }

  /** What is published goes out, as far as half the time allows; then everybody is told to come back elsewhere. */
  async #close(): Promise<void> {
    const { clock, limits } = this.#hub
    const flushedMs = clock.monotonicMs() + limits.closeMs / 2
    while (this.pump.isBusy && clock.monotonicMs() < flushedMs) await this.#turn()
    let ended = 0
    for (const connection of this.#open) {
      this.pump.disconnect(connection, 'shutting-down')
      ended += 1
      if (ended % ENDED_PER_TURN === 0) await this.#turn()
    }
    this.pump.close()
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#hub.clock.defer(resolve))
  }
}
