// The states of a stream, each an immutable value, and the decision what follows the end of a connection.

import { backoffMs, type Backoff } from './backoff.ts'
import type { Problem } from './wire/index.ts'

/**
 * Why a connection or a stream ended. The first three are final.
 *
 * - `asked`: the program closed it.
 * - `ended`: the server has said all there is to say (204, or close code 1000).
 * - `refused`: the server will never serve this request; `problem` says what is wrong with it.
 * - `unreachable`: no connection, or an answer that may be another one later.
 * - `cut`: the connection broke.
 * - `silent`: nothing came for `silenceMs`.
 * - `farewell`: the server ended it and wants the client back.
 * - `behind`: the program reads too slowly, and the socket cannot be paused.
 * - `malformed`: what came is not hydrant's.
 */
export type WhyCode =
  'asked' | 'ended' | 'refused' | 'unreachable' | 'cut' | 'silent' | 'farewell' | 'behind' | 'malformed'

/** Why something ended, for programs and for people. */
export interface Why {
  readonly code: WhyCode
  readonly detail: string
  /** What the server said, when it said something. */
  readonly problem?: Problem
}

/** The state of a stream; compare `status`. */
export type StreamState =
  | { readonly status: 'connecting' }
  | { readonly status: 'open' }
  | {
      readonly status: 'waiting'
      /** When it connects again, in milliseconds since 1970. Undefined: once the program has read what it holds. */
      readonly untilMs: number | undefined
      /** How many connections in a row have failed. */
      readonly attempt: number
      readonly why: Why
    }
  | { readonly status: 'closed'; readonly why: Why }

/** The end of a connection. */
export interface End {
  readonly why: Why
  /** The server asks not to come back before. */
  readonly waitMs?: number
}

/** No server can send a client away for longer; and timers of JavaScript fire at once beyond 24 days. */
export const WAIT_MS_MAX = 300_000

/** What the decision is made of. */
export interface Circumstances {
  /** How many connections in a row have failed, this one included; 0 when it served its purpose. */
  readonly failures: number
  readonly backoff: Backoff
  readonly nowMs: number
  /** From 0 up to, not including, 1. */
  readonly random: number
}

/** Which state follows the end of a connection. */
export function stateAfter(end: End, circumstances: Circumstances): StreamState {
  const { why, waitMs = 0 } = end
  if (isFinal(why)) return { status: 'closed', why }
  const { failures, backoff, nowMs, random } = circumstances
  if (why.code === 'behind') return { status: 'waiting', untilMs: undefined, attempt: failures, why }
  const delayMs = Math.max(backoffMs(Math.max(1, failures), backoff, random), Math.min(waitMs, WAIT_MS_MAX))
  return { status: 'waiting', untilMs: nowMs + delayMs, attempt: failures, why }
}

function isFinal({ code }: Why): boolean {
  return code === 'asked' || code === 'ended' || code === 'refused'
}
