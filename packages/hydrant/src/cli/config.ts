// `hydrant config`: what a server would run with, and where each value comes from.

import type { Command } from './command.ts'
import { configurationOf, LIMIT_FLAGS, SETTING_FLAGS, shownValue } from './setting-flags.ts'

/** See the head of the file. */
export const config: Command = {
  name: 'config',
  usage: '',
  summary: 'print the effective configuration, and where each value comes from',
  details: 'Takes the flags of hydrant serve. It checks file, environment and flags, and starts nothing.',
  flags: [...SETTING_FLAGS, ...LIMIT_FLAGS],
  words: { min: 0, max: 0 },
  run: async (_words, flags) => {
    const { effective } = configurationOf(flags)
    const rows = effective.map(({ key, value, source }) => [key, shownValue(value), source] as const)
    const keyWidth = Math.max(...rows.map(([key]) => key.length))
    const valueWidth = Math.max(...rows.map(([, value]) => value.length))
    for (const [key, value, source] of rows) {
      process.stdout.write(`${key.padEnd(keyWidth)}  ${value.padEnd(valueWidth)}  ${source}\n`)
    }
    return 0
  },
}
