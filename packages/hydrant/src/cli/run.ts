// From a command line to the command that it names.

import { readFileSync } from 'node:fs'
import { didYouMean } from '../hub/nearest.ts'
import { isRecord } from '../http/event-json.ts'
import { UsageError, type Command } from './command.ts'
import { config } from './config.ts'
import { parseFlags, type Flag } from './flags.ts'
import { helpOf, helpText } from './help.ts'
import { publish } from './publish.ts'
import { serve } from './serve.ts'
import { tail } from './tail.ts'

const COMMANDS: readonly Command[] = [serve, publish, tail, config]
const HELP: Flag = { name: 'help', description: 'This help.' }
const HELP_WORDS = ['help', '--help', '-h']
const VERSION_WORDS = ['version', '--version', '-v']

/** Runs a command line; answers the exit code. Rejects with a UsageError for what its user can mend. */
export async function run(args: readonly string[]): Promise<number> {
  const [first = ''] = args
  if (VERSION_WORDS.includes(first)) return say(`${version()}\n`)
  if (HELP_WORDS.includes(first)) return say(helpFor(args[1]))
  const isCommand = first !== '' && !first.startsWith('-')
  const command = isCommand ? commandOf(first) : serve
  const { words, flags } = parseFlags(isCommand ? args.slice(1) : args, [...command.flags, HELP])
  if (flags.has('help')) return say(helpOf(command))
  checkWords(command, words)
  return command.run(words, flags)
}

function helpFor(name: string | undefined): string {
  return name === undefined ? helpText(COMMANDS) : helpOf(commandOf(name))
}

function commandOf(name: string): Command {
  const command = COMMANDS.find((one) => one.name === name)
  if (command !== undefined) return command
  const names = COMMANDS.map((one) => one.name)
  throw new UsageError(`there is no command "${name}".${didYouMean(name, names)} Commands: ${names.join(', ')}.`)
}

function checkWords({ name, usage, words }: Command, given: readonly string[]): void {
  const tooMany = given[words.max]
  if (tooMany !== undefined)
    throw new UsageError(`"${tooMany}" is one word too many: hydrant ${name} ${usage}`.trimEnd())
  if (given.length < words.min) throw new UsageError(`something is missing: hydrant ${name} ${usage}`)
}

function say(text: string): number {
  process.stdout.write(text)
  return 0
}

/** Both src/cli and dist/cli lie two folders below it. */
function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return isRecord(manifest) ? String(manifest['version']) : 'unknown'
}
