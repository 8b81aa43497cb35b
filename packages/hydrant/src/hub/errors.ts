// Errors, by what their receiver can do: mend the request (HydrantError), or stop, for we are broken (InvariantError).

import { formatProblem, type Problem, type ProblemCode } from 'hydrant-client/wire'

/** Something a caller asked for cannot be done; `code` is stable and says what to do about it. */
export class HydrantError extends Error {
  override readonly name = 'HydrantError'
  readonly code: ProblemCode

  constructor(code: ProblemCode, detail: string, options?: ErrorOptions) {
    super(detail, options)
    this.code = code
  }

  /** The error as it crosses the wire. */
  get problem(): Problem {
    return formatProblem(this.code, this.message)
  }
}

/** A promise that our own code makes to itself is broken. Nothing that follows could be trusted. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** The problem to tell a caller of, for whatever was thrown: unknown errors tell nothing of our insides. */
export function problemOf(error: unknown): Problem {
  if (error instanceof HydrantError) return error.problem
  return formatProblem('internal-error', 'The request could not be served; the server has logged why.')
}
