// What a hub counts: plain numbers, cheap enough for the hot path, given out by metrics/ and read by tests.

/** How a connection is served. */
export type Transport = 'sse' | 'ndjson' | 'websocket'

/** Why the server ended a connection. */
export type EndReason =
  | 'lagged'
  | 'pinned'
  | 'internal-error'
  | 'too-many-connections'
  | 'unresponsive'
  | 'rate-exceeded'
  | 'malformed-message'
  | 'shutting-down'
  | 'gap'

/** All counters of a hub. They only grow, but for `connections` and the two byte gauges. */
export class Counters {
  published = 0
  publishedBytes = 0
  /** Events written to connections, counted once for each connection. */
  deliveries = 0
  /** Writes that carried them: one holds as many events as were joined. */
  writes = 0
  deliveredBytes = 0
  heartbeats = 0
  gaps = 0
  /** Bytes that stalled sockets hold, each Buffer counted once. */
  pinnedBytes = 0
  /** Connections that stopped reading, counted each time. */
  stalls = 0
  /** Open now, by transport. */
  readonly connections: Record<Transport, number> = { sse: 0, ndjson: 0, websocket: 0 }
  /** Opened since the start, by transport. */
  readonly opened: Record<Transport, number> = { sse: 0, ndjson: 0, websocket: 0 }
  /** Ended by the server, by reason. */
  readonly ended: Map<EndReason, number> = new Map()
  /** Requests and messages refused, by problem code. */
  readonly refused: Map<string, number> = new Map()
}

/** Adds one to a counter of a family. */
export function count<Name>(family: Map<Name, number>, name: Name): void {
  family.set(name, (family.get(name) ?? 0) + 1)
}
