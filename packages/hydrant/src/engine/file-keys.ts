// Idempotency keys on disk: a request that was stored is known again after a restart, for as long as the limits say.

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Limits } from '../hub/limits.ts'
import type { Idempotency } from './engine.ts'
import type { Refused, Stored } from './file-messages.ts'
import { integerOf, numberFrom, textOf } from './file-row.ts'

/** The refusal of a request whose key stands for another body. */
export const KEY_CONFLICT: Refused = {
  code: 'idempotency-conflict',
  message: 'This idempotency key stands for a request with another body. Use a new key for a new event.',
}

/** Reads and writes the table. Used inside of the writer's transactions only. */
export class FileKeys {
  readonly #limits: Limits
  readonly #find: StatementSync
  readonly #insert: StatementSync
  readonly #expire: StatementSync
  readonly #shrink: StatementSync
  readonly #oldest: StatementSync
  readonly #newest: StatementSync
  /** Whether there may be a row at all: most publishers give no keys. */
  #isUsed: boolean

  constructor(database: DatabaseSync, limits: Limits) {
    this.#limits = limits
    this.#find = database.prepare('SELECT fingerprint, first, at FROM idempotency WHERE key = ?')
    this.#insert = database.prepare(
      'INSERT OR REPLACE INTO idempotency (key, fingerprint, first, at) VALUES (?, ?, ?, ?)',
    )
    this.#expire = database.prepare(
      'DELETE FROM idempotency WHERE id IN (SELECT id FROM idempotency ORDER BY id LIMIT ?) AND at <= ?',
    )
    this.#shrink = database.prepare('DELETE FROM idempotency WHERE id < ?')
    this.#oldest = database.prepare('SELECT id, at FROM idempotency ORDER BY id LIMIT 1')
    this.#newest = database.prepare('SELECT id FROM idempotency ORDER BY id DESC LIMIT 1')
    this.#isUsed = numberFrom(database, 'SELECT EXISTS (SELECT 1 FROM idempotency)') === 1
  }

  /** What a request was answered before; undefined when it is a first one. */
  find({ key, fingerprint }: Idempotency, timeMs: number): Stored | Refused | undefined {
    const row = this.#find.get(key)
    if (row === undefined || integerOf(row, 'at') <= timeMs - this.#limits.idempotencyMs) return undefined
    return textOf(row, 'fingerprint') === fingerprint ? { first: integerOf(row, 'first'), isNew: false } : KEY_CONFLICT
  }

  /** Remembers the answer to a request. */
  add(idempotency: Idempotency, first: number, timeMs: number): void {
    this.#insert.run(idempotency.key, idempotency.fingerprint, first, timeMs)
    this.#isUsed = true
  }

  /** Forgets what is too old, up to so many, and what is too much. */
  expire(timeMs: number, rowsMax: number): void {
    if (!this.#isUsed) return
    const oldest = this.#oldest.get()
    const newest = this.#newest.get()
    if (oldest === undefined || newest === undefined) {
      this.#isUsed = false
      return
    }
    const { idempotencyMs, idempotencyKeysMax } = this.#limits
    if (integerOf(oldest, 'at') <= timeMs - idempotencyMs) this.#expire.run(rowsMax, timeMs - idempotencyMs)
    const excess = integerOf(newest, 'id') - integerOf(oldest, 'id') + 1 - idempotencyKeysMax
    if (excess > 0) this.#shrink.run(integerOf(oldest, 'id') + excess)
  }

  /** The transaction is undone. */
  rollback(): void {
    this.#isUsed = true
  }
}
