// A real build of this repository: tests and the type checker, over and over while it is wanted, both outputs into a
// file and into `npx hydrant publish`.

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { USER_ENV } from './log-reader.ts'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))

/**
 * A few lines at a time, then hundreds at once; with colours, marks beyond ASCII and empty lines; the shell says on
 * stderr what it runs. Ends with the process that started it, in whatever way that ends.
 */
const BUILD = `
build() {
  set -x
  until [ -e "$FOLDER/enough" ] || ! kill -0 $PPID; do
    npm test -- packages/hydrant/test/hub/hub.test.ts packages/hydrant/test/hub/start.test.ts
    node --test --test-isolation=none --test-reporter=tap --conditions=hydrant-source packages/{hydrant/test/hub,client/test/wire}/*.test.ts
  done
}
set -o pipefail
(build; true) 2>&1 | tee "$FOLDER/log" | npx hydrant publish "$TOPIC" --url "$URL"
`

/** A build that runs, or has run. */
export class RealBuild implements AsyncDisposable {
  /** What the publisher said. */
  said = ''
  readonly #folder: string
  readonly #child: ChildProcessWithoutNullStreams
  readonly #closed: Promise<number | null>

  constructor(url: string, topic: string) {
    this.#folder = mkdtempSync(join(tmpdir(), 'hydrant-build-'))
    this.#child = spawn('bash', ['-c', BUILD], {
      cwd: ROOT,
      env: { ...USER_ENV, FORCE_COLOR: '1', FOLDER: this.#folder, URL: url, TOPIC: topic },
      detached: true, // a process group, which can be killed as a whole
    })
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.said += text))
    this.#closed = new Promise((resolve) => this.#child.once('close', resolve))
  }

  /** The lines that went into the file. */
  get lines(): readonly string[] {
    return readFileSync(join(this.#folder, 'log'), 'utf8').replace(/\n$/, '').split('\n')
  }

  /** This round is the last one; answers the exit code of the publisher. */
  finish(): Promise<number | null> {
    writeFileSync(join(this.#folder, 'enough'), '')
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.pid !== undefined && this.#child.exitCode === null) process.kill(-this.#child.pid, 'SIGKILL')
    await this.#closed
    rmSync(this.#folder, { recursive: true })
  }
}
