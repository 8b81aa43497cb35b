// The topics of a log on disk: a number for each name, and the rule of retention that it falls under.

import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { matchesTopic } from '../hub/topic.ts'
import { InvariantError } from '../hub/errors.ts'
import type { FilePlaces } from './file-places.ts'
import type { RetentionRule } from './file-retention.ts'
import { integerOf, numberFrom, textOf, type Row } from './file-row.ts'

/** A topic that the log knows. */
export interface FileTopic {
  readonly id: number
  readonly name: string
  /** The first rule that matches it. */
  readonly rule: RetentionRule | undefined
  /** Its newest offset, trimmed or not; 0 when the log knows of none. */
  last: number
  /** The offset at which it ended; 0 while it goes on. */
  ended: number
}

/** Topics that are kept at hand; beyond it they are looked up again. */
const REMEMBERED_MAX = 100_000

/** See the head of the file. */
export class FileTopics {
  readonly #rules: readonly RetentionRule[]
  readonly #byName = new Map<string, FileTopic>()
  readonly #byId = new Map<number, FileTopic>()
  readonly #findName: StatementSync
  readonly #findId: StatementSync
  readonly #insert: StatementSync
  readonly #end: StatementSync
  readonly #trimmed: StatementSync
  readonly #places: FilePlaces
  /** Numbers are not used again while the log is open: readers remember them. */
  #nextId: number

  constructor(database: DatabaseSync, places: FilePlaces, rules: readonly RetentionRule[]) {
    this.#places = places
    this.#rules = rules
    this.#findName = database.prepare('SELECT id, name, ended FROM topics WHERE name = ?')
    this.#findId = database.prepare('SELECT id, name, ended FROM topics WHERE id = ?')
    this.#insert = database.prepare('INSERT INTO topics VALUES (?, ?, ?, 0)')
    this.#end = database.prepare('UPDATE topics SET ended = ? WHERE id = ?')
    this.#trimmed = database.prepare('SELECT coalesce(max(highest), 0) AS last FROM trimmed WHERE topic = ?')
    this.#nextId = numberFrom(database, 'SELECT max(id) FROM topics') + 1
  }

  /** The topic of a name; made when the log does not know it. Of before `forgotten`, nothing is known of a new one. */
  of(name: string, forgotten: number): FileTopic {
    const known = this.#byName.get(name)
    if (known !== undefined) return known
    const row = this.#findName.get(name)
    if (row !== undefined) return this.#load(row)
    this.#insert.run(this.#nextId, name, forgotten)
    const topic = this.#remember({ id: this.#nextId, name, rule: this.#ruleOf(name), last: 0, ended: 0 })
    this.#nextId += 1
    return topic
  }

  /** The topic of a name, if the log knows it. */
  find(name: string): FileTopic | undefined {
    const known = this.#byName.get(name)
    if (known !== undefined) return known
    const row = this.#findName.get(name)
    return row === undefined ? undefined : this.#load(row)
  }

  /** The topic of a number. */
  withId(id: number): FileTopic {
    const known = this.#byId.get(id)
    if (known !== undefined) return known
    const row = this.#findId.get(id)
    if (row === undefined) throw new InvariantError(`the log has events of topic ${id}, which has no name`)
    return this.#load(row)
  }

  /** Nothing follows in a topic. */
  end(topic: FileTopic, offset: number): void {
    topic.ended = offset
    this.#end.run(offset, topic.id)
  }

  /** The log no longer knows it. */
  forget(id: number): void {
    const topic = this.#byId.get(id)
    this.#byId.delete(id)
    if (topic !== undefined) this.#byName.delete(topic.name)
  }

  /** The transaction is undone: what is remembered may not be so. */
  rollback(): void {
    this.#byName.clear()
    this.#byId.clear()
  }

  #load(row: Row): FileTopic {
    const [id, name] = [integerOf(row, 'id'), textOf(row, 'name')]
    const last = Math.max(this.#places.lastOf(id), integerOf(this.#trimmed.get(id) ?? {}, 'last'))
    return this.#remember({ id, name, rule: this.#ruleOf(name), last, ended: integerOf(row, 'ended') })
  }

  #ruleOf(name: string): RetentionRule | undefined {
    return this.#rules.find((rule) => matchesTopic(rule.topics, name))
  }

  #remember(topic: FileTopic): FileTopic {
    if (this.#byName.size >= REMEMBERED_MAX) this.rollback()
    this.#byName.set(topic.name, topic)
    this.#byId.set(topic.id, topic)
    return topic
  }
}
