// Retention: what leaves the log, and when.
//
//   lane of a topic   its rule bounds events or bytes: the oldest leave
//   lane of an age    its rule bounds the age: times never go back, so each event is looked at once
//   lane of the log   `logBytesMax` bounds everything together: the oldest leave, whatever their topic
//
// Each lane has a place, `passed`, up to which everything is gone or kept on purpose: the newest event of each key,
// where the rule says `perKey`. When such an event is superseded it leaves at once, if a lane has passed it.

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { parsePattern } from '../hub/topic.ts'
import { integerOf, numberFrom, textOrNull, type Row } from './file-row.ts'
import type { FileTopic, FileTopics } from './file-topics.ts'

/** How long events of some topics are kept. The bounds hold for each topic by itself. */
export interface RetentionRule {
  /** A topic or a pattern: `chat/**`. */
  readonly topics: string
  /** The newest so many events of each topic. Default: no bound. */
  readonly eventsMax?: number
  /** The newest so many bytes of each topic, as the log counts them. Default: no bound. */
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
}

/** What an event takes on disk beside its key and data: its row, and its place in the index. */
export const EVENT_OVERHEAD_BYTES = 40

const LOG_BYTES_MAX = 1_073_741_824
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
  readonly rule: RetentionRule
  readonly ageMs: number
  passed: number
}

/** Checks rules. Throws a RangeError, or a HydrantError `malformed-pattern`, that says which one is wrong. */
export function checkRetention({ rules = [], logBytesMax }: Retention): void {
  for (const rule of rules) {
    parsePattern(rule.topics)
    for (const name of ['eventsMax', 'bytesMax', 'ageMs'] as const) checkBound(`${name} of ${rule.topics}`, rule[name])
  }
  checkBound('logBytesMax', logBytesMax)
}

function checkBound(name: string, value: number | undefined): void {
  if (value !== undefined && !(value >= 1)) throw new RangeError(`${name} must be at least 1, not ${value}`)
}

/** Decides what leaves. Used inside of the writer's transactions only. */
export class FileRetention {
  readonly #sink: RetentionSink
  readonly #topics: FileTopics
  readonly #logBytesMax: number
  readonly #byTopic: StatementSync
  readonly #byOffset: StatementSync
  readonly #timeAfter: StatementSync
  readonly #lanes = new Map<number, TopicLane>()
  readonly #ages: AgeLane[]
  readonly #due = new Set<TopicLane>()
  #logPassed = 0
  /** Everything that could leave has left, and the log is too large still: then what was to be kept goes too. */
  #isPressed = false
  /** Superseded behind a lane's place. */
  #released: number[] = []
  /** What this transaction changed, as it was before. */
  readonly #before = new Map<TopicLane, TopicLane>()
  #placesBefore: { readonly log: number; readonly ages: readonly number[] } = { log: 0, ages: [] }

  constructor(database: DatabaseSync, sink: RetentionSink, topics: FileTopics, retention: Retention) {
    this.#sink = sink
    this.#topics = topics
    this.#logBytesMax = retention.logBytesMax ?? LOG_BYTES_MAX
    const columns = 'offset, topic, type, key, bytes, octet_length(data) = 0 AS empty'
    this.#byTopic = database.prepare(
      `SELECT ${columns} FROM events WHERE topic = ? AND offset > ? ORDER BY offset LIMIT ${PAGE_ROWS}`,
    )
    this.#byOffset = database.prepare(
      `SELECT ${columns}, time FROM events WHERE offset > ? ORDER BY offset LIMIT ${PAGE_ROWS}`,
    )
    this.#timeAfter = database.prepare('SELECT offset, time FROM events WHERE offset > ? ORDER BY offset LIMIT 1')
    this.#ages = (retention.rules ?? []).flatMap((rule) =>
      rule.ageMs === undefined ? [] : [{ rule, ageMs: rule.ageMs, passed: 0 }],
    )
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
      if (lane.topic.rule !== undefined && isOver(lane, lane.topic.rule)) this.#due.add(lane)
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
    if (isOver(lane, topic.rule)) this.#due.add(lane)
  }

  /** An event has left. */
  removed({ topic, offset, bytes }: StoredEvent): void {
    const lane = this.#lanes.get(topic.id)
    if (lane !== undefined && offset > lane.passed) this.#touch(lane, -1, -bytes)
  }

  /** An event of a key is no longer its newest; 0 when there was none. */
  superseded(topic: FileTopic, offset: number): void {
    if (offset === 0) return
    const age = this.#ages.find((lane) => lane.rule === topic.rule)
    const passed = Math.max(this.#logPassed, this.#lanes.get(topic.id)?.passed ?? 0, age?.passed ?? 0)
    if (offset <= passed) this.#released.push(offset)
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
      const page = this.#byTopic.all(lane.topic.id, lane.passed)
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
        if (event.topic.rule === lane.rule && !this.#isKept(event)) this.#sink.remove(event)
      }
    }
    return rows
  }

  #trimLog(rowsMax: number): number {
    let rows = rowsMax
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
    if (!this.#isLogOver()) this.#isPressed = false
    return rows
  }

  #isLogOver(): boolean {
    const { events, bytes } = this.#sink.state
    return bytes > this.#logBytesMax && events > 1
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
    for (const row of database.prepare('SELECT id FROM topics').iterate()) {
      const topic = this.#topics.withId(integerOf(row, 'id'))
      if (topic.rule === undefined || !isBounded(topic.rule)) continue
      const events = numberFrom(database, 'SELECT count(*) FROM events WHERE topic = ?', topic.id)
      if (events === 0) continue
      const bytes =
        topic.rule.bytesMax === undefined
          ? 0
          : numberFrom(database, 'SELECT sum(bytes) FROM events WHERE topic = ?', topic.id)
      const lane = { topic, events, bytes, passed: 0 }
      this.#lanes.set(topic.id, lane)
      if (isOver(lane, topic.rule)) this.#due.add(lane)
    }
  }
}

function isBounded(rule: RetentionRule): boolean {
  return rule.eventsMax !== undefined || rule.bytesMax !== undefined
}

function isOver({ events, bytes }: TopicLane, { eventsMax, bytesMax }: RetentionRule): boolean {
  return events > (eventsMax ?? Number.POSITIVE_INFINITY) || bytes > (bytesMax ?? Number.POSITIVE_INFINITY)
}
