// A wall clock for processes of their own, which can be set while they run; what measures durations goes on as ever.
// By libfaketime (https://github.com/wolfcw/libfaketime).

import assert from 'node:assert/strict'
import { globSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** See the head of the file. */
export class FakedClock {
  /** What a process needs in its environment. */
  readonly env: Readonly<Record<string, string>>
  readonly #path: string

  /** Its state is kept in a folder. */
  constructor(folder: string) {
    const [library] = globSync(['/usr/lib/*/faketime/libfaketimeMT.so.1', '/usr/lib*/faketime/libfaketimeMT.so.1'])
    assert.ok(library !== undefined, 'libfaketime is needed: node scripts/ensure.js --test-servers')
    this.#path = join(folder, 'clock')
    this.set(0)
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#path,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }
  }

  /** From now on it is so many seconds ahead of the real one, or behind. */
  set(aheadS: number): void {
    writeFileSync(`${this.#path}.new`, `${aheadS < 0 ? '' : '+'}${aheadS}\n`)
    renameSync(`${this.#path}.new`, this.#path)
  }
}
