// The newest of each key in Redis, as of an offset: the state, and what a reader of the newest can leave out.
//
// The sets of the newest know of now. What was the newest as of an offset is found from there, back from event to event
// of the same key. What a selection of types leaves out counts for nothing, so that has sets of its own.

import { CONTROL_TYPES } from 'hydrant-client/wire'
import type { LogEvent } from '../hub/event.ts'
import type { Selection } from '../hub/selection.ts'
import type { LogRange, StateRequest } from './engine.ts'
import type { RedisConnection } from './redis-connection.ts'
import {
  entriesOf,
  listOf,
  numberOf,
  slotOf,
  slotsOf,
  textOf,
  type RedisNames,
  type SlotEntry,
} from './redis-layout.ts'
import { EpochChanged } from './redis-pages.ts'
import { cut, eventsOf, type ReaderPlace } from './redis-place.ts'
import { STATE_BEFORE } from './redis-script.ts'

/** Offsets that may be state, and their slots. */
interface Candidates {
  readonly places: ReadonlyMap<number, number>
  /** There is no other one up to here. */
  readonly end: number
}

/** Of each slot in one question, at least. */
const ROWS_MIN = 16
/** Steps back through events of a key that one question may take. */
const STEPS = 20_000

/** See the head of the file. */
export class RedisState {
  readonly #connection: RedisConnection
  readonly #names: RedisNames
  readonly #place: () => ReaderPlace

  constructor(connection: RedisConnection, names: RedisNames, place: () => ReaderPlace) {
    this.#connection = connection
    this.#names = names
    this.#place = place
  }

  /** See the port's `state`. Rejects with EpochChanged. */
  async read(request: StateRequest): Promise<LogRange> {
    const { after, to, selection, eventsMax, bytesMax } = request
    const { epoch, terms, eventBytes } = this.#place()
    if (after >= to) return { events: [], to }
    const { places, end } = await this.#candidates(request)
    const offsets = [...places.keys()].filter((offset) => offset <= end).toSorted((one, other) => one - other)
    // Of what does not match or has no data there may be much; a page without events is a page too.
    const part = offsets.slice(0, Math.max(1, Math.min(eventsMax, Math.ceil(bytesMax / eventBytes))))
    const events = eventsOf(await this.#entriesAt(part, places, epoch), terms, selection)
    const newest = selection.types === undefined ? events : await this.#newestOfTypes(events, places, request)
    const state = newest.filter(({ key, data }) => key === undefined || data.length > 0)
    return cut(state, part.length < offsets.length ? (part.at(-1) ?? end) : end, { eventsMax, bytesMax })
  }

  /** Without those that a newer event of their key stands for, as far as the tail has come. */
  async newestOf(events: readonly LogEvent[], selection: Selection, head: number): Promise<readonly LogEvent[]> {
    const keyed = events.filter(({ key }) => key !== undefined)
    if (keyed.length === 0) return events
    const scores = await this.#scoresOf(keyed, selection)
    const isSuperseded = ({ offset }: LogEvent, at: number): boolean =>
      (scores[at] ?? []).some((newer) => newer > offset && newer <= head)
    const superseded = new Set(keyed.filter(isSuperseded))
    return events.filter((event) => !superseded.has(event))
  }

  async #candidates({ after, to, selection, eventsMax }: StateRequest): Promise<Candidates> {
    const slots = slotsOf(selection)
    const isOfTypes = selection.types !== undefined
    const rowsMax = Math.max(ROWS_MIN, Math.ceil((2 * eventsMax) / slots.length))
    const limits = ['WITHSCORES', 'LIMIT', '0', String(rowsMax)]
    // What goes on meanwhile is found by the second question, and what both find is the same.
    const newest = await this.#connection.transaction(
      slots.map((slot) => {
        const key = isOfTypes ? this.#names.kinds(slot) : this.#names.keys(slot)
        return ['ZRANGEBYSCORE', key, `(${after}`, String(to), ...limits]
      }),
    )
    const args = [after, to, STEPS, isOfTypes ? 'y' : 'k', ...slots].map(String)
    const before = listOf(await this.#connection.run(STATE_BEFORE, this.#names.log, args))
    let end = to
    const places = new Map<number, number>()
    for (const [at, reply] of newest.entries()) {
      const rows = listOf(reply)
      for (let row = 1; row < rows.length; row += 2) places.set(numberOf(rows[row]), slots[at] ?? 0)
      if (rows.length === 2 * rowsMax) end = Math.min(end, numberOf(rows.at(-1)))
    }
    for (let at = 0; at < before.length; at += 2) places.set(numberOf(before[at + 1]), numberOf(before[at]))
    return { places, end }
  }

  /** Of each topic and key one event may be the newest of its type, and yet older than that of another type. */
  async #newestOfTypes(
    events: readonly LogEvent[],
    places: ReadonlyMap<number, number>,
    { to, selection }: StateRequest,
  ): Promise<readonly LogEvent[]> {
    const scores = await this.#scoresOf(events, selection)
    const { epoch, terms } = this.#place()
    // Where the newest of a type is beyond `to`, the one before it is among those that were looked for.
    const isUnsure = scores.some((all) => all.some((score) => score > to))
    const others = isUnsure
      ? eventsOf(await this.#entriesAt([...places.keys()], places, epoch), terms, selection)
      : events
    const last = new Map<string, number>()
    for (const { topic, key, offset } of others) {
      const name = `${topic}\n${key ?? ''}`
      last.set(name, Math.max(offset, last.get(name) ?? 0))
    }
    return events.filter(({ topic, key, offset }, at) => {
      const isLast = (last.get(`${topic}\n${key ?? ''}`) ?? 0) <= offset
      return isLast && (scores[at] ?? []).every((newer) => newer <= offset || newer > to)
    })
  }

  /** Of each event the newest offset of its key; of each type, where the selection has types. */
  async #scoresOf(events: readonly LogEvent[], { types }: Selection): Promise<readonly (readonly number[])[]> {
    if (events.length === 0) return []
    const wanted = types === undefined ? undefined : [...types, CONTROL_TYPES.end]
    const answers = await this.#connection.transaction(
      events.map(({ topic, key = '' }) => {
        const [slot, member] = [slotOf(topic), `${topic}\n${key}`]
        if (wanted === undefined) return ['ZMSCORE', this.#names.keys(slot), member]
        return ['ZMSCORE', this.#names.kinds(slot), ...wanted.map((type) => `${member}\n${type}`)]
      }),
    )
    return answers.map((scores) => listOf(scores).map(numberOf))
  }

  async #entriesAt(
    offsets: readonly number[],
    places: ReadonlyMap<number, number>,
    epoch: string,
  ): Promise<readonly SlotEntry[]> {
    if (offsets.length === 0) return []
    const [now, ...replies] = await this.#connection.transaction([
      ['HGET', this.#names.log, 'epoch'],
      ...offsets.map((offset) => {
        return ['XRANGE', this.#names.stream(places.get(offset) ?? 0), `${offset}-0`, `${offset}-0`]
      }),
    ])
    if (textOf(now) !== epoch) throw new EpochChanged('the log is in another epoch')
    return replies.flatMap(entriesOf)
  }
}
