// A transport whose connections the test plays itself.

import type { Connection, Listener, Source, Wanted } from '../../src/source.ts'

/** One connection that a stream asked for. */
export class FakeConnection implements Connection {
  readonly wanted: Wanted
  readonly listener: Listener
  isClosed = false
  probes = 0

  constructor(wanted: Wanted, listener: Listener) {
    this.wanted = wanted
    this.listener = listener
  }

  /** The id it was to resume from. */
  get after(): string | undefined {
    return this.wanted.lastEventId
  }

  close(): void {
    this.isClosed = true
  }

  probe(): void {
    this.probes += 1
  }

  /** Brings an event with this id. */
  bring(id: string): void {
    this.listener.heard()
    this.listener.event({ id, topic: 'a', type: 'message', time: '2026-01-01T00:00:00.000Z', data: id })
  }

  /** Breaks. */
  cut(): void {
    this.listener.ended({ why: { code: 'cut', detail: 'cut' } })
  }
}

/** Keeps every connection that was asked for. */
export class FakeSource implements Source {
  readonly connections: FakeConnection[] = []

  open(wanted: Wanted, listener: Listener): Connection {
    const connection = new FakeConnection(wanted, listener)
    this.connections.push(connection)
    return connection
  }

  /** The newest. */
  get last(): FakeConnection {
    const connection = this.connections.at(-1)
    if (connection === undefined) throw new Error('nothing was opened')
    return connection
  }
}
