// SIGINT and SIGTERM for commands that end by themselves: the first is a wish, the second an order.

import { SAME_WISH_MS } from '../server/lifetime.ts'

/** What a signal's number is added to for an exit code, as shells do. */
const EXIT_CODE_BASE = 128
const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const

/** Calls `onWish` with the exit code for it at the first signal; exits with it at the second. */
export function onInterrupt(onWish: (exitCode: number) => void): void {
  let wishedMs: number | undefined
  for (const [name, number] of Object.entries(SIGNALS)) {
    process.on(name, () => {
      const exitCode = EXIT_CODE_BASE + number
      if (wishedMs === undefined) onWish(exitCode)
      else if (performance.now() - wishedMs > SAME_WISH_MS) process.exit(exitCode)
      wishedMs ??= performance.now()
    })
  }
}
