// A command line as a reader types it into a terminal of the repository: run by bash, ended with everything it started.

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { USER_ENV } from './log-reader.ts'
import { until } from './until.ts'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
/** A command may start npm, which starts a shell, which starts Node. */
const PATIENCE_MS = 30_000

/** A command line that runs, or has run. */
export class Terminal implements AsyncDisposable {
  /** What it said on both of its outputs. */
  output = ''
  readonly #child: ChildProcessWithoutNullStreams
  readonly #closed: Promise<number | null>

  constructor(commandLine: string, env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn('bash', ['-o', 'pipefail', '-c', commandLine], {
      cwd: ROOT,
      env: { ...USER_ENV, ...env },
      detached: true, // a process group, which can be ended as a whole
    })
    this.#child.stdin.end()
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    this.#closed = new Promise((resolve) => this.#child.once('close', resolve))
  }

  /** Waits until it has said something, and answers that; rejects when it ends without. */
  async says(what: RegExp): Promise<string> {
    await until(
      () => what.test(this.output) || this.#child.exitCode !== null,
      () => `${what} in ${JSON.stringify(this.output)}`,
      PATIENCE_MS,
    )
    const said = what.exec(this.output)
    if (said === null) throw new Error(`it ended without ${what}: ${this.output}`)
    return said[0]
  }

  /** Waits for its end: its exit code, null if a signal ended it. */
  exit(): Promise<number | null> {
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.pid !== undefined && this.#child.exitCode === null) process.kill(-this.#child.pid, 'SIGKILL')
    await this.#closed
  }
}
