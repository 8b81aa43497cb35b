// The log on disk against a naive array: whatever is appended, trimmed and reopened, what is read is what is there, and
// a gap is declared exactly where something selected is gone.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { FileHistory } from '../../src/engine/file-history.ts'
import { addEvent, emptyColumns } from '../../src/engine/file-messages.ts'
import type { Retention } from '../../src/engine/file-retention.ts'
import { FileStore } from '../../src/engine/file-store.ts'
import type { CheckedEvent } from '../../src/hub/event.ts'
import { resolveLimits } from '../../src/hub/limits.ts'
import { Selection } from '../../src/hub/selection.ts'
import { matchesTopic } from '../../src/hub/topic.ts'
import { TempFolder } from '../fault/temp-folder.ts'

interface ModelEvent extends CheckedEvent {
  readonly offset: number
  readonly timeMs: number
  /** When it left: the newer ones of its key that were there. */
  gone?: readonly ModelEvent[]
}

type Step = { readonly batches: readonly (readonly CheckedEvent[])[]; readonly laterMs: number } | 'reopen'

const TOPICS = ['a', 'b/1', 'b/2', 'c']
const SELECTIONS = [['a'], ['a', 'b/2'], ['b/*'], ['**'], ['none'], ['c', 'b/*']]
const TYPES = [undefined, ['tick'], ['message', 'tick']]
const limits = resolveLimits({ scanEventsMax: 7 })

const RETENTIONS: readonly Retention[] = [
  {},
  { logBytesMax: 1_000 },
  {
    rules: [
      { topics: 'a', eventsMax: 3 },
      { topics: 'b/*', bytesMax: 200 },
    ],
    logBytesMax: 2_000,
  },
  { rules: [{ topics: '**', eventsMax: 2, perKey: 1 }] },
  {
    rules: [
      { topics: 'b/**', ageMs: 100, perKey: 1 },
      { topics: 'c', ageMs: 50 },
    ],
    logBytesMax: 1_500,
  },
  { logEventsMax: 5 },
  { rules: [{ topics: 'b/**', eventsMax: 3, perKey: 1 }], logEventsMax: 8, logAgeMs: 120 },
]

const event: fc.Arbitrary<CheckedEvent> = fc.record({
  topic: fc.constantFrom(...TOPICS),
  type: fc.constantFrom('message', 'tick'),
  key: fc.constantFrom(undefined, undefined, 'k1', 'k2', 'k3'),
  data: fc.oneof(
    { weight: 4, arbitrary: fc.string({ maxLength: 60 }) },
    fc.constant(''),
    fc.uint8Array({ maxLength: 40 }),
  ),
})
const batches = fc.array(fc.array(event, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ batches, laterMs: fc.nat(40) }) },
  fc.constant('reopen' as const),
)

for (const [at, retention] of RETENTIONS.entries()) {
  test(`what is read is what is there, and gaps are exact: ${JSON.stringify(retention)}`, () => {
    const chapterEvents = fc.constantFrom(1, 5, 20, 1_000)
    const property = fc.property(fc.array(step, { minLength: 8, maxLength: 25 }), chapterEvents, (steps, events) => {
      using model = new Model(retention, events)
      for (const one of steps) model.take(one)
      model.check()
    })
    fc.assert(property, { numRuns: 15, seed: 4_000 + at })
  })
}

class Model implements Disposable {
  readonly #folder = new TempFolder()
  readonly #retention: Retention
  readonly #events: ModelEvent[] = []
  readonly #chapterEvents: number
  #store: FileStore
  #nowMs = 1_000

  constructor(retention: Retention, chapterEvents: number) {
    this.#retention = retention
    this.#chapterEvents = chapterEvents
    this.#store = this.#open()
  }

  take(one: Step): void {
    if (one === 'reopen') {
      this.#store.close()
      this.#store = this.#open()
      return
    }
    this.#nowMs += one.laterMs
    const columns = emptyColumns()
    for (const each of one.batches.flat()) {
      addEvent(columns, each)
      this.#events.push({ ...each, offset: this.#events.length + 1, timeMs: this.#nowMs })
    }
    const none = one.batches.map(() => null)
    const counts = one.batches.map((batch) => batch.length)
    const group = { timeMs: this.#nowMs, counts, idempotency: none, ifLast: none, events: columns }
    const committed = this.#store.append(group)
    assert.equal(committed.head, this.#events.length)
    this.#noteGone(committed.floor)
  }

  check(): void {
    this.#checkRules()
    this.#checkPlaces()
    const head = this.#events.length
    const told = new SharedArrayBuffer(8)
    new BigInt64Array(told)[0] = BigInt(head)
    const history = new FileHistory(this.#folder.path, limits, told)
    try {
      for (const topics of SELECTIONS) {
        for (const types of TYPES) {
          for (const after of this.#cursors()) {
            this.#checkReading(history, Selection.of(topics, types, 10), after)
            this.#checkState(history, Selection.of(topics, types, 10), after)
          }
        }
      }
    } finally {
      history.close()
    }
  }

  /** The ends of the log, and places around what is gone. */
  #cursors(): readonly number[] {
    const gone = this.#events.filter((one) => one.gone !== undefined).map((one) => one.offset)
    const near = gone.slice(-3).flatMap((offset) => [offset - 1, offset])
    const superseded = this.#events.findLast((one) => one.gone !== undefined && one.gone.length > 0)?.offset ?? 1
    const head = this.#events.length
    return [...new Set([0, superseded - 1, ...near, head >> 1, head])]
  }

  [Symbol.dispose](): void {
    this.#store.close()
    this.#folder[Symbol.dispose]()
  }

  #open(): FileStore {
    const { path } = this.#folder
    return new FileStore({
      folder: path,
      limits,
      retention: this.#retention,
      nowMs: this.#nowMs,
      chapterEvents: this.#chapterEvents,
    })
  }

  #noteGone(floor: number): void {
    const database = new DatabaseSync(join(this.#folder.path, 'log.sqlite'), { readOnly: true })
    const rows = database.prepare('SELECT offset FROM events ORDER BY offset').all()
    database.close()
    const there = new Set(rows.map((row) => Number(row['offset'])))
    for (const one of this.#events) {
      if (!there.has(one.offset)) one.gone ??= this.#newer(one, this.#kept())
    }
    assert.equal(floor, (this.#kept()[0]?.offset ?? this.#events.length + 1) - 1)
  }

  #kept(): readonly ModelEvent[] {
    return this.#events.filter((one) => one.gone === undefined)
  }

  /** Events of its key that came later; none for one without a key. */
  #newer({ topic, key, offset }: ModelEvent, events: readonly ModelEvent[]): readonly ModelEvent[] {
    if (key === undefined) return []
    return events.filter((one) => one.offset > offset && one.topic === topic && one.key === key)
  }

  /** What retention promises of one moment. */
  #checkRules(): void {
    const { rules = [], logEventsMax, logAgeMs } = this.#retention
    if (logEventsMax !== undefined) assert.ok(this.#kept().length <= logEventsMax, `${this.#kept().length} are kept`)
    for (const topic of TOPICS) {
      const rule = rules.find(({ topics }) => matchesTopic(topics, topic))
      const kept = this.#kept().filter((one) => one.topic === topic)
      const free = kept.filter(
        (one) =>
          rule?.perKey === undefined ||
          one.key === undefined ||
          one.data.length === 0 ||
          this.#newer(one, this.#events).length > 0,
      )
      assert.ok(free.length <= (rule?.eventsMax ?? Infinity), `${topic} has ${free.length} events`)
      const ageMs = Math.min(rule?.ageMs ?? Infinity, logAgeMs ?? Infinity)
      assert.ok(
        free.every((one) => one.timeMs > this.#nowMs - ageMs),
        `${topic} has old events`,
      )
    }
  }

  /** The index names every event that is not in its tail, once; and each of its rows one that is there. */
  #checkPlaces(): void {
    const database = new DatabaseSync(join(this.#folder.path, 'log.sqlite'), { readOnly: true })
    const indexed = Number(database.prepare('SELECT indexed FROM state').get()?.['indexed'])
    const rows = database.prepare('SELECT name, last, distances FROM places JOIN topics ON id = topic').all()
    database.close()
    const kept = this.#kept().filter((one) => one.offset <= indexed)
    const isKept = (place: string): boolean => kept.some((one) => `${one.offset} ${one.topic}` === place)
    const places = rows.map(({ name, last, distances }) =>
      distancesOf(distances).map((distance) => `${Number(last) - distance} ${String(name)}`),
    )
    assert.ok(places.every((row) => row.some(isKept)))
    const named = places.flat().filter(isKept).toSorted()
    assert.deepEqual(named, kept.map((one) => `${one.offset} ${one.topic}`).toSorted())
    assert.ok(this.#events.length - indexed < this.#chapterEvents)
  }

  #checkReading(history: FileHistory, selection: Selection, from: number): void {
    for (const latest of [false, true]) {
      const isSelected = (one: ModelEvent): boolean => selection.matches(one.topic, one.type)
      const isReplaced = (newer: readonly ModelEvent[]): boolean => latest && newer.some(isSelected)
      const wanted = this.#events.filter((one) => one.offset > from && isSelected(one))
      const lost = wanted.filter(({ gone }) => gone !== undefined && !isReplaced(gone))
      const page = { eventsMax: 3, bytesMax: 70 }
      let [after, isFirst] = [from, true]
      const read: number[] = []
      while (isFirst || after < this.#events.length) {
        const range = history.read({ ...wantedOf(selection), ...page, after, latest })
        this.#checkGap(range.gap, lost.findLast(({ offset }) => offset > after)?.offset, latest, selection)
        assert.ok(range.offsets.length > 0 || range.to > after || after === this.#events.length)
        read.push(...range.offsets)
        after = range.to
        isFirst = false
      }
      const expected = wanted.filter((one) => one.gone === undefined && !isReplaced(this.#newer(one, this.#events)))
      assert.deepEqual(
        read,
        expected.map((one) => one.offset),
      )
    }
  }

  /** Of several types nothing is remembered that tells whether one stood for another: then the gap is not certain. */
  #checkGap(
    gap: { readonly to: number; readonly certain: boolean } | undefined,
    lost: number | undefined,
    latest: boolean,
    { types }: Selection,
  ): void {
    if (gap !== undefined && latest && (types?.size ?? 0) > 1) {
      assert.ok(gap.to >= (lost ?? 0))
      return assert.ok(lost !== undefined || !gap.certain)
    }
    assert.deepEqual(gap, lost === undefined ? undefined : { to: lost, certain: true })
  }

  #checkState(history: FileHistory, selection: Selection, to: number): void {
    const kept = this.#kept().filter((one) => one.offset <= to && selection.matches(one.topic, one.type))
    const expected = kept.filter((one) => {
      const isNewest = !kept.some(
        (other) => other.offset > one.offset && other.topic === one.topic && other.key === one.key,
      )
      return isNewest && (one.key === undefined || one.data.length > 0)
    })
    const read: number[] = []
    for (let after = 0; after < to;) {
      const range = history.state({ ...wantedOf(selection), eventsMax: 2, bytesMax: 70, after, to })
      assert.ok(range.to > after)
      read.push(...range.offsets)
      after = range.to
    }
    assert.deepEqual(
      read,
      expected.map((one) => one.offset),
    )
  }
}

function distancesOf(text: unknown): readonly number[] {
  const distances: unknown = JSON.parse(String(text))
  assert.ok(Array.isArray(distances))
  return distances.map(Number)
}

function wantedOf({ topics, exactTopics, types }: Selection): {
  readonly topics: readonly string[]
  readonly isExact: boolean
  readonly types: readonly string[] | undefined
} {
  return { topics, isExact: exactTopics !== undefined, types: types && [...types] }
}
