// Waiting for a condition, never for a fixed time.

import assert from 'node:assert/strict'

/** Resolves once the condition holds; rejects with `what` was waited for after `waitMs`, by default 10 s. */
export async function until(condition: () => boolean, what: string | (() => string), waitMs = 10_000): Promise<void> {
  const endMs = performance.now() + waitMs
  while (!condition()) {
    assert.ok(performance.now() < endMs, `waited ${waitMs} ms for ${typeof what === 'string' ? what : what()}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
