// What is thrown at users of the client: one class, with a code that says what can be done about it.

import type { Problem, ProblemCode } from './wire/index.ts'

/**
 * - `closed`: the stream was closed before the publish was acknowledged; it may have been stored.
 * - `unreachable`: no answer after every retry; it may have been stored.
 * - `overloaded`: too many publishes wait for their acknowledgement; this one was not sent.
 * - `malformed`: the answer is not one of hydrant's.
 * - any other: the server refused, with this {@link Problem}.
 */
export type StreamErrorCode = ProblemCode | 'closed' | 'unreachable' | 'overloaded' | 'malformed'

/** A publish that failed, or the end of an iterated stream that the server refused. */
export class StreamError extends Error {
  override readonly name = 'StreamError'
  readonly code: StreamErrorCode
  /** What the server said, when it was the server. */
  readonly problem: Problem | undefined

  constructor(code: StreamErrorCode, detail: string, problem?: Problem) {
    super(detail)
    this.code = code
    this.problem = problem
  }
}

/** Whether a value from the wire is a problem. A newer server may have codes that are not in our table. */
export function isProblem(value: unknown): value is Problem {
  return (
    isRecord(value) &&
    typeof value['code'] === 'string' &&
    typeof value['detail'] === 'string' &&
    typeof value['status'] === 'number'
  )
}

/** Whether a value from the wire is a JSON object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What to show of whatever was thrown. */
export function detailOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
