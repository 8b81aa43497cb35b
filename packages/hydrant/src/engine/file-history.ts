// Reading a log on disk: history, state, and places to start from. On a connection and a thread of its own, so that it
// never holds up an append.

import type { Limits } from '../hub/limits.ts'
import type { Seek } from './engine.ts'
import { emptyColumns, type HistoryRequest, type PackedHistory, type StateQuestion } from './file-messages.ts'
import { dataOf, integerOf, textOrNull, type Row } from './file-row.ts'
import { FileSelections, isTypeOf, type Resolved, type Wanted } from './file-selection.ts'
import { FileSnapshots, type Snapshot } from './file-snapshot.ts'
import { FileStates } from './file-state.ts'
import { newestOfTopic, oldestOfTopics } from './file-topic-rows.ts'

/** Offsets of events, and how far they reach: there is no other wanted one up to `to`. */
interface Found {
  readonly offsets: readonly number[]
  readonly to: number
}

/** What is looked for: rows with `offset`, `topic`, `type` and `key`, in (after, to]. */
interface Search {
  readonly after: number
  readonly to: number
  readonly eventsMax: number
  readonly isWanted: (row: Row) => boolean
}

/** Of one topic among many: one busy topic must not make the page of all of them short. */
const PAGE_ROWS_MIN = 64

/** See the head of the file. */
export class FileHistory {
  readonly #log: FileSnapshots
  readonly #selections: FileSelections
  readonly #states: FileStates
  readonly #scanEventsMax: number

  /** `told`: see file-snapshot.ts. */
  constructor(folder: string, limits: Limits, told: SharedArrayBuffer) {
    this.#log = new FileSnapshots(folder, told)
    this.#selections = new FileSelections(this.#log)
    this.#states = new FileStates(this.#log)
    this.#scanEventsMax = limits.scanEventsMax
  }

  /** Selected events after a cursor, and whether some are gone. */
  read(request: HistoryRequest): PackedHistory {
    return this.#log.read((snapshot) => {
      const { eventsMax, bytesMax, latest } = request
      const resolved = this.#selections.resolve(request, snapshot, latest)
      const gap = judge(resolved, request.after)
      const to = snapshot.head
      const isWanted = latest ? (row: Row) => this.#states.isCurrent(row, to, request.types) : () => true
      const found = this.#find(resolved, { after: request.after, to, eventsMax, isWanted })
      return { gap, ...this.#fetch(found, bytesMax) }
    })
  }

  /** The newest selected event of each key as of an offset, but for those without data, which end their key. */
  state(request: StateQuestion): PackedHistory {
    return this.#log.read((snapshot) => {
      const { after, eventsMax, bytesMax } = request
      const to = Math.min(request.to, snapshot.head)
      const resolved = this.#selections.resolve(request, snapshot, false)
      const found =
        resolved.ids === undefined
          ? this.#findByScan(resolved.wanted, {
              after,
              to,
              eventsMax,
              isWanted: (row) => this.#states.isNewest(row, to, request.types),
            })
          : firstOf(this.#states.offsets(resolved, resolved.ids, to), { after, to, eventsMax })
      return { gap: undefined, ...this.#fetch(found, bytesMax, isOfState) }
    })
  }

  /** The offset after which a stream must start to contain what was asked for. */
  seek(seek: Seek, wanted: Wanted): number {
    return this.#log.read((snapshot) => {
      if ('last' in seek && seek.last <= 0) return snapshot.head
      return this.#place(seek, this.#selections.resolve(wanted, snapshot, false), snapshot)
    })
  }

  /** Ends. */
  close(): void {
    this.#log.close()
  }

  #place(seek: Seek, resolved: Resolved, snapshot: Snapshot): number {
    if ('last' in seek) return this.#seekLast(seek.last, resolved, snapshot)
    if ('sinceMs' in seek) return this.#seekTime(seek.sinceMs, snapshot)
    return snapshot.floor
  }

  #find({ ids, wanted }: Resolved, search: Search): Found {
    return ids === undefined ? this.#findByScan(wanted, search) : this.#findByTopic(ids, wanted, search)
  }

  /** A page of each topic's index; where a page was not enough for a topic, the range ends with it. */
  #findByTopic(ids: readonly number[], { types }: Wanted, { after, to: head, eventsMax, isWanted }: Search): Found {
    const share = Math.ceil(Math.min(eventsMax, this.#scanEventsMax) / Math.max(1, ids.length)) + 1
    const rowsMax = Math.max(share, Math.min(PAGE_ROWS_MIN, this.#scanEventsMax))
    const { rows, to } = oldestOfTopics(this.#log, ids, { after, to: head }, rowsMax)
    const wanted = rows.filter((row) => isTypeOf(row, types) && isWanted(row))
    const ascending = wanted.map((row) => integerOf(row, 'offset'))
    return firstOf(ascending, { after, to, eventsMax })
  }

  #findByScan(wanted: Wanted, { after, to, eventsMax, isWanted }: Search): Found {
    const isSelected = this.#selections.selector(wanted)
    const offsets: number[] = []
    let looked = 0
    let at = after
    const sql = 'SELECT offset, topic, type, key FROM events WHERE offset > ? AND offset <= ? ORDER BY offset'
    for (const row of this.#log.iterate(sql, after, to)) {
      if (offsets.length === eventsMax || looked === this.#scanEventsMax) return { offsets, to: at }
      looked += 1
      at = integerOf(row, 'offset')
      if (isSelected(row) && isWanted(row)) offsets.push(at)
    }
    return { offsets, to }
  }

  /** The events of these offsets, until there are too many bytes. */
  #fetch(
    { offsets, to }: Found,
    bytesMax: number,
    isWanted: (row: Row) => boolean = () => true,
  ): Omit<PackedHistory, 'gap'> {
    const events = emptyColumns()
    const [places, times]: [number[], number[]] = [[], []]
    let bytes = 0
    const sql =
      'SELECT offset, time, topic, type, key, data FROM events ' +
      'WHERE offset IN (SELECT value FROM json_each(?)) ORDER BY offset'
    for (const row of this.#log.iterate(sql, JSON.stringify(offsets))) {
      if (!isWanted(row)) continue
      const data = dataOf(row, 'data')
      const offset = integerOf(row, 'offset')
      bytes += data.length
      if (places.length > 0 && bytes > bytesMax) return { offsets: places, times, events, to: offset - 1 }
      places.push(offset)
      times.push(integerOf(row, 'time'))
      events.topics.push(this.#selections.nameOf(integerOf(row, 'topic')))
      events.types.push(textOrNull(row, 'type'))
      events.keys.push(textOrNull(row, 'key'))
      events.data.push(data)
    }
    return { offsets: places, times, events, to }
  }

  #seekLast(count: number, { ids, wanted }: Resolved, { head, floor }: Snapshot): number {
    const newest =
      ids === undefined ? this.#newestByScan(count, wanted, head) : this.#newestOf(count, ids, wanted, head)
    const oldest = newest[count - 1]
    return oldest === undefined ? floor : oldest - 1
  }

  #newestOf(count: number, ids: readonly number[], { types }: Wanted, head: number): readonly number[] {
    const span = { after: 0, to: head }
    const offsets = ids.flatMap((id) => newestOfTopic(this.#log, id, span, { count, types }))
    return offsets.toSorted((left, right) => right - left)
  }

  #newestByScan(count: number, wanted: Wanted, head: number): readonly number[] {
    const isSelected = this.#selections.selector(wanted)
    const offsets: number[] = []
    const sql = 'SELECT offset, topic, type FROM events WHERE offset <= ? ORDER BY offset DESC'
    for (const row of this.#log.iterate(sql, head)) {
      if (isSelected(row)) offsets.push(integerOf(row, 'offset'))
      if (offsets.length === count) break
    }
    return offsets
  }

  /** By halves, for times never go back. */
  #seekTime(sinceMs: number, { head, floor }: Snapshot): number {
    let [low, high] = [floor, head] // up to low nothing is wanted, and after high everything is
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const row = this.#log.get('SELECT offset, time FROM events WHERE offset > ? ORDER BY offset LIMIT 1', middle)
      if (row === undefined || integerOf(row, 'time') >= sinceMs) high = middle
      else low = integerOf(row, 'offset')
    }
    return low
  }
}

/** The first of a sorted list that lie in a range. */
function firstOf(
  ascending: readonly number[],
  { after, to, eventsMax }: Pick<Search, 'after' | 'to' | 'eventsMax'>,
): Found {
  const inRange = ascending.filter((offset) => offset > after && offset <= to)
  const next = inRange[eventsMax]
  return next === undefined ? { offsets: inRange, to } : { offsets: inRange.slice(0, eventsMax), to: next - 1 }
}

/** A key whose newest event has no data has ended. */
function isOfState(row: Row): boolean {
  return textOrNull(row, 'key') === null || dataOf(row, 'data').length > 0
}

/** Is an event of this selection gone that stood after the cursor? */
function judge({ trimmed, surely, unknown }: Resolved, after: number): PackedHistory['gap'] {
  if (after < unknown && trimmed <= unknown) return { to: unknown, certain: false }
  return trimmed > after ? { to: trimmed, certain: surely > after } : undefined
}
