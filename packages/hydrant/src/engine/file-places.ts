// Where the events of each topic lie in the log: the index by topic, written for many events at a time.
//
//   offset  1 2 3 4 5 6 7 8 │ 9 10      places: topic, last → how far before the last its events lie
//   topic   a b a a c a b a │ a  b              a, 8 → [7 5 4 2 0]   b, 7 → [5 0]   c, 5 → [0]
//           a chapter       │ the tail, which has no places yet
//
// An index row for each event made a commit of a hundred events in as many topics write a hundred pages: half of the
// throughput. A row here may name events that are gone, so readers look each one up; a row of which every event is gone
// goes too, and a topic that the log has no event of has no row.

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { integerOf, numberFrom, type Row } from './file-row.ts'

/** Events of a chapter, at least: its end writes a page for each of its topics, and its tail is looked through. */
export const CHAPTER_EVENTS = 2_048

/** Events of places, as what a statement selects from; they come in the order `place.last, distance.key`. */
export const EVENTS_OF_PLACES: string =
  'places AS place CROSS JOIN json_each(place.distances) AS distance ' +
  'CROSS JOIN events ON events.offset = place.last - distance.value'

/** The index as its writer sees it. Used inside of its transactions only. */
export class FilePlaces {
  readonly #database: DatabaseSync
  readonly #chapterEvents: number
  readonly #insert: StatementSync
  readonly #delete: StatementSync
  readonly #find: StatementSync
  readonly #isEmpty: StatementSync
  readonly #newest: StatementSync
  readonly #event: StatementSync
  /** Offsets of the tail, by topic; some of them may be gone. */
  readonly #tail = new Map<number, number[]>()
  readonly #goneOfTail = new Set<number>()
  /** What this transaction took out of chapters, by topic. */
  readonly #goneOfChapters = new Map<number, number[]>()
  #indexed = 0
  #isKnown = false

  constructor(database: DatabaseSync, chapterEvents: number) {
    this.#database = database
    this.#chapterEvents = chapterEvents
    this.#insert = database.prepare('INSERT INTO places VALUES (?, ?, ?)')
    this.#delete = database.prepare('DELETE FROM places WHERE topic = ? AND last = ?')
    this.#find = database.prepare('SELECT last FROM places WHERE topic = ? AND last >= ? ORDER BY last LIMIT 1')
    this.#isEmpty = database.prepare(
      `SELECT NOT EXISTS (SELECT 1 FROM ${EVENTS_OF_PLACES} WHERE place.topic = ? AND place.last = ?) AS empty`,
    )
    this.#newest = database.prepare('SELECT max(last) AS last FROM places WHERE topic = ?')
    this.#event = database.prepare('SELECT 1 FROM events WHERE offset = ?')
    this.begin()
  }

  /** The newest offset that the index has; what follows is the tail. */
  get indexed(): number {
    return this.#indexed
  }

  /** A transaction begins. */
  begin(): void {
    if (this.#isKnown) return
    this.#indexed = numberFrom(this.#database, 'SELECT indexed FROM state')
    this.#tail.clear()
    this.#goneOfTail.clear()
    this.#goneOfChapters.clear()
    const rows = this.#database.prepare('SELECT offset, topic FROM events WHERE offset > ? ORDER BY offset')
    for (const row of rows.iterate(this.#indexed)) this.added(integerOf(row, 'topic'), integerOf(row, 'offset'))
    this.#isKnown = true
  }

  /** The transaction is undone. */
  rollback(): void {
    this.#isKnown = false
  }

  /** An event was appended. */
  added(topic: number, offset: number): void {
    const offsets = this.#tail.get(topic)
    if (offsets === undefined) this.#tail.set(topic, [offset])
    else offsets.push(offset)
  }

  /** An event has left. */
  removed(topic: number, offset: number): void {
    if (offset > this.#indexed) {
      this.#goneOfTail.add(offset)
      return
    }
    const offsets = this.#goneOfChapters.get(topic)
    if (offsets === undefined) this.#goneOfChapters.set(topic, [offset])
    else offsets.push(offset)
  }

  /** Writes what the transaction changed, and ends the chapter when it is long enough. */
  write(head: number): void {
    for (const [topic, offsets] of this.#goneOfChapters) this.#clean(topic, offsets)
    this.#goneOfChapters.clear()
    if (head - this.#indexed >= this.#chapterEvents) this.#endChapter(head)
  }

  /** Whether there may be an event of a topic. Only valid after `write`. */
  has(topic: number): boolean {
    return this.#newestOf(topic) > 0 || (this.#tail.get(topic) ?? []).some((offset) => !this.#goneOfTail.has(offset))
  }

  /** The newest offset that a topic is known to have had; 0 when none is. */
  lastOf(topic: number): number {
    return this.#tail.get(topic)?.at(-1) ?? this.#newestOf(topic)
  }

  /** Of a topic, offsets of the tail after a place. */
  tailOf(topic: number, after: number): readonly number[] {
    return (this.#tail.get(topic) ?? []).filter((offset) => offset > after && !this.#goneOfTail.has(offset))
  }

  #newestOf(topic: number): number {
    return Number(this.#newest.get(topic)?.['last'] ?? 0)
  }

  /** Rows that these events were in, and of which no event is left. */
  #clean(topic: number, gone: readonly number[]): void {
    let last = 0
    for (const offset of gone.toSorted((left, right) => left - right)) {
      if (offset <= last) continue
      last = this.#lastOf(this.#find.get(topic, offset))
      if (this.#event.get(last) === undefined && this.#isEmptyRow(topic, last)) this.#delete.run(topic, last)
    }
  }

  #isEmptyRow(topic: number, last: number): boolean {
    return integerOf(this.#isEmpty.get(topic, last) ?? {}, 'empty') === 1
  }

  #lastOf(row: Row | undefined): number {
    return row === undefined ? Number.POSITIVE_INFINITY : integerOf(row, 'last')
  }

  #endChapter(head: number): void {
    for (const topic of [...this.#tail.keys()].toSorted((left, right) => left - right)) {
      const offsets = this.tailOf(topic, 0)
      const last = offsets.at(-1)
      if (last === undefined) continue
      this.#insert.run(topic, last, JSON.stringify(offsets.map((offset) => last - offset)))
    }
    this.#tail.clear()
    this.#goneOfTail.clear()
    this.#indexed = head
  }
}
