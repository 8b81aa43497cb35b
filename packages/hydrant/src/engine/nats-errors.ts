// What can go wrong with NATS, by what the engine does about it: find the log again, or tell the caller.

import { HydrantError } from '../hub/errors.ts'

/** NATS did not answer, or answers nobody any more on this connection: what was asked for may have been done. */
export class NatsLost extends Error {
  override readonly name = 'NatsLost'
}

/** NATS answered, and refused. */
export class NatsRefusal extends Error {
  override readonly name = 'NatsRefusal'
  /** NATS's own number of the error. */
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** Numbers of NATS's errors that mean something here. */
export const REFUSALS = {
  streamNotFound: 10_059,
  noMessage: 10_037,
  wrongLastMessageId: 10_070,
  wrongLastSequence: 10_071,
  wrongLastSequenceUnknown: 10_164,
} as const

/** Whether it was refused because something else was stored in between. */
export function isWrongLast(error: unknown): boolean {
  return (
    error instanceof NatsRefusal &&
    (error.code === REFUSALS.wrongLastSequence || error.code === REFUSALS.wrongLastSequenceUnknown)
  )
}

/** Whether nothing with its message id is known. */
export function isUnknownRequest(error: unknown): boolean {
  return error instanceof NatsRefusal && error.code === REFUSALS.wrongLastMessageId
}

/** As a caller of the engine is told. */
export function callersErrorOf(error: unknown): unknown {
  if (error instanceof NatsLost) return unavailable(error.message)
  if (error instanceof NatsRefusal) return unavailable(`NATS refuses: ${error.message}.`)
  return error
}

/** The log cannot be used now. */
export function unavailable(reason: string): HydrantError {
  return new HydrantError('unavailable', reason)
}
