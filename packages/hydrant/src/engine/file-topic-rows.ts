// The events of topics as a reader sees them: chapters from the index by topic, the tail by looking through it (see
// file-places.ts).

import { EVENTS_OF_PLACES } from './file-places.ts'
import { integerOf, type Row } from './file-row.ts'
import type { FileSnapshots } from './file-snapshot.ts'

/** A part of the log: (after, to]. */
export interface Span {
  readonly after: number
  readonly to: number
}

/** Rows of events, and how far they reach: there is no other one of these topics up to `to`. */
export interface TopicRows {
  readonly rows: readonly Row[]
  readonly to: number
}

const COLUMNS = 'events.offset, events.topic, events.type, events.key'
const IN_SPAN = 'events.offset > ?2 AND events.offset <= ?3'
const OF_TAIL = 'events.offset > max(?2, (SELECT indexed FROM state)) AND events.offset <= ?3'

/** The oldest of each topic in a span, ascending, up to so many of each; where that was not enough, the span ends. */
export function oldestOfTopics(log: FileSnapshots, ids: readonly number[], span: Span, rowsMax: number): TopicRows {
  const sql =
    `SELECT ${COLUMNS} FROM ${EVENTS_OF_PLACES} WHERE place.topic = ?1 AND place.last > ?2 AND ${IN_SPAN} ` +
    'ORDER BY place.last, distance.key LIMIT ?4'
  let { to } = span
  const rows: Row[] = []
  for (const id of ids) {
    const page = log.all(sql, id, span.after, to, rowsMax)
    const last = page.at(-1)
    if (page.length === rowsMax && last !== undefined) to = Math.min(to, integerOf(last, 'offset'))
    for (const row of page) rows.push(row)
  }
  const tail = `SELECT ${COLUMNS} FROM events WHERE topic IN (SELECT value FROM json_each(?1)) AND ${OF_TAIL}`
  for (const row of log.iterate(tail, JSON.stringify(ids), span.after, to)) rows.push(row)
  const inSpan = rows.filter((row) => integerOf(row, 'offset') <= to)
  return { rows: inSpan.toSorted((left, right) => integerOf(left, 'offset') - integerOf(right, 'offset')), to }
}

/** Which events of a topic. */
export interface Newest {
  /** At most so many. */
  readonly count: number
  /** Undefined: all. */
  readonly types?: readonly string[] | undefined
  /** Only those without a key. */
  readonly isWithoutKey?: boolean
}

/** Offsets of the newest events of a topic in a span, descending. */
export function newestOfTopic(
  log: FileSnapshots,
  id: number,
  { after, to }: Span,
  { count, types, isWithoutKey = false }: Newest,
): readonly number[] {
  const isOfTypes = "AND coalesce(events.type, 'message') IN (SELECT value FROM json_each(?5))"
  const isWanted = `${types === undefined ? '' : isOfTypes} ${isWithoutKey ? 'AND events.key IS NULL' : ''}`
  const tail =
    `SELECT events.offset FROM events WHERE events.topic = ?1 AND ${OF_TAIL} ${isWanted} ` +
    'ORDER BY events.offset DESC LIMIT ?4'
  const chapters =
    `SELECT events.offset FROM ${EVENTS_OF_PLACES} WHERE place.topic = ?1 AND place.last > ?2 AND ${IN_SPAN} ` +
    `${isWanted} ORDER BY place.last DESC, distance.key DESC LIMIT ?4`
  const more = types === undefined ? [] : [JSON.stringify(types)]
  const newest = log.all(tail, id, after, to, count, ...more)
  const older = newest.length < count ? log.all(chapters, id, after, to, count - newest.length, ...more) : []
  return [...newest, ...older].map((row) => integerOf(row, 'offset'))
}
