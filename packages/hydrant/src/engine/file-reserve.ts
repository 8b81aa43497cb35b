// Eight megabytes put aside. When the disk is full, SQLite can neither empty its write-ahead log nor delete old events:
// both write before they free. The reserve is given up while they do, and taken again afterwards.
//
// Nothing is appended while the reserve cannot be had, but into pages that retention has freed: otherwise events would
// use up the room that retention needs to free some, and only a person could help.

import { rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** As large as the write-ahead log grows before it is emptied: emptying it may make the database larger by as much. */
export const RESERVE_BYTES = 8_388_608

/** See the head of the file. */
export class Reserve {
  readonly #folder: string
  readonly #path: string
  #isTaken = false

  constructor(folder: string) {
    this.#folder = folder
    this.#path = join(folder, 'reserve')
    this.take()
  }

  /** Puts it aside, if it is not. Answers whether there was room. */
  take(): boolean {
    if (!this.#isTaken) this.#isTaken = this.#write()
    return this.#isTaken
  }

  /** Does something with the reserve given up. */
  lend<Value>(use: () => Value): Value {
    rmSync(this.#path, { force: true })
    this.#isTaken = false
    try {
      return use()
    } finally {
      this.take()
    }
  }

  #write(): boolean {
    const size = statSync(this.#path, { throwIfNoEntry: false })?.size
    if (size === RESERVE_BYTES) return true // from the last time
    const { bavail, bsize } = statfsSync(this.#folder)
    if (bavail * bsize < RESERVE_BYTES) return false
    try {
      writeFileSync(this.#path, new Uint8Array(RESERVE_BYTES))
      return true
    } catch {
      rmSync(this.#path, { force: true }) // no room after all: what little there is must not be taken from the log
      return false
    }
  }
}
