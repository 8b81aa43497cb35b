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

/** The registry, and the pump that serves them. */
export class Connections implements ConnectionOwner {
  readonly pump: Pump
  readonly #hub: Hub
  readonly #open = new Set<Connection>()

  constructor(hub: Hub) {
    this.#hub = hub
    this.pump = new Pump(hub)
    hub.onClose(() => this.#close())
    hub.onUndo((to) => {
      for (const { subscribers } of this.#open) for (const subscriber of subscribers) this.pump.undo(subscriber, to)
    })
  }

  /** Why no new connection can be taken at the moment, if so. */
  refusal(): HydrantError | undefined {
    if (this.#hub.isClosing) return this.#refuse(new HydrantError('shutting-down', 'The server is shutting down.'))
    if (this.#open.size < this.#hub.limits.connectionsMax) return undefined
    return this.#refuse(
      new HydrantError('too-many-connections', `The server has ${this.#open.size} connections, as many as it may.`),
    )
  }

  /** Takes a connection in, until it is closed. */
  add(connection: Connection): void {
    const { counters } = this.#hub
    this.#open.add(connection)
    counters.connections[connection.transport] += 1
    counters.opened[connection.transport] += 1
  }

  drained(connection: Connection): void {
    this.pump.drained(connection)
  }

  closed(connection: Connection): void {
    this.pump.closed(connection)
    if (this.#open.delete(connection)) this.#hub.counters.connections[connection.transport] -= 1
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
