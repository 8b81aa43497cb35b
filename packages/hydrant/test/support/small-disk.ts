// A disk of its own for a log, in memory, which others fill to the last byte, and free again. Making it needs root.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmdirSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** See the head of the file. */
export class SmallDisk implements Disposable {
  /** A folder on it, which is not there yet. */
  readonly log: string
  readonly #path: string

  constructor(megabytes: number) {
    this.#path = mkdtempSync(join(tmpdir(), 'hydrant-disk-'))
    this.log = join(this.#path, 'log')
    const args = ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', this.#path]
    const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' })
    assert.equal(status, 0, `mount needs root: ${stderr}`)
  }

  /** Whether there is no room left at all. */
  get isFull(): boolean {
    return statfsSync(this.#path).bavail === 0
  }

  /** Somebody else takes what is left, to the last byte; the log may have given back some of its own meanwhile. */
  fill(): void {
    for (let bytes = 1_048_576; bytes > 0; bytes = Math.floor(bytes / 2)) {
      try {
        for (;;) appendFileSync(join(this.#path, 'theirs'), Buffer.alloc(bytes))
      } catch (error) {
        assert.match(String(error), /ENOSPC/)
      }
    }
  }

  /** And gives it back. */
  free(): void {
    rmSync(join(this.#path, 'theirs'), { force: true })
  }

  [Symbol.dispose](): void {
    const { status, stderr } = spawnSync('umount', [this.#path], { encoding: 'utf8' })
    assert.equal(status, 0, `the disk is in use still: ${stderr}`)
    rmdirSync(this.#path)
  }
}
