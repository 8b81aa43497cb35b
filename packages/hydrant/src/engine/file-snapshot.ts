// Snapshots of a log on disk, for reading.
//
// What is read in one is of one moment, and it is answered only once the tail was told of all that the snapshot has:
// whoever reads never sees more than whoever listens, and what retention took out in an append is judged together with
// it.

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { HydrantError, InvariantError } from '../hub/errors.ts'
import { openReader } from './file-database.ts'
import { integerOf, type Row } from './file-row.ts'

/** The log at a moment. */
export interface Snapshot {
  readonly head: number
  /** Nothing at or below it is kept. */
  readonly floor: number
  /** At or below it, what is gone may be forgotten. */
  readonly forgotten: number
}

/** How long to wait for the main thread to hear of a commit, before it is taken for dead. */
const TOLD_WAIT_MS = 10_000

/** A connection that reads. */
export class FileSnapshots {
  readonly #database: DatabaseSync
  readonly #told: BigInt64Array<SharedArrayBuffer>
  readonly #prepared = new Map<string, StatementSync>()

  /** `told`: the newest offset that the tail was told of; notified when it grows. */
  constructor(folder: string, told: SharedArrayBuffer) {
    this.#database = openReader(folder)
    this.#told = new BigInt64Array(told)
  }

  /** Reads in a snapshot of its own. */
  read<Value>(work: (snapshot: Snapshot) => Value): Value {
    this.#database.exec('BEGIN')
    try {
      const row = this.get(
        'SELECT head, forgotten, coalesce((SELECT min(offset) - 1 FROM events), head) AS floor FROM state',
      )
      if (row === undefined) throw new InvariantError('the log has no state')
      const head = integerOf(row, 'head')
      this.#awaitTold(head)
      return work({ head, floor: integerOf(row, 'floor'), forgotten: integerOf(row, 'forgotten') })
    } finally {
      this.#database.exec('ROLLBACK')
    }
  }

  /** The first row of a statement. */
  get(sql: string, ...values: (string | number)[]): Row | undefined {
    return this.#statement(sql).get(...values)
  }

  /** All rows of a statement. */
  all(sql: string, ...values: (string | number)[]): readonly Row[] {
    return this.#statement(sql).all(...values)
  }

  /** Row by row, for those that stop early. A statement must not be begun again meanwhile. */
  iterate(sql: string, ...values: (string | number)[]): Iterable<Row> {
    return this.#statement(sql).iterate(...values)
  }

  /** Ends. */
  close(): void {
    this.#database.close()
  }

  #awaitTold(head: number): void {
    const endMs = performance.now() + TOLD_WAIT_MS
    for (let told = Atomics.load(this.#told, 0); told < head; told = Atomics.load(this.#told, 0)) {
      if (performance.now() > endMs)
        throw new HydrantError('unavailable', 'The log has events that were not acknowledged yet. Try again.')
      Atomics.wait(this.#told, 0, told, 100)
    }
  }

  #statement(sql: string): StatementSync {
    let statement = this.#prepared.get(sql)
    if (statement === undefined) this.#prepared.set(sql, (statement = this.#database.prepare(sql)))
    return statement
  }
}
