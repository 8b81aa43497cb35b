// Retention: what leaves the log, and when.
//
//   lane of a topic   its rule bounds events or bytes: the oldest leave
//   lane of an age    its rule bounds the age: times never go back, so each event is looked at once
//   lane of the log   `logBytesMax` and `logEventsMax` bound everything together: the oldest leave, whatever their
//                     topic; `logAgeMs` is a lane of an age for all topics
//
// Each lane has a place, `passed`, up to which everything is gone or kept on purpose: the newest event of each key,
// where the rule says `perKey`. When such an event is superseded it leaves at once, if a lane has passed it.

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { parsePattern } from '../hub/topic.ts'
import { EVENTS_OF_PLACES, type FilePlaces } from './file-places.ts'
import { integerOf, textOrNull, type Row } from './file-row.ts'
import type { FileTopic, FileTopics } from './file-topics.ts'

/** How long events of some topics are kept. The bounds hold for each topic by itself. */
export interface RetentionRule {
  /** A topic or a pattern: `chat/**`. */
  readonly topics: string
  /** The newest so many events of each topic, and for a while up to a sixteenth more. Default: no bound. */
  readonly eventsMax?: number
  /** The newest so many bytes of each topic, as the log counts them; as above, a sixteenth more. Default: no bound. */
  readonly bytesMax?: number
  /** Milliseconds. Default: no bound. */
  readonly ageMs?: number
  /** Keeps the newest event of each key whatever the rule says, as long as the log has room. Default: no. */
  readonly perKey?: 1
}

/** What a log keeps. */
export interface Retention {
  /** The first that matches a topic holds for it. Default: none; topics without a rule are bounded by the log alone. */
  readonly rules?: readonly RetentionRule[]
  /** Bytes of all events together, about what they take on disk. Default 1 GiB. */
  readonly logBytesMax?: number
  /** The newest so many events of all topics together, and for a while up to a sixteenth more. Default: no bound. */
  readonly logEventsMax?: number
  /** Milliseconds, for all topics; a rule can only be shorter. Default: no bound. */
  readonly logAgeMs?: number
}

/** What an event takes on disk beside its key and data: its row, and its place in the index. */
export const EVENT_OVERHEAD_BYTES = 40

const LOG_BYTES_MAX = 1_073_741_824
/**
 * What leaves is noted by topic, a row for each in a transaction, so it leaves in bulk. A bound on the bytes of the log
 * holds, so that a disk can be planned: more leaves than must. The other bounds promise what is there: more stays.
 */
const [BYTES_SLACK, SLACK] = [1 / 64, 1 / 16]
/** Rows looked at in one statement. */
const PAGE_ROWS = 256

/** What retention needs of the store. */
export interface RetentionSink {
  /** Sums of the log. */
  readonly state: { readonly events: number; readonly bytes: number }
  /** Takes an event out, and notes it. */
  remove(event: StoredEvent): void
  /** Whether no newer one has its key. */
  isNewest(event: StoredEvent): boolean
}

/** What retention works with. */
export interface RetentionParts {
  readonly sink: RetentionSink
  readonly topics: FileTopics
  readonly places: FilePlaces
}

/** What retention knows of an event. */
export interface StoredEvent {
  readonly offset: number
  readonly topic: FileTopic
  readonly type: string
  readonly key: string | null
  readonly bytes: number
  /** Without data it stands for the end of its key. */
  readonly isEmpty: boolean
}

/** A topic whose rule bounds events or bytes, and its sums after the place: what is kept on purpose does not count. */
interface TopicLane {
  readonly topic: FileTopic
  events: number
  bytes: number
  passed: number
}

interface AgeLane {
  /** Undefined: every topic, whatever its rule. */
  readonly rule: RetentionRule | undefined
  readonly ageMs: number
  passed: number
}

/** Checks rules. Throws a RangeError, or a HydrantError `malformed-pattern`, that says which one is wrong. */
export function checkRetention(retention: Retention): void {
  for (const rule of retention.rules ?? []) {
    parsePattern(rule.topics)
    for (const name of ['eventsMax', 'bytesMax', 'ageMs'] as const) checkBound(`${name} of ${rule.topics}`, rule[name])
  }
  for (const name of ['logBytesMax', 'logEventsMax', 'logAgeMs'] as const) checkBound(name, retention[name])
}

/** Whether events leave for their age, and so also while nothing is published. */
export function hasAges({ rules = [], logAgeMs }: Retention): boolean {
  return logAgeMs !== undefined || rules.some((rule) => rule.ageMs !== undefined)
}

function checkBound(name: string, value: number | undefined): void {
  if (value !== undefined && !(value >= 1)) throw new RangeError(`${name} must be at least 1, not ${value}`)
}

/** Decides what leaves. Used inside of the writer's transactions only. */
export class FileRetention {
  readonly #sink: RetentionSink
  readonly #topics: FileTopics
  readonly #places: FilePlaces
  readonly #logBytesMax: number
  readonly #logEventsMax: number
  readonly #byPlace: StatementSync
  readonly #byOffsets: StatementSync
  readonly #byOffset: StatementSync
  readonly #timeAfter: StatementSync
  readonly #lanes = new Map<number, TopicLane>()
  readonly #ages: AgeLane[]
  readonly #due = new Set<TopicLane>()
  #logPassed = 0
  /** It was over a bound, and there is more to take out. */
  #isLogDue = false
  /** Everything that could leave has left, and the log is too large still: then what was to be kept goes too. */
  #isPressed = false
  /** Superseded behind a lane's place. */
  #released: number[] = []
  /** What this transaction changed, as it was before. */
  readonly #before = new Map<TopicLane, TopicLane>()
  #placesBefore: { readonly log: number; readonly ages: readonly number[] } = { log: 0, ages: [] }

  constructor(database: DatabaseSync, { sink, topics, places }: RetentionParts, retention: Retention) {
    this.#sink = sink
    this.#topics = topics
    this.#places = places
    this.#logBytesMax = retention.logBytesMax ?? LOG_BYTES_MAX
    this.#logEventsMax = retention.logEventsMax ?? Number.POSITIVE_INFINITY
    const columns =
      'events.offset, events.topic, events.type, events.key, events.bytes, octet_length(events.data) = 0 AS empty'
    this.#byPlace = database.prepare(
      `SELECT ${columns} FROM ${EVENTS_OF_PLACES}
        WHERE place.topic = ?1 AND place.last > ?2 AND events.offset > ?2 ORDER BY place.last, distance.key LIMIT ?3`,
    )
    this.#byOffsets = database.prepare(
      `SELECT ${columns} FROM events WHERE offset IN (SELECT value FROM json_each(?)) ORDER BY offset`,
    )
    this.#byOffset = database.prepare(
      `SELECT ${columns}, time FROM events WHERE offset > ? ORDER BY offset LIMIT ${PAGE_ROWS}`,
    )
    this.#timeAfter = database.prepare('SELECT offset, time FROM events WHERE offset > ? ORDER BY offset LIMIT 1')
    this.#ages = ageLanesOf(retention)
    if ((retention.rules ?? []).some(isBounded)) this.#countAll(database)
  }

  /** A transaction begins. */
  begin(): void {
    for (const lane of this.#before.keys()) if (lane.events === 0) this.#lanes.delete(lane.topic.id)
    this.#before.clear()
    this.#released = []
    this.#placesBefore = { log: this.#logPassed, ages: this.#ages.map((lane) => lane.passed) }
  }

  /** The transaction is undone. */
  rollback(): void {
    for (const [lane, before] of this.#before) {
      Object.assign(lane, before)
      if (lane.topic.rule !== undefined && isDue(lane, lane.topic.rule)) this.#due.add(lane)
      else this.#due.delete(lane)
    }
    this.#logPassed = this.#placesBefore.log
    for (const [at, lane] of this.#ages.entries()) lane.passed = this.#placesBefore.ages[at] ?? 0
    this.#released = []
  }

  /** An event was appended. */
  added(topic: FileTopic, bytes: number): void {
    if (topic.rule === undefined || !isBounded(topic.rule)) return
    const lane = this.#laneOf(topic)
    this.#touch(lane, 1, bytes)
    if (isDue(lane, topic.rule)) this.#due.add(lane)
  }

  /** An event has left. */
  removed({ topic, offset, bytes }: StoredEvent): void {
    const lane = this.#lanes.get(topic.id)
    if (lane !== undefined && offset > lane.passed) this.#touch(lane, -1, -bytes)
  }

  /** An event of a key is no longer its newest; 0 when there was none. */
  superseded(topic: FileTopic, offset: number): void {
    if (offset === 0) return
    const ages = this.#ages.filter((lane) => isOf(lane, topic))
    const passed = [this.#logPassed, this.#lanes.get(topic.id)?.passed ?? 0, ...ages.map((lane) => lane.passed)]
    if (offset <= Math.max(...passed)) this.#released.push(offset)
  }

  /** Takes out what is too much, up to so many rows. Answers whether there is more. */
  trim(timeMs: number, rowsMax: number): boolean {
    for (const offset of this.#released) this.#release(offset)
    this.#released = []
    let rows = rowsMax
    for (const lane of this.#due) {
      rows = this.#trimTopic(lane, rows)
      if (rows <= 0) return true
      this.#due.delete(lane)
    }
    for (const lane of this.#ages) {
      rows = this.#trimAge(lane, timeMs, rows)
      if (rows <= 0) return true
    }
    return this.#trimLog(rows) <= 0
  }

  #trimTopic(lane: TopicLane, rowsMax: number): number {
    const { rule } = lane.topic
    if (rule === undefined) return rowsMax
    let rows = rowsMax
    while (rows > 0 && lane.events > 1 && isOver(lane, rule)) {
      const page = this.#oldestOf(lane)
      if (page.length === 0) break
      for (const row of page) {
        if (rows <= 0 || lane.events <= 1 || !isOver(lane, rule)) return rows
        rows -= 1
        const event = this.#eventOf(row)
        this.#touch(lane, -1, -event.bytes)
        lane.passed = event.offset
        if (!this.#isKept(event)) this.#sink.remove(event)
      }
    }
    return rows
  }

  /** A page of its oldest events, no longer than it must be. */
  #oldestOf({ topic, passed, events }: TopicLane): readonly Row[] {
    const isByCount = topic.rule?.bytesMax === undefined
    const rowsMax = isByCount ? Math.min(PAGE_ROWS, events - (topic.rule?.eventsMax ?? 0)) : PAGE_ROWS
    const page = this.#byPlace.all(topic.id, passed, rowsMax)
    if (page.length === rowsMax) return page
    const tail = this.#places.tailOf(topic.id, passed).slice(0, rowsMax - page.length)
    return [...page, ...this.#byOffsets.all(JSON.stringify(tail))]
  }

  #trimAge(lane: AgeLane, timeMs: number, rowsMax: number): number {
    let rows = rowsMax
    const oldest = this.#timeAfter.get(lane.passed)
    if (oldest === undefined || integerOf(oldest, 'time') > timeMs - lane.ageMs) return rows
    while (rows > 0) {
      const page = this.#byOffset.all(lane.passed)
      if (page.length === 0) return rows
      for (const row of page) {
        if (rows <= 0 || integerOf(row, 'time') > timeMs - lane.ageMs) return rows
        rows -= 1
        const event = this.#eventOf(row)
        lane.passed = event.offset
        if (isOf(lane, event.topic) && !this.#isKept(event)) this.#sink.remove(event)
      }
    }
    return rows
  }

  #trimLog(rowsMax: number): number {
    let rows = rowsMax
    const { events, bytes } = this.#sink.state
    if (bytes > this.#logBytesMax || events > withSlack(this.#logEventsMax)) this.#isLogDue = true
    if (!this.#isLogDue) return rows
    while (rows > 0 && this.#isLogOver()) {
      const page = this.#byOffset.all(this.#logPassed)
      if (page.length === 0) {
        this.#isPressed = true
        this.#logPassed = 0
      }
      for (const row of page) {
        if (rows <= 0 || !this.#isLogOver()) break
        rows -= 1
        const event = this.#eventOf(row)
        this.#logPassed = event.offset
        if (this.#isPressed || !this.#isKept(event)) this.#sink.remove(event)
      }
    }
    if (!this.#isLogOver()) this.#isPressed = this.#isLogDue = false
    return rows
  }

  #isLogOver(): boolean {
    const { events, bytes } = this.#sink.state
    return (bytes > this.#logBytesMax * (1 - BYTES_SLACK) || events > this.#logEventsMax) && events > 1
  }

  #release(offset: number): void {
    const row = this.#byOffset.get(offset - 1)
    if (row !== undefined && integerOf(row, 'offset') === offset) this.#sink.remove(this.#eventOf(row))
  }

  #isKept(event: StoredEvent): boolean {
    return event.topic.rule?.perKey === 1 && event.key !== null && !event.isEmpty && this.#sink.isNewest(event)
  }

  #eventOf(row: Row): StoredEvent {
    return {
      offset: integerOf(row, 'offset'),
      topic: this.#topics.withId(integerOf(row, 'topic')),
      type: textOrNull(row, 'type') ?? 'message',
      key: textOrNull(row, 'key'),
      bytes: integerOf(row, 'bytes'),
      isEmpty: integerOf(row, 'empty') === 1,
    }
  }

  #laneOf(topic: FileTopic): TopicLane {
    let lane = this.#lanes.get(topic.id)
    if (lane === undefined) this.#lanes.set(topic.id, (lane = { topic, events: 0, bytes: 0, passed: 0 }))
    return lane
  }

  #touch(lane: TopicLane, events: number, bytes: number): void {
    if (!this.#before.has(lane)) this.#before.set(lane, { ...lane })
    lane.events += events
    lane.bytes += bytes
  }

  /** Once, at open: rules may be new, so the sums are not kept on disk. */
  #countAll(database: DatabaseSync): void {
    const sums = database.prepare('SELECT topic, count(*) AS events, sum(bytes) AS bytes FROM events GROUP BY topic')
    for (const row of sums.iterate()) {
      const topic = this.#topics.withId(integerOf(row, 'topic'))
      if (topic.rule === undefined || !isBounded(topic.rule)) continue
      const lane = { topic, events: integerOf(row, 'events'), bytes: integerOf(row, 'bytes'), passed: 0 }
      this.#lanes.set(topic.id, lane)
      if (isDue(lane, topic.rule)) this.#due.add(lane)
    }
  }
}

function ageLanesOf({ rules = [], logAgeMs }: Retention): AgeLane[] {
  const lanes: AgeLane[] = logAgeMs === undefined ? [] : [{ rule: undefined, ageMs: logAgeMs, passed: 0 }]
  for (const rule of rules) if (rule.ageMs !== undefined) lanes.push({ rule, ageMs: rule.ageMs, passed: 0 })
  return lanes
}

function isOf(lane: AgeLane, topic: FileTopic): boolean {
  return lane.rule === undefined || lane.rule === topic.rule
}

function isBounded(rule: RetentionRule): boolean {
  return rule.eventsMax !== undefined || rule.bytesMax !== undefined
}

function isOver({ events, bytes }: TopicLane, { eventsMax, bytesMax }: RetentionRule): boolean {
  return events > (eventsMax ?? Number.POSITIVE_INFINITY) || bytes > (bytesMax ?? Number.POSITIVE_INFINITY)
}

function isDue(lane: TopicLane, { eventsMax = Infinity, bytesMax = Infinity }: RetentionRule): boolean {
  return lane.events > withSlack(eventsMax) || lane.bytes > withSlack(bytesMax)
}

function withSlack(most: number): number {
  return Math.floor(most * (1 + SLACK))
}
