// Flags: what stands on a command line, checked against what the command knows.

import { parseArgs } from 'node:util'
import { didYouMean } from '../hub/nearest.ts'
import { UsageError } from './command.ts'

/** A flag that a command knows. */
export interface Flag {
  /** Without the dashes. */
  readonly name: string
  /** Stands for its value in the help: `<port>`. Without it the flag takes none. */
  readonly placeholder?: string
  readonly description: string
  /** For the help; nothing is said where it is left out. */
  readonly default?: string
}

/** The flags of a command line; of one that is repeated, all values in their order. */
export class Flags {
  readonly #values: ReadonlyMap<string, readonly string[]>

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values
  }

  /** Whether a flag is there. */
  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** All values of a flag. */
  all(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }

  /** The value of a flag; the last one counts, so that an alias can be overridden. */
  last(name: string): string | undefined {
    return this.all(name).at(-1)
  }
}

/** Reads a command line. Throws a UsageError for a flag that is not known, lacks its value, or has one too many. */
export function parseFlags(args: readonly string[], known: readonly Flag[]): { words: string[]; flags: Flags } {
  const options = Object.fromEntries(
    known.map(({ name, placeholder }) => [name, { type: placeholder === undefined ? 'boolean' : 'string' } as const]),
  )
  // Not strict: its errors name no nearest flag. The tokens hold all that is needed to check.
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true })
  const words: string[] = []
  const values = new Map<string, string[]>()
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value)
    if (token.kind !== 'option') continue
    const flag = known.find(({ name }) => name === token.name)
    if (flag === undefined || !token.rawName.startsWith('--')) throw unknownFlag(token.rawName, known)
    values.set(flag.name, [...(values.get(flag.name) ?? []), valueOf(flag, token.value, token.inlineValue === true)])
  }
  return { words, flags: new Flags(values) }
}

function valueOf({ name, placeholder }: Flag, value: string | undefined, isInline: boolean): string {
  if (placeholder === undefined) {
    if (value !== undefined) throw new UsageError(`--${name} takes no value, and was given "${value}".`)
    return ''
  }
  if (value === undefined) throw new UsageError(`--${name} needs a value: --${name} ${placeholder}`)
  if (!isInline && value.startsWith('-') && value !== '-') {
    throw new UsageError(`--${name} needs a value, and "${value}" follows it. If that is the value: --${name}=${value}`)
  }
  return value
}

function unknownFlag(rawName: string, known: readonly Flag[]): UsageError {
  const names = known.map(({ name }) => `--${name}`)
  return new UsageError(`there is no flag ${rawName}.${didYouMean(rawName, names)}`)
}
