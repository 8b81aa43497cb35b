// Durations as people write them: 500ms, 60s, 15m, 2h.

import { UsageError } from './command.ts'

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Reads a duration; answers milliseconds. Throws a UsageError that names the flag. */
export function parseDuration(flag: string, text: string): number {
  const [, digits, unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? []
  const unitMs = UNITS_MS[unit]
  if (unitMs === undefined)
    throw new UsageError(`--${flag} must be a duration like 500ms, 60s, 15m or 2h, not "${text}".`)
  return Number(digits) * unitMs
}
