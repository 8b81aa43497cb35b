// What was trimmed, on disk: of each topic and type the highest offset that is gone, so that gaps are exact over
// restarts.
//
// The table is bounded. What is forgotten first stands lowest in the log, so that the floor of what is forgotten rises
// as little as it can: below it, nothing certain is known of topics that the log does not know (any more). Of a topic
// that it knows, `topics.unknown` says from where on everything is known: a quiet topic is not judged by what busy ones
// lost.

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { integerOf, numberFrom, textOf } from './file-row.ts'

/** Writes the table. Used inside of the writer's transactions only. */
export class TrimmedTable {
  readonly #rowsMax: number
  readonly #find: StatementSync
  readonly #insert: StatementSync
  readonly #raise: StatementSync
  readonly #lowest: StatementSync
  readonly #delete: StatementSync
  readonly #isUsed: StatementSync
  readonly #forgetTopic: StatementSync
  readonly #markTopic: StatementSync
  /** Noted in this transaction and not yet written, by topic and type: many events of one pair are one row. */
  readonly #noted = new Map<
    string,
    { readonly topic: number; readonly type: string; readonly highest: number; readonly newest: number }
  >()
  /** Rows in the table. */
  rows: number

  constructor(database: DatabaseSync, rowsMax: number) {
    this.#rowsMax = rowsMax
    this.#find = database.prepare('SELECT highest FROM trimmed WHERE topic = ? AND type = ?')
    this.#insert = database.prepare('INSERT INTO trimmed VALUES (?, ?, ?, ?)')
    this.#raise = database.prepare(
      'UPDATE trimmed SET highest = max(highest, ?), newest = max(newest, ?) WHERE topic = ? AND type = ?',
    )
    this.#lowest = database.prepare('SELECT topic, type, highest FROM trimmed ORDER BY highest LIMIT ?')
    this.#delete = database.prepare('DELETE FROM trimmed WHERE topic = ? AND type = ?')
    this.#isUsed = database.prepare(
      'SELECT EXISTS (SELECT 1 FROM events WHERE topic = ?1) + EXISTS (SELECT 1 FROM trimmed WHERE topic = ?1) AS used',
    )
    this.#forgetTopic = database.prepare('DELETE FROM topics WHERE id = ?')
    this.#markTopic = database.prepare('UPDATE topics SET unknown = max(unknown, ?) WHERE id = ?')
    this.rows = numberFrom(database, 'SELECT count(*) FROM trimmed')
  }

  /** An event leaves the log; `isSuperseded`: a newer one of its key stands for its state. */
  note(topic: number, type: string, offset: number, isSuperseded: boolean): void {
    const name = `${topic} ${type}`
    const { highest, newest } = this.#noted.get(name) ?? { highest: 0, newest: 0 }
    this.#noted.set(name, {
      topic,
      type,
      highest: Math.max(highest, offset),
      newest: isSuperseded ? newest : Math.max(newest, offset),
    })
  }

  /**
   * Writes what was noted, and forgets what is too much. `onTopic` is told of each topic that the log no longer knows;
   * answers the highest offset forgotten, 0 when none was.
   */
  write(onTopic: (topic: number) => void): number {
    for (const { topic, type, highest, newest } of this.#noted.values()) {
      if (this.#find.get(topic, type) === undefined) {
        this.#insert.run(topic, type, highest, newest)
        this.rows += 1
      } else this.#raise.run(highest, newest, topic, type)
    }
    this.#noted.clear()
    return this.rows > this.#rowsMax ? this.#forget(onTopic) : 0
  }

  /** The transaction is undone. */
  rollback(rows: number): void {
    this.rows = rows
    this.#noted.clear()
  }

  #forget(onTopic: (topic: number) => void): number {
    let forgotten = 0
    for (const row of this.#lowest.all(this.rows - this.#rowsMax)) {
      const [topic, highest] = [integerOf(row, 'topic'), integerOf(row, 'highest')]
      this.#delete.run(topic, textOf(row, 'type'))
      this.rows -= 1
      forgotten = Math.max(forgotten, highest)
      const used = this.#isUsed.get(topic)
      if (used !== undefined && integerOf(used, 'used') > 0) this.#markTopic.run(highest, topic)
      else {
        this.#forgetTopic.run(topic)
        onTopic(topic)
      }
    }
    return forgotten
  }
}
