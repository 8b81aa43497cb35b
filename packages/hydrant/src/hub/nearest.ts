// Which known name a misspelled one was meant to be.

/**
 * The known name that needs the fewest edits, when that is at most a third of its letters (at least one, at
 * most three).
 */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Number.POSITIVE_INFINITY
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase().slice(0, 64), candidate.toLowerCase())
    const allowed = Math.min(3, Math.max(1, Math.floor(candidate.length / 3)))
    if (distance <= allowed && distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** ` Did you mean "x"?`, or nothing. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const candidate = nearest(name, known)
  return candidate === undefined ? '' : ` Did you mean "${candidate}"?`
}

/** Levenshtein's distance, a row at a time. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, at) => at)
  for (const [at, letter] of Array.from(left).entries()) {
    const next = [at + 1]
    for (const [to, other] of Array.from(right).entries()) {
      next.push(Math.min((next[to] ?? 0) + 1, (row[to + 1] ?? 0) + 1, (row[to] ?? 0) + (letter === other ? 0 : 1)))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
