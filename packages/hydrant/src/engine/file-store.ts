// The log on disk, as its one writer sees it: transactions that append, and take out what retention no longer wants.
//
//   BEGIN ─► requests with known idempotency keys are answered ─► rows ─► retention ─► state ─► COMMIT
//
// Everything is synchronous: it has a thread of its own (file-worker.ts). After an error the transaction is undone, in
// the database and here, and the next one may succeed.

import { mkdirSync } from 'node:fs'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { CONTROL_TYPES } from 'hydrant-client/wire'
import { Epochs, type Epoch } from '../hub/epochs.ts'
import { InvariantError } from '../hub/errors.ts'
import type { CheckedEvent } from '../hub/event.ts'
import { quote } from '../hub/topic.ts'
import type { Limits } from '../hub/limits.ts'
import type { IfLast } from './engine.ts'
import { DiskFullError, failureOf } from './file-errors.ts'
import { FileKeys } from './file-keys.ts'
import { eventAt, type Committed, type EventGroup, type Opened, type Refused, type Stored } from './file-messages.ts'
import { endsOf, openLog, type State } from './file-opening.ts'
import { CHAPTER_EVENTS, FilePlaces } from './file-places.ts'
import { Reserve, RESERVE_BYTES } from './file-reserve.ts'
import {
  EVENT_OVERHEAD_BYTES,
  FileRetention,
  type Retention,
  type RetentionSink,
  type StoredEvent,
} from './file-retention.ts'
import { numberFrom } from './file-row.ts'
import { FileTopics, type FileTopic } from './file-topics.ts'
import { TrimmedTable, type Superseded } from './file-trimmed.ts'

/** How a store is made. */
export interface FileStoreOptions {
  readonly folder: string
  readonly limits: Limits
  readonly retention: Retention
  readonly nowMs: number
  /**
   * The term that this process began when it opened the log before. While it has no events it goes on: a disk that
   * fails again and again must not push the terms that clients resume with out of the table.
   */
  readonly epoch?: Epoch | undefined
  /** See file-places.ts. */
  readonly chapterEvents?: number
}

/** Rows that retention takes out in one transaction, beyond as many as were appended in it: a few milliseconds. */
const TRIM_ROWS = 1_000

/** SQLite's default. */
const PAGE_BYTES = 4_096

/** See the head of the file. */
export class FileStore {
  readonly opened: Opened
  /** The term of what is appended. */
  readonly epoch: Epoch
  readonly state: State
  /** What is true if the last transaction is on disk after all, although its commit failed. */
  uncertain: Committed | undefined
  readonly #database: DatabaseSync
  readonly #reserve: Reserve
  readonly #epochs: Epochs
  readonly #topics: FileTopics
  readonly #trimmed: TrimmedTable
  readonly #places: FilePlaces
  readonly #retention: FileRetention
  readonly #keys: FileKeys
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  readonly #insert: StatementSync
  readonly #delete: StatementSync
  readonly #newestOf: StatementSync
  readonly #newerOfType: StatementSync
  readonly #saveState: StatementSync
  readonly #oldest: StatementSync
  #floor: number

  /** Opens a log, and makes it when there is none. The folder must be locked. */
  constructor(options: FileStoreOptions) {
    const { folder, limits, retention, nowMs, epoch, chapterEvents = CHAPTER_EVENTS } = options
    mkdirSync(folder, { recursive: true })
    this.#reserve = new Reserve(folder)
    const { database, state, epochs, warning } = this.#lendWhenFull(() => openLog(folder, limits.epochsMax, epoch))
    this.#database = database
    this.state = state
    try {
      const current = epochs.at(-1)
      if (current === undefined) throw new InvariantError('a log was opened without beginning a term')
      this.epoch = current
      this.#epochs = new Epochs(epochs, limits.epochsMax)
      this.#places = new FilePlaces(database, chapterEvents)
      this.#topics = new FileTopics(database, this.#places, retention.rules ?? [])
      this.#trimmed = new TrimmedTable(database, this.#places, limits.trimmedTopicsMax)
      this.#keys = new FileKeys(database, limits)
      this.#begin = database.prepare('BEGIN IMMEDIATE')
      this.#commit = database.prepare('COMMIT')
      this.#insert = database.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)')
      this.#delete = database.prepare('DELETE FROM events WHERE offset = ?')
      this.#newestOf = database.prepare('SELECT max(offset) AS offset FROM events WHERE topic = ? AND key = ?')
      this.#newerOfType = database.prepare(
        'SELECT 1 FROM events WHERE topic = ? AND key = ? AND offset > ? AND type IS ? LIMIT 1',
      )
      this.#saveState = database.prepare(
        'UPDATE state SET head = ?, time = ?, events = ?, bytes = ?, forgotten = ?, indexed = ? WHERE id = 1',
      )
      this.#oldest = database.prepare('SELECT min(offset) AS oldest FROM events')
      const parts = { sink: this.#sink(), topics: this.#topics, places: this.#places }
      this.#retention = new FileRetention(database, parts, retention)
      this.#floor = this.#findFloor()
      const { head, timeMs } = this.state
      this.opened = {
        head,
        floor: this.#floor,
        timeMs: Math.max(timeMs, nowMs),
        epochs,
        ends: endsOf(database),
        warning,
      }
    } catch (error) {
      database.close()
      throw error
    }
  }

  /** Appends requests in one transaction: all of them are on disk when it returns, or none when it throws. */
  append(group: EventGroup): Committed {
    if (!this.#reserve.take() && this.#freeBytes() < RESERVE_BYTES) throw new DiskFullError()
    return this.#transact(group.timeMs, () => {
      const outcomes: (Stored | Refused)[] = []
      let at = 0
      for (const [request, count] of group.counts.entries()) {
        outcomes.push(this.#appendRequest(group, request, at, at + count))
        at += count
      }
      return { outcomes, rows: at }
    })
  }

  /** Takes out what is too much or too old, a slice of it. */
  trim(timeMs: number): Committed {
    return this.#transact(Math.max(timeMs, this.state.timeMs), () => ({ outcomes: [], rows: 0 }))
  }

  /** After a transaction failed for want of space: frees what can be freed without losing what is to be kept. */
  relieve(timeMs: number): void {
    this.#reserve.lend(() => {
      try {
        this.#checkpoint()
        this.trim(timeMs)
        this.#checkpoint()
      } catch (error) {
        if (failureOf(error) !== 'full') throw error // still full: publishers were told, and will try again
      }
    })
  }

  /** Ends. What is in the write-ahead log is brought into the database. */
  close(): void {
    this.#database.close()
  }

  #transact(timeMs: number, work: () => Pick<Committed, 'outcomes'> & { readonly rows: number }): Committed {
    const before = { ...this.state, trimmed: this.#trimmed.rows }
    this.uncertain = undefined
    this.#begin.run()
    try {
      this.#places.begin()
      this.#retention.begin()
      this.state.timeMs = timeMs
      const { outcomes, rows } = work()
      const isTrimDue = this.#retention.trim(timeMs, TRIM_ROWS + rows)
      this.#places.write(this.state.head)
      this.#writeTrimmed()
      this.#keys.expire(timeMs, TRIM_ROWS + outcomes.length)
      const { head, events, bytes, forgotten } = this.state
      const hasChanged = rows > 0 || events < before.events
      if (hasChanged) this.#saveState.run(head, timeMs, events, bytes, forgotten, this.#places.indexed)
      const hasTrimmed = events < before.events + head - before.head
      const floor = hasTrimmed ? this.#findFloor() : this.#floor
      const committed = { outcomes, head, floor, hasTrimmed, isTrimDue, reopened: undefined }
      this.uncertain = committed
      if (hasChanged) this.#commit.run()
      else this.#database.exec('ROLLBACK')
      this.uncertain = undefined
      this.#floor = floor
      return committed
    } catch (error) {
      this.#rollback(before)
      throw error
    }
  }

  /** SQLite has undone some failures itself by now. */
  #rollback({ trimmed, ...state }: State & { readonly trimmed: number }): void {
    Object.assign(this.state, state)
    this.#trimmed.rollback(trimmed)
    this.#places.rollback()
    this.#retention.rollback()
    this.#topics.rollback()
    this.#keys.rollback()
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
  }

  #appendRequest(group: EventGroup, request: number, from: number, to: number): Stored | Refused {
    const { timeMs, events } = group
    const idempotency = group.idempotency[request] ?? undefined
    const known = idempotency === undefined ? undefined : this.#keys.find(idempotency, timeMs)
    const outcome = known ?? this.#refusal(events.topics.slice(from, to), group.ifLast[request] ?? undefined)
    if (outcome !== undefined) return outcome
    const first = this.state.head + 1
    for (let place = from; place < to; place += 1) this.#appendEvent(eventAt(events, place), timeMs)
    if (idempotency !== undefined) this.#keys.add(idempotency, first, timeMs)
    return { first, isNew: true }
  }

  #appendEvent({ topic: name, type, key, data }: CheckedEvent, timeMs: number): void {
    const { state } = this
    const topic = this.#topics.of(name, state.forgotten)
    const bytes = EVENT_OVERHEAD_BYTES + Buffer.byteLength(data) + (key === undefined ? 0 : Buffer.byteLength(key))
    if (key !== undefined && topic.rule?.perKey === 1) this.#retention.superseded(topic, this.#newest(topic, key))
    const offset = (state.head += 1)
    this.#insert.run(offset, timeMs, topic.id, type === 'message' ? null : type, key ?? null, bytes, data)
    this.#places.added(topic.id, offset)
    topic.last = offset
    if (type === CONTROL_TYPES.end) this.#topics.end(topic, offset)
    state.events += 1
    state.bytes += bytes
    this.#retention.added(topic, bytes)
  }

  /** Why a batch must not be appended, if it must not. */
  #refusal(names: readonly string[], ifLast: IfLast | undefined): Refused | undefined {
    for (const name of names) {
      if ((this.#topics.find(name)?.ended ?? 0) > 0)
        return { code: 'topic-ended', message: `The topic ${quote(name)} has ended; nothing can follow.` }
    }
    if (ifLast === undefined) return undefined
    const [name = ''] = names
    if (names.some((other) => other !== name))
      return { code: 'malformed-event', message: 'ifLast is for events of one topic.' }
    const last = this.#topics.find(name)?.last ?? 0
    const lastId = last === 0 ? 'none' : this.#epochs.idAt(last)
    if (lastId === ifLast) return undefined
    const message = `The newest event of ${quote(name)} is ${lastId}, not ${quote(ifLast)}.`
    return { code: 'last-conflict', message }
  }

  #writeTrimmed(): void {
    const forgotten = this.#trimmed.write((topic) => this.#topics.forget(topic))
    this.state.forgotten = Math.max(this.state.forgotten, forgotten)
  }

  #sink(): RetentionSink {
    return {
      state: this.state,
      remove: (event) => this.#remove(event),
      isNewest: (event) => this.#isNewest(event),
    }
  }

  #isNewest({ topic, key, offset }: StoredEvent): boolean {
    return key === null || this.#newest(topic, key) === offset
  }

  #supersededOf(event: StoredEvent): Superseded {
    if (this.#isNewest(event)) return 'no'
    const { topic, key, offset, type } = event
    return this.#newerOfType.get(topic.id, key, offset, type === 'message' ? null : type) === undefined
      ? 'of another type'
      : 'of its type'
  }

  /** The newest offset of a key; 0 when there is none. */
  #newest(topic: FileTopic, key: string): number {
    const offset = this.#newestOf.get(topic.id, key)?.['offset']
    return typeof offset === 'number' ? offset : 0
  }

  #remove(event: StoredEvent): void {
    const { topic, offset, type, bytes } = event
    this.#trimmed.note(topic.id, type, offset, this.#supersededOf(event))
    this.#delete.run(offset)
    this.#places.removed(topic.id, offset)
    this.state.events -= 1
    this.state.bytes -= bytes
    this.#retention.removed(event)
  }

  /** Nothing at or below it is kept. */
  #findFloor(): number {
    const oldest = this.#oldest.get()?.['oldest']
    return typeof oldest === 'number' ? oldest - 1 : this.state.head
  }

  /** In pages of the database that no event uses. */
  #freeBytes(): number {
    return numberFrom(this.#database, 'PRAGMA freelist_count') * PAGE_BYTES
  }

  /** Lets the next transaction begin the write-ahead log anew, in the space that it has. */
  #checkpoint(): void {
    this.#database.exec('PRAGMA wal_checkpoint(PASSIVE)')
  }

  #lendWhenFull<Value>(work: () => Value): Value {
    try {
      return work()
    } catch (error) {
      if (failureOf(error) !== 'full') throw error
      return this.#reserve.lend(work)
    }
  }
}
