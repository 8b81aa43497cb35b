// How long the server waits for a client within a request: a pure decision over numbers.
//
// `node:http` closes sockets that do not finish a head, and idle ones. Its `requestTimeout` is off, for it counts from
// a request's first byte and would cut an NDJSON publish stream, which is one request, however alive it is. What it
// stood against is decided here instead: a body that is held whole must come on and come to its end, and an answer that
// has been given must be taken. A publish stream may be quiet for as long as its connection lives: a log that says
// nothing for an hour is no attack, it holds no memory, and TCP keep-alive finds its dead peers. A stream of events is
// the pump's, which has its own rule (`stallMs`).
//
// Locked by test/server/patience.test.ts.

/** What a socket is in the middle of. */
export type Phase =
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
  /** A body without a new byte for so long is given up. A phone in a tunnel comes back within it. */
  readonly bodyQuietMs: number
  /** A body that is held whole must be complete after so long: 16 MB at half a megabit a second. */
  readonly bodyMs: number
  /** The end of an answer must have been taken so long after it was given. */
  readonly endedQuietMs: number
}

/** The defaults. */
export const PATIENCE: Patience = { bodyQuietMs: 30_000, bodyMs: 300_000, endedQuietMs: 30_000 }

/** Whether a socket has used up its time. */
export function isOverdue({ phase, ageMs, quietMs }: Standing, patience: Patience): boolean {
  if (phase === 'body') return quietMs >= patience.bodyQuietMs || ageMs >= patience.bodyMs
  return phase === 'ended' && quietMs >= patience.endedQuietMs
}
