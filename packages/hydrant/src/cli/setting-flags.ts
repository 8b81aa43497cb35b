// The settings of the server as flags, and the configuration that a command line asks for.

import { readFileSync } from 'node:fs'
import { ConfigurationError, loadConfiguration, type LoadedConfiguration } from '../server/configuration.ts'
import { flagOf, LIMIT_SETTINGS, SETTING_KEYS, SETTINGS } from '../server/settings.ts'
import { UsageError } from './command.ts'
import type { Flag, Flags } from './flags.ts'

/** One flag for each setting but the limits. */
export const SETTING_FLAGS: readonly Flag[] = flagsOf(SETTINGS)

/** One flag for each limit. */
export const LIMIT_FLAGS: readonly Flag[] = flagsOf(LIMIT_SETTINGS)

/** The configuration from flags, environment and file. Throws a UsageError that names everything that is wrong. */
export function configurationOf(flags: Flags): LoadedConfiguration {
  const given = SETTING_KEYS.filter((key) => flags.has(flagOf(key)))
  try {
    return loadConfiguration({
      flags: new Map(given.map((key) => [key, textOf(key, flags.all(flagOf(key)))])),
      env: process.env,
      readFile: readIfThere,
    })
  } catch (error) {
    throw error instanceof ConfigurationError ? new UsageError(error.message) : error
  }
}

/** Only `--cors` means all of its values; of the others the last one counts. */
function textOf(key: string, values: readonly string[]): string {
  return key === 'cors' ? values.join(',') : (values.at(-1) ?? '')
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

interface Shown {
  readonly placeholder: string
  readonly description: string
  readonly default: unknown
}

function flagsOf(settings: Readonly<Record<string, Shown>>): readonly Flag[] {
  return Object.entries(settings).map(([key, setting]) => {
    const shown = shownValue(setting.default)
    const { placeholder, description } = setting
    return { name: flagOf(key), placeholder, description, ...(shown === '' ? {} : { default: shown }) }
  })
}

/** A setting's value as people write it. */
export function shownValue(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  if (!Array.isArray(value)) return String(value)
  return value.every((item) => typeof item === 'string') ? value.join(',') : JSON.stringify(value)
}
