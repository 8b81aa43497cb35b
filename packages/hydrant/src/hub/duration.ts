// Durations as people write them: 500ms, 60s, 15m, 2h, 7d.

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds; undefined when the text is no duration, or has more digits than allowed. */
export function durationMs(text: string, digitsMax = 9): number | undefined {
  const [, digits = '', unit = ''] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? []
  const unitMs = UNITS_MS[unit]
  return unitMs === undefined || digits.length > digitsMax ? undefined : Number(digits) * unitMs
}
