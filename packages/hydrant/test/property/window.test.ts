// The window against a naive array that keeps everything it should, and looks at all of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { LogEvent } from '../../src/hub/event.ts'
import { Selection } from '../../src/hub/selection.ts'
import { Window } from '../../src/hub/window.ts'
import { logEvent } from '../support/log-event.ts'
import { isWanted, type Wanted } from '../support/published-log.ts'

const MANY = Array.from({ length: 20 }, (_, at) => `t/${at}`)

const wanted: fc.Arbitrary<Wanted> = fc.record({
  topics: fc.oneof(
    fc.constantFrom('a', 't/1', 'none').map((topic) => [topic]),
    fc.subarray(['a', 'b', 't/1', 't/2', 'none'], { minLength: 2 }),
    fc.constant(MANY),
    fc.subarray([...MANY, 'a'], { minLength: 17 }),
    fc.constantFrom(['**'], ['*'], ['t/*'], ['t/**', 'a'], ['*/1', 'b']),
  ),
  types: fc.constantFrom(undefined, ['x'], ['x', 'y'], ['none']),
})

const draft = fc.record({
  topic: fc.constantFrom('a', 'a', 'a', 'b', ...MANY),
  type: fc.constantFrom('message', 'x', 'y'),
  size: fc.constantFrom(0, 10, 700),
  /** Offsets have holes. */
  step: fc.constantFrom(1, 1, 1, 2, 7),
  /** Times may stand still. */
  passMs: fc.constantFrom(0, 0, 5),
  encodedBytes: fc.constantFrom(0, 0, 100, 900),
  isSettled: fc.boolean(),
})

const look = fc.record({
  wanted,
  after: fc.double({ min: 0, max: 1, noNaN: true }),
  scanMax: fc.constantFrom(1, 2, 5, 30, 1_000_000),
  stopAfter: fc.constantFrom(0, 1, 3, 1_000_000),
  count: fc.constantFrom(0, 1, 2, 5, 1_000),
})

const scene = fc.record({
  bytesMax: fc.constantFrom(1, 800, 5_000, 20_000, 1_000_000),
  first: fc.constantFrom(0, 1_000),
  drafts: fc.array(draft, { maxLength: 200, size: 'max' }),
  looks: fc.array(look, { minLength: 1, maxLength: 5 }),
})

test('a window trims, reads and seeks as an array would that is looked at whole', () => {
  fc.assert(
    fc.property(scene, ({ bytesMax, first, drafts, looks }) => {
      const trimmed: LogEvent[] = []
      const window = new Window({ bytesMax, after: first, onTrim: (event) => void trimmed.push(event) })
      const model = new Model(bytesMax, first)
      for (const one of drafts) {
        const offset = model.head + one.step
        const event = logEvent(offset, { ...one, data: 'x'.repeat(one.size), timeMs: model.timeMs + one.passMs })
        window.append(event)
        model.append(event)
        if (one.encodedBytes === 0) continue
        const encoded = model.events[model.events.length >>> 1] ?? event
        if (encoded.encodings[0] !== undefined) continue
        encoded.encodings[0] = new Uint8Array(one.encodedBytes)
        window.charge(encoded, one.encodedBytes)
        if (!one.isSettled) continue
        window.settle()
        model.settle()
      }
      assert.deepEqual(
        [window.floor, window.head, window.length, window.bytes],
        [model.floor, model.head, model.events.length, model.bytes],
      )
      assert.deepEqual(trimmed, model.trimmed)
      for (const one of looks) compare(window, model, one)
    }),
    { numRuns: 400 },
  )
})

function compare(window: Window, model: Model, one: typeof look extends fc.Arbitrary<infer Look> ? Look : never): void {
  const selection = Selection.of(one.wanted.topics, one.wanted.types, 100)
  const after = model.floor + Math.round(one.after * (model.head - model.floor))
  const visited: LogEvent[] = []
  const to = window.read(
    after,
    selection,
    (event) => visited.length < one.stopAfter && (visited.push(event), true),
    one.scanMax,
  )
  const selected = model.events.filter((event) => event.offset > after && isWanted(one.wanted, event))
  const rest = selected.filter((event) => event.offset > to)
  assert.deepEqual([...visited, ...rest], selected, 'everything up to the answer was visited, nothing after it')
  assert.ok(to >= after && to <= model.head)
  if (one.stopAfter > selected.length && one.scanMax > model.events.length) assert.equal(to, model.head)
  if (one.stopAfter > 0 && after < model.head) assert.ok(to > after, 'a reading came no further')
  const looked = model.events.filter((event) => event.offset > after && event.offset <= to)
  if (selection.exactTopics === undefined) assert.ok(looked.length <= one.scanMax)
  assert.ok(visited.length <= one.scanMax)

  const newest = model.events.filter((event) => isWanted(one.wanted, event)).slice(-one.count || model.events.length)
  const sought = window.seekLast(one.count, selection)
  const following = model.events.filter((event) => event.offset > sought && isWanted(one.wanted, event))
  assert.deepEqual(following, one.count === 0 ? [] : newest)

  for (const timeMs of [0, model.timeMs, model.timeMs + 1, model.events[3]?.timeMs ?? 0]) {
    const from = window.seekTime(timeMs)
    assert.deepEqual(
      model.events.filter((event) => event.offset > from),
      model.events.filter((event) => event.timeMs >= timeMs),
    )
  }
}

/** What a window is, without any thought of speed. */
class Model {
  readonly #bytesMax: number
  events: LogEvent[] = []
  readonly trimmed: LogEvent[] = []
  floor: number
  head: number
  timeMs = 0

  constructor(bytesMax: number, first: number) {
    this.#bytesMax = bytesMax
    this.floor = this.head = first
  }

  get bytes(): number {
    return this.events.reduce((sum, event) => sum + costOf(event), 0)
  }

  append(event: LogEvent): void {
    this.events.push(event)
    this.head = event.offset
    this.timeMs = event.timeMs
    this.settle()
  }

  settle(): void {
    while (this.bytes > this.#bytesMax && this.events.length > 1) {
      const [oldest] = this.events.splice(0, 1)
      if (oldest === undefined) return
      this.trimmed.push(oldest)
      this.floor = oldest.offset
    }
  }
}

function costOf(event: LogEvent): number {
  return event.encodings.reduce((sum, encoding) => sum + (encoding === undefined ? 0 : encoding.length + 160), event.sizeBytes)
}

test('what was trimmed cannot be read, and what is not new cannot be appended', () => {
  const window = new Window({ bytesMax: 600 })
  for (let offset = 1; offset <= 5; offset += 1) window.append(logEvent(offset))
  assert.equal(window.floor, 3)
  assert.throws(() => window.read(2, Selection.of(['a'], undefined, 1), () => true, 10), /read from 2/)
  assert.throws(() => window.append(logEvent(5)), /offset 5 was appended/)
})

test('an encoding made of an event that has left is not charged', () => {
  const window = new Window({ bytesMax: 600 })
  const gone = logEvent(1)
  for (const event of [gone, ...[2, 3, 4].map((offset) => logEvent(offset))]) window.append(event)
  const { bytes } = window
  window.charge(gone, 500)
  assert.equal(window.bytes, bytes)
})

test('a quiet topic is read without looking at the busy ones', () => {
  const window = new Window({ bytesMax: 10_000_000 })
  window.append(logEvent(1, { topic: 'quiet' }))
  for (let offset = 2; offset <= 5_000; offset += 1) window.append(logEvent(offset, { topic: 'busy' }))
  for (const topics of [['quiet'], ['quiet', 'none']]) {
    const seen: number[] = []
    const to = window.read(0, Selection.of(topics, undefined, 9), (event) => (seen.push(event.offset), true), 2)
    assert.deepEqual([seen, to], [[1], 5_000], topics.join(' '))
  }
})
