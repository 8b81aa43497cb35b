// What to do with a subscriber that is too slow: pure decisions, so that they can be tested whole.

import type { LagPolicy } from 'hydrant-client/wire'
import type { LogEvent } from './event.ts'
import type { Selection } from './selection.ts'
import { parsePattern, subsumes } from './topic.ts'
import type { Window } from './window.ts'

/** The policy of the subscribers of some topics. */
export interface LagRule {
  /** A topic or a pattern: `prices/**`. */
  readonly topics: string
  readonly policy: LagPolicy
}

/** One policy for every subscriber, or rules by topic. */
export type LagPolicies = LagPolicy | readonly LagRule[]

/** Checks rules, and answers {@link lagPolicyOf} by them. Throws a HydrantError `malformed-pattern`. */
export function judgeLagBy(policies: LagPolicies): (selection: Selection) => LagPolicy {
  if (typeof policies !== 'string') for (const { topics } of policies) parsePattern(topics)
  return (selection) => lagPolicyOf(policies, selection)
}

/**
 * The policy of a subscriber that does not say itself. For each topic or pattern of its selection the first rule holds
 * that covers the whole of it. `disconnect`, which loses nothing by itself, when there is none for one of them, or when
 * they come to different policies: no topic is ever skipped or conflated against its own rule because of its company.
 */
export function lagPolicyOf(policies: LagPolicies, { topics }: Selection): LagPolicy {
  if (typeof policies === 'string') return policies
  const found = new Set(topics.map((topic) => policies.find((rule) => subsumes(rule.topics, topic))?.policy))
  const [policy = 'disconnect'] = found
  return found.size === 1 ? policy : 'disconnect'
}

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
 * Whether a subscriber that follows the latest needs no more of an event, for a newer one that it follows has its key.
 * Events without a key stand for themselves.
 */
export function isConflated(event: LogEvent, selection: Selection, window: Window): boolean {
  return event.key !== undefined && window.isSuperseded(event, selection)
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
