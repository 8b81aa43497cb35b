// The lock of a log's folder: one process writes it. Held by SQLite on a file of its own, since the log itself is
// shared with our own reader; the system lets go of it however the process ends, kill -9 included.

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Takes the lock, or throws SQLite's `busy`. Closing what it answers lets go. */
export function lockFolder(folder: string): DatabaseSync {
  const lock = new DatabaseSync(join(folder, 'lock.sqlite'))
  try {
    // Without a journal on disk it writes nothing, and can be taken on a full disk too.
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    throw error
  }
}
