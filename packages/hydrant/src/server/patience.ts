// How long the server waits for a client within a request: a pure decision over numbers.
//
// `node:http` closes sockets that do not finish a head, and idle ones, once it has them: until their first byte, and
// after a stream, they are the front door's. Its `requestTimeout` is off, for it counts from
// a request's first byte and would cut an NDJSON publish stream, which is one request, however alive it is. What it
// stood against is decided here instead: a body that is held whole must come on and come to its end, and an answer that
// has been given must be taken. A publish stream may be quiet for as long as its connection lives: a log that says
// nothing for an hour is no attack, it holds no memory, and TCP keep-alive finds its dead peers. A stream of events is
// the pump's, which has its own rule (`stallMs`).
//
// Locked by test/server/patience.test.ts.

/** What a socket is in the middle of. */
export type Phase =
  /** Nothing was said yet. */
  | 'silent'
  /** An answer was given at the front door, and the next request has not begun. */
  | 'kept'
  /** Between requests, or in a head: `node:http` watches it. */
  | 'idle'
  /** A body is coming that is held whole. */
  | 'body'
  /** A body is coming that is published as it comes. */
  | 'publish-stream'
  /** A request is complete and is being answered, or a stream is open. */
  | 'open'
  /** All that will be said was said, and is not taken yet. */
  | 'ended'

/** How it stands with a socket. */
export interface Standing {
  readonly phase: Phase
  /** Since the phase began. */
  readonly ageMs: number
  /** Since the last byte in its direction moved. */
  readonly quietMs: number
}

/** The bounds. */
export interface Patience {
  /** The first byte must come so long after the connection; for the rest of a head `node:http` waits as long again. */
  readonly headMs: number
  /** How long a connection is kept for another request: longer than load balancers keep theirs (60 s). */
  readonly keepAliveMs: number
  /** A body without a new byte for so long is given up. A phone in a tunnel comes back within it. */
  readonly bodyQuietMs: number
  /** A body that is held whole must be complete after so long: 16 MB at half a megabit a second. */
  readonly bodyMs: number
  /** The end of an answer must have been taken so long after it was given. */
  readonly endedQuietMs: number
}

/** The defaults. */
export const PATIENCE: Patience = {
  headMs: 10_000,
  keepAliveMs: 65_000,
  bodyQuietMs: 30_000,
  bodyMs: 300_000,
  endedQuietMs: 30_000,
}

/** Whether a socket has used up its time. */
export function isOverdue({ phase, ageMs, quietMs }: Standing, patience: Patience): boolean {
  if (phase === 'silent') return ageMs >= patience.headMs
  if (phase === 'kept') return ageMs >= patience.keepAliveMs
  if (phase === 'body') return quietMs >= patience.bodyQuietMs || ageMs >= patience.bodyMs
  return phase === 'ended' && quietMs >= patience.endedQuietMs
}
