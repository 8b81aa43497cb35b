// The state of a log on disk: of each key of a topic the newest event, as of any offset.

import { integerOf, textOrNull, type Row } from './file-row.ts'
import type { Resolved } from './file-selection.ts'
import type { FileSnapshots } from './file-snapshot.ts'
import { newestOfTopic } from './file-topic-rows.ts'

/** Lists of state that are kept for the next page; a reader of state asks for one page after the other. */
const LISTS_MAX = 8

/** Topics whose newest event without a key is remembered. */
const REMEMBERED_MAX = 100_000

/** Every key of a topic, by leaps through the index, and the newest of each: events in between are not looked at. */
function newestOfKeys(types: Types): string {
  return `
WITH RECURSIVE keys(key) AS (
  SELECT min(key) FROM events WHERE topic = ?1 AND key IS NOT NULL
  UNION ALL
  SELECT (SELECT min(key) FROM events WHERE topic = ?1 AND key > keys.key) FROM keys WHERE keys.key IS NOT NULL
)
SELECT (
  SELECT max(offset) FROM events WHERE topic = ?1 AND key = keys.key AND offset <= ?2 ${isType(types, 3)}
) AS offset
FROM keys WHERE key IS NOT NULL`
}

/** Types that are wanted; undefined for all. Of other types nothing counts: they are as if they were not in the log. */
type Types = readonly string[] | undefined

/** A condition on the type, of which parameter. */
function isType(types: Types, parameter: number): string {
  return types === undefined ? '' : `AND coalesce(type, 'message') IN (SELECT value FROM json_each(?${parameter}))`
}

function parametersOf(types: Types): readonly string[] {
  return types === undefined ? [] : [JSON.stringify(types)]
}

/** See the head of the file. Used inside of a snapshot. */
export class FileStates {
  readonly #log: FileSnapshots
  readonly #lists = new Map<string, readonly number[]>()
  /**
   * Of topics and types: the newest event without a key, as far as was looked. Spares looking through a topic that has
   * none.
   */
  readonly #keyless = new Map<string, { readonly upTo: number; readonly newest: number }>()

  constructor(log: FileSnapshots) {
    this.#log = log
  }

  /** Whether an event, a row with `offset`, `topic` and `key`, is the newest of its key as of an offset. */
  isNewest(row: Row, to: number, types: Types): boolean {
    const [topic, key] = [integerOf(row, 'topic'), textOrNull(row, 'key')]
    const newest = key === null ? this.#newestWithoutKey(topic, to, types) : this.#newestOf(topic, key, to, types)
    return newest === integerOf(row, 'offset')
  }

  /** Whether no newer event has its key; events without a key stand for themselves. */
  isCurrent(row: Row, to: number, types: Types): boolean {
    return textOrNull(row, 'key') === null || this.isNewest(row, to, types)
  }

  /** Offsets of the state of topics as of an offset, ascending; those that were emptied too. */
  offsets({ wanted }: Resolved, ids: readonly number[], to: number): readonly number[] {
    const name = `${to} ${wanted.topics.join(' ')} ${JSON.stringify(wanted.types)}`
    let list = this.#lists.get(name)
    this.#lists.delete(name)
    list ??= ids.flatMap((id) => this.#ofTopic(id, to, wanted.types)).toSorted((left, right) => left - right)
    this.#lists.set(name, list)
    for (const oldest of this.#lists.keys()) {
      if (this.#lists.size <= LISTS_MAX) break
      this.#lists.delete(oldest)
    }
    return list
  }

  #ofTopic(topic: number, to: number, types: Types): readonly number[] {
    const rows = this.#log.all(newestOfKeys(types), topic, to, ...parametersOf(types))
    const keyed = rows.map((row) => Number(row['offset'] ?? 0)) // a key all of whose events came later answers null
    return [...keyed, this.#newestWithoutKey(topic, to, types)].filter((offset) => offset > 0)
  }

  #newestOf(topic: number, key: string, to: number, types: Types): number {
    const sql = `SELECT max(offset) AS offset FROM events
      WHERE topic = ?1 AND key = ?2 AND offset <= ?3 ${isType(types, 4)}`
    return Number(this.#log.get(sql, topic, key, to, ...parametersOf(types))?.['offset'] ?? 0)
  }

  #newestWithoutKey(topic: number, to: number, types: Types): number {
    const name = `${topic} ${JSON.stringify(types)}`
    const known = this.#keyless.get(name) ?? { upTo: 0, newest: 0 }
    if (to <= known.upTo && known.newest <= to) return known.newest
    const after = to > known.upTo ? known.upTo : 0
    const [found] = newestOfTopic(this.#log, topic, { after, to }, { count: 1, types, isWithoutKey: true })
    const newest = found ?? (after > 0 ? known.newest : 0)
    if (this.#keyless.size >= REMEMBERED_MAX) this.#keyless.clear()
    if (to > known.upTo) this.#keyless.set(name, { upTo: to, newest })
    return newest
  }
}
