// The port behind which a transport lives: it opens connections and says what comes over them.

import type { End } from './state.ts'
import type { LagPolicy } from './wire/index.ts'

/** What a connection is asked for: from where, and what. The same words in the query of SSE and on a WebSocket. */
export interface Wanted {
  readonly topics: readonly string[]
  readonly types?: readonly string[] | undefined
  readonly lag?: LagPolicy | undefined
  readonly lastEventId?: string | undefined
  readonly since?: string | undefined
  readonly last?: number | undefined
  readonly earliest?: true | undefined
  readonly state?: 'latest' | undefined
}

/** Hears what comes over one connection, in the order in which it came. It ignores what is said after the end. */
export interface Listener {
  /** Something came, whatever it was. */
  heard(): void
  /** The server serves the stream. `id` is where it starts, when it was not resumed. */
  opened(id?: string): void
  /** An envelope, unchecked; with the bytes of its data when they stand outside of it. */
  event(envelope: unknown, bytes?: Uint8Array): void
  /** A gap, unchecked. */
  gap(gap: unknown): void
  /** Nothing new, but a fresher id to resume from. */
  position(id: string): void
  /** The server names the first wait of the backoff. */
  retry(retryMs: number): void
  /** Undefined while more can be taken; else a promise of the moment when it can. */
  room(): Promise<void> | undefined
  ended(end: End): void
}

/** One connection, on its way or open. */
export interface Connection {
  /** Lets go of it, at once and for good. May be called more than once. */
  close(): void
  /** Asks the server for a sign of life, where the transport has none of its own. */
  probe?(): void
}

/**
 * A transport.
 *
 * `open` MUST
 * - resume strictly after `lastEventId` when there is one, else start where it is told to;
 * - return before it calls the listener;
 * - call `ended` when the connection is over, for whatever reason but `close`;
 * - while `room()` is a promise, bring no more: stop reading, or end with `behind`.
 *
 * It MUST NOT connect again by itself, throw, or drop anything that came.
 */
export interface Source {
  open(wanted: Wanted, listener: Listener): Connection
}
