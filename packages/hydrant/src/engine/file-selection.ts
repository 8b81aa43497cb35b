// A selection as a log on disk knows it: which topics it means, what is gone of them, and how rows are told apart.

import { CONTROL_TYPES } from 'hydrant-client/wire'
import { InvariantError } from '../hub/errors.ts'
import { matchesTopic } from '../hub/topic.ts'
import type { HistoryRequest } from './file-messages.ts'
import { integerOf, textOf, textOrNull, type Row } from './file-row.ts'
import type { FileSnapshots, Snapshot } from './file-snapshot.ts'

/** What is wanted. */
export type Wanted = Pick<HistoryRequest, 'topics' | 'isExact' | 'types'>

/** What a selection means at this moment. */
export interface Resolved {
  readonly wanted: Wanted
  /** The topics, when they are few enough to be read one by one from the index. */
  readonly ids: readonly number[] | undefined
  /** At or below it, what is gone may be forgotten. */
  readonly unknown: number
  /** The highest selected offset that is gone, as far as is known. */
  readonly trimmed: number
  /** The same, of what is gone for sure: of the others a newer selected one may have stood for it. */
  readonly surely: number
}

/** A column of the table of what is gone. */
type Column = 'highest' | 'newest' | 'newest_of_type'

/** A pattern that matches more topics is read by scanning. */
const INDEXED_TOPICS_MAX = 256
/** Names looked at to find those that a pattern matches. */
const NAMES_MAX = 2_000
/** Names that are kept at hand. */
const REMEMBERED_MAX = 100_000

/** See the head of the file. Used inside of a snapshot. */
export class FileSelections {
  readonly #log: FileSnapshots
  readonly #names = new Map<number, string>()

  constructor(log: FileSnapshots) {
    this.#log = log
  }

  /** Looks a selection up; `latest`: superseded events that are gone do not matter. */
  resolve(wanted: Wanted, snapshot: Snapshot, latest: boolean): Resolved {
    const topics = wanted.isExact ? this.#exactTopics(wanted.topics) : this.#matchingTopics(wanted.topics)
    const ids = topics?.map((row) => integerOf(row, 'id'))
    const isAllKnown = wanted.isExact && topics?.length === wanted.topics.length
    const unknown = isAllKnown ? Math.max(0, ...topics.map((row) => integerOf(row, 'unknown'))) : snapshot.forgotten
    const highest = (column: Column): number => {
      const found = ids === undefined ? this.#trimmedByScan(wanted, column) : this.#trimmedOf(ids, wanted.types, column)
      return Math.min(found, snapshot.head)
    }
    const trimmed = highest(latest ? (wanted.types === undefined ? 'newest' : 'newest_of_type') : 'highest')
    // Of several types one may stand for another; the end of a topic, which has no key, for none.
    const keyed = wanted.types?.filter((type) => type !== CONTROL_TYPES.end) ?? []
    const surely = latest && keyed.length > 1 ? highest('newest') : trimmed
    return { wanted, ids, unknown, trimmed, surely }
  }

  /** Tells whether a row with `topic` and `type` is selected. */
  selector({ topics, types }: Wanted): (row: Row) => boolean {
    const remembered = new Map<number, boolean>()
    return (row) => {
      if (!isTypeOf(row, types)) return false
      const id = integerOf(row, 'topic')
      let matches = remembered.get(id)
      if (matches === undefined) {
        const name = this.nameOf(id)
        remembered.set(id, (matches = topics.some((pattern) => matchesTopic(pattern, name))))
      }
      return matches
    }
  }

  /** The name of a topic. Numbers are not used again while the log is open. */
  nameOf(id: number): string {
    const known = this.#names.get(id)
    if (known !== undefined) return known
    const row = this.#log.get('SELECT name FROM topics WHERE id = ?', id)
    if (row === undefined) throw new InvariantError(`the log has events of topic ${id}, which has no name`)
    if (this.#names.size >= REMEMBERED_MAX) this.#names.clear()
    const name = textOf(row, 'name')
    this.#names.set(id, name)
    return name
  }

  #exactTopics(names: readonly string[]): readonly Row[] {
    return names.flatMap((name) => this.#log.all('SELECT id, unknown FROM topics WHERE name = ?', name))
  }

  /** By the part of each pattern before its first wildcard; undefined when too many would have to be looked at. */
  #matchingTopics(patterns: readonly string[]): readonly Row[] | undefined {
    const found = new Map<number, Row>()
    let looked = 0
    for (const pattern of patterns) {
      const rows = this.#candidates(pattern, NAMES_MAX - looked)
      looked += rows.length
      for (const row of rows) if (matchesTopic(pattern, textOf(row, 'name'))) found.set(integerOf(row, 'id'), row)
      if (looked >= NAMES_MAX || found.size > INDEXED_TOPICS_MAX) return undefined
    }
    return [...found.values()]
  }

  #candidates(pattern: string, rowsMax: number): readonly Row[] {
    const columns = 'SELECT id, name, unknown FROM topics'
    const [prefix = '', wildcard] = pattern.split('*', 2)
    if (wildcard === undefined) return this.#log.all(`${columns} WHERE name = ?`, pattern)
    // Names have no character at or beyond 0x7f.
    return this.#log.all(`${columns} WHERE name >= ? AND name < ? LIMIT ?`, prefix, `${prefix}\u007f`, rowsMax)
  }

  #trimmedOf(ids: readonly number[], types: Wanted['types'], column: Column): number {
    const sql = `SELECT max(${column}) AS highest FROM trimmed WHERE topic = ?1 ${
      types === undefined ? '' : 'AND type IN (SELECT value FROM json_each(?2))'
    }`
    const more = types === undefined ? [] : [JSON.stringify(types)]
    // A topic without a row answers null.
    return Math.max(0, ...ids.map((id) => Number(this.#log.get(sql, id, ...more)?.['highest'] ?? 0)))
  }

  /** From the highest on: once nothing higher can follow, the answer is found. */
  #trimmedByScan(wanted: Wanted, column: Column): number {
    const isSelected = this.selector(wanted)
    const sql = 'SELECT * FROM trimmed ORDER BY highest DESC'
    let found = 0
    for (const row of this.#log.iterate(sql)) {
      if (integerOf(row, 'highest') <= found) break
      if (isSelected(row)) found = Math.max(found, integerOf(row, column))
    }
    return found
  }
}

/** Whether a row's `type`, null for `message`, is wanted. */
export function isTypeOf(row: Row, types: Wanted['types']): boolean {
  return types === undefined || types.includes(textOrNull(row, 'type') ?? 'message')
}
