// How far a stream has come: the last id, and whether another one is news.

import { parseId, type EventId } from './wire/index.ts'

/** The place in the log up to which a stream has everything. Undefined until the first id. */
export class Cursor {
  #id: string | undefined
  #place: EventId | undefined

  constructor(id: string | undefined) {
    this.#id = id
    this.#place = id === undefined ? undefined : parseId(id)
  }

  /** The last id. */
  get id(): string | undefined {
    return this.#id
  }

  /** Moves to an id wherever it stands: a gap of undone events leads back. */
  moveTo(id: string): void {
    this.#id = id
    this.#place = parseId(id)
  }

  /**
   * Moves to an id that comes later. False, and nothing moves, when it does not: offsets of one epoch only grow. Ids of
   * different epochs cannot be compared without the log's own table, and count as later.
   */
  advance(id: string): boolean {
    const place = parseId(id)
    if (place === undefined) return false
    if (place.epoch === this.#place?.epoch && place.offset <= this.#place.offset) return false
    this.#id = id
    this.#place = place
    return true
  }
}
