// The log on disk against a naive array: whatever is appended, trimmed and reopened, what is read is what is there, and a
// gap is declared exactly where something selected is gone.

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
import { TempFolder } from '../fault/temp-folder.ts'

interface ModelEvent extends CheckedEvent {
  readonly offset: number
  readonly timeMs: number
  /** When it left: whether a newer one of its key was there. */
  gone?: 'superseded' | 'newest'
}

type Step = { readonly batches: readonly (readonly CheckedEvent[])[]; readonly laterMs: number } | 'reopen'

const TOPICS = ['a', 'b/1', 'b/2', 'c']
const SELECTIONS = [['a'], ['a', 'b/2'], ['b/*'], ['**'], ['none'], ['c', 'b/*']]
const TYPES = [undefined, ['tick']]
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
    const property = fc.property(fc.array(step, { minLength: 8, maxLength: 25 }), (steps) => {
      using model = new Model(retention)
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
  #store: FileStore
  #nowMs = 1_000

  constructor(retention: Retention) {
    this.#retention = retention
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
    const superseded = this.#events.findLast((one) => one.gone === 'superseded')?.offset ?? 1
    const head = this.#events.length
    return [...new Set([0, superseded - 1, ...near, head >> 1, head])]
  }

  [Symbol.dispose](): void {
    this.#store.close()
    this.#folder[Symbol.dispose]()
  }

  #open(): FileStore {
    return new FileStore({ folder: this.#folder.path, limits, retention: this.#retention, nowMs: this.#nowMs })
  }

  #noteGone(floor: number): void {
    const database = new DatabaseSync(join(this.#folder.path, 'log.sqlite'), { readOnly: true })
    const rows = database.prepare('SELECT offset FROM events ORDER BY offset').all()
    database.close()
    const there = new Set(rows.map((row) => Number(row['offset'])))
    for (const one of this.#events) {
      if (!there.has(one.offset)) one.gone ??= this.#newestOfKey(one, this.#events.length) ? 'newest' : 'superseded'
    }
    assert.equal(floor, (this.#kept()[0]?.offset ?? this.#events.length + 1) - 1)
  }

  #kept(): readonly ModelEvent[] {
    return this.#events.filter((one) => one.gone === undefined)
  }

  #newestOfKey({ topic, key, offset }: ModelEvent, to: number): boolean {
    const later = this.#events.filter((one) => one.offset > offset && one.offset <= to)
    return key === undefined || !later.some((one) => one.topic === topic && one.key === key)
  }

  /** What retention promises of one moment. */
  #checkRules(): void {
    for (const { topics, eventsMax, ageMs, perKey } of this.#retention.rules ?? []) {
      const selection = Selection.of([topics], undefined, 1)
      for (const topic of TOPICS.filter((name) => selection.matchesTopic(name))) {
        const kept = this.#kept().filter((one) => one.topic === topic)
        const free = kept.filter(
          (one) =>
            perKey === undefined || one.key === undefined || one.data.length === 0 || !this.#newestOfKey(one, 1e9),
        )
        if (eventsMax !== undefined) assert.ok(free.length <= eventsMax, `${topic} has ${free.length} events`)
        if (ageMs !== undefined)
          assert.ok(
            free.every((one) => one.timeMs > this.#nowMs - ageMs),
            `${topic} has old events`,
          )
      }
    }
  }

  #checkReading(history: FileHistory, selection: Selection, from: number): void {
    for (const latest of [false, true]) {
      const wanted = this.#events.filter((one) => selection.matches(one.topic, one.type))
      const lost = wanted.filter((one) => one.offset > from && (one.gone === 'newest' || (one.gone && !latest)))
      const gapTo = lost.at(-1)?.offset
      const page = { eventsMax: 3, bytesMax: 70 }
      let [after, isFirst] = [from, true]
      const read: number[] = []
      while (isFirst || after < this.#events.length) {
        const range = history.read({ ...wantedOf(selection), ...page, after, latest })
        assert.deepEqual(range.gap, isFirst && gapTo !== undefined ? { to: gapTo, certain: true } : undefined)
        assert.ok(range.offsets.length > 0 || range.to > after || after === this.#events.length)
        read.push(...range.offsets)
        after = range.to
        isFirst = false
      }
      const kept = wanted.filter((one) => one.gone === undefined && one.offset > Math.max(from, gapTo ?? 0))
      const expected = kept.filter((one) => !latest || this.#newestOfKey(one, this.#events.length))
      assert.deepEqual(
        read,
        expected.map((one) => one.offset),
      )
    }
  }

  #checkState(history: FileHistory, selection: Selection, to: number): void {
    const kept = this.#kept().filter((one) => one.offset <= to)
    const expected = kept.filter((one) => {
      const isNewest = !kept.some(
        (other) => other.offset > one.offset && other.topic === one.topic && other.key === one.key,
      )
      return isNewest && selection.matches(one.topic, one.type) && (one.key === undefined || one.data.length > 0)
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

function wantedOf({ topics, exactTopics, types }: Selection): {
  readonly topics: readonly string[]
  readonly isExact: boolean
  readonly types: readonly string[] | undefined
} {
  return { topics, isExact: exactTopics !== undefined, types: types && [...types] }
}
