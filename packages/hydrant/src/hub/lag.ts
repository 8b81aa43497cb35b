// What to do with a subscriber that is too slow: a pure decision over numbers, so that it can be tested whole.

import type { LagPolicy } from 'hydrant-client/wire'

/** How it stands with a connected subscriber that cannot keep up. */
export interface Lag {
  readonly policy: LagPolicy
  /** Whether events it wanted are gone from the log. */
  readonly lost: boolean
}

/**
 * - `wait`: nothing is lost yet; it reads on from its cursor when its socket can take more.
 * - `disconnect`: end the connection; the client comes back with its id and is told of the gap then.
 * - `skip`: tell it of the gap now, and go on with what is published next.
 * - `latest`: tell it of the gap now, and go on with what is kept.
 */
export type LagDecision = 'wait' | LagPolicy

/** Decides. */
export function decideLag(lag: Lag): LagDecision {
  return lag.lost ? lag.policy : 'wait'
}

/**
 * Whether a quiet stream's last id is so old that a fresher one should be sent, lest a resume find it trimmed:
 * a quarter of what the log keeps.
 *
 * All three are offsets: the last one sent, the log's floor and its head.
 */
export function isPositionDue(sent: number, floor: number, head: number): boolean {
  return head - sent > (head - floor) / 4 && head > sent
}
