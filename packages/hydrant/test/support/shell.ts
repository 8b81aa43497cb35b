// A line of shell, with everything that it starts in one group, so that nothing of it is left behind.

import { spawn, type ChildProcess } from 'node:child_process'
import { until } from './until.ts'

/** Runs at once; killed when it is disposed of. */
export class Shell implements AsyncDisposable {
  /** What it has said on both outputs. */
  output = ''
  /** Undefined while it runs; -1 when it was killed. */
  exitCode: number | undefined
  readonly #child: ChildProcess
  readonly #closed: Promise<void>

  constructor(line: string) {
    this.#child = spawn('bash', ['-c', `set -o pipefail; ${line}`], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const pipe of [this.#child.stdout, this.#child.stderr])
      pipe?.on('data', (bytes) => (this.output += String(bytes)))
    this.#closed = new Promise((resolve) => {
      this.#child.on('close', (code) => {
        this.exitCode = code ?? -1
        resolve()
      })
    })
  }

  /** Waits for something in what it said. */
  async hear(words: string): Promise<void> {
    await until(
      () => this.output.includes(words),
      () => `${words} in ${this.output}`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { pid } = this.#child
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL')
    } catch {
      // all of it has ended
    }
    await this.#closed
  }
}
