// What a command of the CLI is.

import type { Flag, Flags } from './flags.ts'

/** One word after `hydrant`. */
export interface Command {
  readonly name: string
  /** What follows the name, besides flags: `<topic>`. */
  readonly usage: string
  /** One line for the list of commands. */
  readonly summary: string
  /** Paragraphs for its own help. */
  readonly details: string
  readonly flags: readonly Flag[]
  /** How many words it takes. */
  readonly words: { readonly min: number; readonly max: number }
  /** Does it; answers the exit code. Throws a {@link UsageError} for what its user can mend. */
  run(words: readonly string[], flags: Flags): Promise<number>
}

/** Something that the user can mend: told as it is, without a stack, and the exit code is 1. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
