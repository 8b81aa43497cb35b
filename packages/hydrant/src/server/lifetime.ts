// From start to exit: what stops a running server, and how it may still be hurried.

/** What is run. */
export interface Stoppable {
  close(): Promise<void>
}

/**
 * Signals that come so soon after the first one are the same wish: Ctrl-C under `npm start` reaches this process twice,
 * from the terminal and from npm. Without it the farewells would be cut off each time.
 */
export const SAME_WISH_MS: number = 300

/**
 * Runs until SIGTERM, SIGINT or an error that nobody caught; answers the exit code once all is closed. A second signal
 * exits at once, with code 1. `log` is told a line.
 */
export function runUntilStopped(server: Stoppable, log: (line: string) => void): Promise<number> {
  return new Promise((resolve) => {
    let exitCode = 0
    let stoppedMs: number | undefined
    const stop = (): void => {
      if (stoppedMs !== undefined) return
      stoppedMs = performance.now()
      server
        .close()
        .catch((error: unknown) => fail('could not close', error))
        .finally(() => resolve(exitCode))
    }
    const fail = (what: string, error: unknown): void => {
      exitCode = 1
      log(`${what}: ${oneLine(error)}`)
    }
    const onSignal = (): void => {
      if (stoppedMs !== undefined && performance.now() - stoppedMs > SAME_WISH_MS) process.exit(1)
      stop()
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
    process.on('uncaughtException', (error) => {
      fail('stopping, for an error that nobody caught', error)
      stop()
    })
  })
}

/** An error with its stack, on one line, so that a log keeps it together. */
export function oneLine(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return stack.replaceAll(/\s*\n\s*/g, ' | ')
}
