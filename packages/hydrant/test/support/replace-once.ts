// A change to a text that is somebody else's: what is replaced must stand there exactly once, or the test is about
// something that no longer exists.

import assert from 'node:assert/strict'

/** Replaces each key by its value. */
export function replaceOnce(text: string, replacements: Readonly<Record<string, string>>): string {
  let result = text
  for (const [from, to] of Object.entries(replacements)) {
    const parts = result.split(from)
    assert.equal(parts.length, 2, `${JSON.stringify(from)} stands ${parts.length - 1} times in:\n${result}`)
    result = parts.join(to)
  }
  return result
}
