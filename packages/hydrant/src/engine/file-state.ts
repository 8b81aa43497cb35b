// The state of a log on disk: of each key of a topic the newest event, as of any offset.

import { integerOf, textOrNull, type Row } from './file-row.ts'
import type { Resolved } from './file-selection.ts'
import type { FileSnapshots } from './file-snapshot.ts'

/** Lists of state that are kept for the next page; a reader of state asks for one page after the other. */
const LISTS_MAX = 8

/** Every key of a topic, by leaps through the index, and the newest of each: events in between are not looked at. */
const NEWEST_OF_KEYS = `
WITH RECURSIVE keys(key) AS (
  SELECT min(key) FROM events WHERE topic = ?1 AND key IS NOT NULL
  UNION ALL
  SELECT (SELECT min(key) FROM events WHERE topic = ?1 AND key > keys.key) FROM keys WHERE keys.key IS NOT NULL
)
SELECT (SELECT max(offset) FROM events WHERE topic = ?1 AND key = keys.key AND offset <= ?2) AS offset
FROM keys WHERE key IS NOT NULL`

/** See the head of the file. Used inside of a snapshot. */
export class FileStates {
  readonly #log: FileSnapshots
  readonly #lists = new Map<string, readonly number[]>()
  /** Of topics: the newest event without a key, as far as was looked. Spares looking through a topic that has none. */
  readonly #keyless = new Map<number, { readonly upTo: number; readonly newest: number }>()

  constructor(log: FileSnapshots) {
    this.#log = log
  }

  /** Whether an event, a row with `offset`, `topic` and `key`, is the newest of its key as of an offset. */
  isNewest(row: Row, to: number): boolean {
    const [topic, key] = [integerOf(row, 'topic'), textOrNull(row, 'key')]
    const newest = key === null ? this.#newestWithoutKey(topic, to) : this.#newestOf(topic, key, to)
    return newest === integerOf(row, 'offset')
  }

  /** Whether no newer event has its key; events without a key stand for themselves. */
  isCurrent(row: Row, to: number): boolean {
    return textOrNull(row, 'key') === null || this.isNewest(row, to)
  }

  /** Offsets of the state of topics as of an offset, ascending; those that were emptied too. */
  offsets({ wanted }: Resolved, ids: readonly number[], to: number): readonly number[] {
    const name = `${to} ${wanted.topics.join(' ')}`
    let list = this.#lists.get(name)
    this.#lists.delete(name)
    list ??= ids.flatMap((id) => this.#ofTopic(id, to)).toSorted((left, right) => left - right)
    this.#lists.set(name, list)
    for (const oldest of this.#lists.keys()) {
      if (this.#lists.size <= LISTS_MAX) break
      this.#lists.delete(oldest)
    }
    return list
  }

  #ofTopic(topic: number, to: number): readonly number[] {
    // A key all of whose events came later answers null.
    const keyed = this.#log.all(NEWEST_OF_KEYS, topic, to).map((row) => Number(row['offset'] ?? 0))
    return [...keyed, this.#newestWithoutKey(topic, to)].filter((offset) => offset > 0)
  }

  #newestOf(topic: number, key: string, to: number): number {
    const sql = 'SELECT max(offset) AS offset FROM events WHERE topic = ? AND key = ? AND offset <= ?'
    return Number(this.#log.get(sql, topic, key, to)?.['offset'] ?? 0)
  }

  #newestWithoutKey(topic: number, to: number): number {
    const known = this.#keyless.get(topic) ?? { upTo: 0, newest: 0 }
    if (to <= known.upTo && known.newest <= to) return known.newest
    const after = to > known.upTo ? known.upTo : 0
    const sql =
      'SELECT offset FROM events ' +
      'WHERE topic = ? AND offset > ? AND offset <= ? AND key IS NULL ORDER BY offset DESC LIMIT 1'
    const row = this.#log.get(sql, topic, after, to)
    const newest = row === undefined ? (after > 0 ? known.newest : 0) : integerOf(row, 'offset')
    if (to > known.upTo) this.#keyless.set(topic, { upTo: to, newest })
    return newest
  }
}
