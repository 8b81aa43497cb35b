// Flags that are durations.

import { durationMs } from '../hub/duration.ts'
import { UsageError } from './command.ts'

/** Reads a duration; answers milliseconds. Throws a UsageError that names the flag. */
export function parseDuration(flag: string, text: string): number {
  const ms = durationMs(text)
  if (ms === undefined) throw new UsageError(`--${flag} must be a duration like 500ms, 60s, 15m or 2h, not "${text}".`)
  return ms
}
