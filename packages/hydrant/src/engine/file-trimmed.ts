// What was trimmed, on disk: of each topic and type the highest offset that is gone, so that gaps are exact over
// restarts.
//
// The table is bounded. What is forgotten first stands lowest in the log, so that the floor of what is forgotten rises
// as little as it can: below it, nothing certain is known of topics that the log does not know (any more). Of a topic
// that it knows, `topics.unknown` says from where on everything is known: a quiet topic is not judged by what busy ones
// lost.

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { FilePlaces } from './file-places.ts'
import { integerOf, numberFrom, textOf } from './file-row.ts'

/** Whether a newer event of the same key is there: none, one of whatever type, or one of its own type. */
export type Superseded = 'no' | 'of another type' | 'of its type'

/** Writes the table. Used inside of the writer's transactions only. */
export class TrimmedTable {
  readonly #rowsMax: number
  readonly #find: StatementSync
  readonly #insert: StatementSync
  readonly #raise: StatementSync
  readonly #lowest: StatementSync
  readonly #delete: StatementSync
  readonly #isNoted: StatementSync
  readonly #places: FilePlaces
  readonly #forgetTopic: StatementSync
  readonly #markTopic: StatementSync
  /** Noted in this transaction and not yet written, by topic and type: many events of one pair are one row. */
  readonly #noted = new Map<
    string,
    {
      readonly topic: number
      readonly type: string
      readonly highest: number
      readonly newest: number
      readonly newestOfType: number
    }
  >()
  /** Rows in the table. */
  rows: number

  constructor(database: DatabaseSync, places: FilePlaces, rowsMax: number) {
    this.#places = places
    this.#rowsMax = rowsMax
    this.#find = database.prepare('SELECT highest FROM trimmed WHERE topic = ? AND type = ?')
    this.#insert = database.prepare('INSERT INTO trimmed VALUES (?, ?, ?, ?, ?)')
    this.#raise = database.prepare(
      'UPDATE trimmed SET highest = max(highest, ?), newest = max(newest, ?), ' +
        'newest_of_type = max(newest_of_type, ?) WHERE topic = ? AND type = ?',
    )
    this.#lowest = database.prepare('SELECT topic, type, highest FROM trimmed ORDER BY highest LIMIT ?')
    this.#delete = database.prepare('DELETE FROM trimmed WHERE topic = ? AND type = ?')
    this.#isNoted = database.prepare('SELECT EXISTS (SELECT 1 FROM trimmed WHERE topic = ?1) AS noted')
    this.#forgetTopic = database.prepare('DELETE FROM topics WHERE id = ?')
    this.#markTopic = database.prepare('UPDATE topics SET unknown = max(unknown, ?) WHERE id = ?')
    this.rows = numberFrom(database, 'SELECT count(*) FROM trimmed')
  }

  /** An event leaves the log; `superseded`: what a newer one of its key stands for it to. */
  note(topic: number, type: string, offset: number, superseded: Superseded): void {
    const name = `${topic} ${type}`
    const { highest, newest, newestOfType } = this.#noted.get(name) ?? { highest: 0, newest: 0, newestOfType: 0 }
    this.#noted.set(name, {
      topic,
      type,
      highest: Math.max(highest, offset),
      newest: superseded === 'no' ? Math.max(newest, offset) : newest,
      newestOfType: superseded === 'of its type' ? newestOfType : Math.max(newestOfType, offset),
    })
  }

  /**
   * Writes what was noted, and forgets what is too much. `onTopic` is told of each topic that the log no longer knows;
   * answers the highest offset forgotten, 0 when none was.
   */
  write(onTopic: (topic: number) => void): number {
    for (const { topic, type, highest, newest, newestOfType } of this.#noted.values()) {
      if (this.#find.get(topic, type) === undefined) {
        this.#insert.run(topic, type, highest, newest, newestOfType)
        this.rows += 1
      } else this.#raise.run(highest, newest, newestOfType, topic, type)
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
      if (this.#places.has(topic) || integerOf(this.#isNoted.get(topic) ?? {}, 'noted') === 1)
        this.#markTopic.run(highest, topic)
      else {
        this.#forgetTopic.run(topic)
        onTopic(topic)
      }
    }
    return forgotten
  }
}
