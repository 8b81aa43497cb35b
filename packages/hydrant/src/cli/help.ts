// The help: made from the commands and their flags, so that it cannot fall behind them.

import type { Command } from './command.ts'
import type { Flag } from './flags.ts'
import { LIMIT_FLAGS } from './setting-flags.ts'

const WIDTH = 100
const INDENT = 6

/** `hydrant --help`. */
export function helpText(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => titleOf(command).length))
  return [
    'hydrant delivers events to many clients over SSE and WebSocket.',
    '',
    ...commands.map((command) => `  ${titleOf(command).padEnd(width)}  ${command.summary}`),
    '',
    'hydrant help <command> says more; hydrant --version says which this is.',
    '',
  ].join('\n')
}

/** `hydrant help <command>`. */
export function helpOf(command: Command): string {
  const limits = command.flags.filter((flag) => LIMIT_FLAGS.includes(flag))
  const others = command.flags.filter((flag) => !LIMIT_FLAGS.includes(flag))
  return [
    `${titleOf(command)}: ${command.summary}`,
    '',
    ...command.details.split('\n'),
    '',
    ...others.flatMap(helpOfFlag),
    ...(limits.length === 0 ? [] : ['', 'Limits:', '', ...limits.flatMap(helpOfFlag)]),
    '',
  ].join('\n')
}

function titleOf({ name, usage }: Command): string {
  return `hydrant ${name}${usage === '' ? '' : ` ${usage}`}`
}

function helpOfFlag(flag: Flag): readonly string[] {
  const value = flag.placeholder === undefined ? '' : ` ${flag.placeholder}`
  const byDefault = flag.default === undefined ? '' : `  (default ${flag.default})`
  return [`  --${flag.name}${value}${byDefault}`, ...wrap(flag.description)]
}

function wrap(text: string): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && INDENT + line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = ''
    }
    line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map((one) => ' '.repeat(INDENT) + one)
}
