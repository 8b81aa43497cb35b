// The router against a naive one that asks every feed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { LogEvent } from '../../src/hub/event.ts'
import type { Feed } from '../../src/hub/feed.ts'
import { Router } from '../../src/hub/router.ts'
import { Selection } from '../../src/hub/selection.ts'
import { logEvent } from '../support/log-event.ts'
import { isWanted, type Wanted } from '../support/published-log.ts'

class RecordingFeed implements Feed {
  readonly wanted: Wanted
  readonly selection: Selection
  readonly offered: number[] = []
  readonly expected: number[] = []

  constructor(wanted: Wanted) {
    this.wanted = wanted
    this.selection = Selection.of(wanted.topics, wanted.types, 100)
  }

  offer(event: LogEvent): void {
    this.offered.push(event.offset)
  }

  skip(): void {}

  undo(): void {}
}

const topic = fc.constantFrom('a', 'b', 'c/1', 'c/2', 'c/1/x', 'd')
const wanted: fc.Arbitrary<Wanted> = fc.record({
  topics: fc.uniqueArray(fc.constantFrom('a', 'b', 'c/1', 'c/*', 'c/**', '*', '**', '*/1', 'none'), {
    minLength: 1,
    maxLength: 3,
  }),
  types: fc.constantFrom(undefined, ['x'], ['x', 'message']),
})
const step = fc.oneof(
  fc.record({ do: fc.constant('add' as const), wanted }),
  fc.record({ do: fc.constant('remove' as const), at: fc.nat({ max: 9 }) }),
  fc.record({ do: fc.constant('offer' as const), topic, type: fc.constantFrom('message', 'x', 'y') }),
)

test('each feed is offered each event of its selection once, in order, while it is there', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const router = new Router()
      const all: RecordingFeed[] = []
      const present: RecordingFeed[] = []
      let offset = 0
      for (const one of steps) {
        if (one.do === 'add') {
          const feed = new RecordingFeed(one.wanted)
          all.push(feed)
          present.push(feed)
          router.add(feed)
        } else if (one.do === 'remove') {
          const [feed] = present.splice(one.at % Math.max(present.length, 1), 1)
          if (feed === undefined) continue
          router.remove(feed)
          router.remove(feed)
        } else {
          offset += 1
          for (const feed of present) if (isWanted(feed.wanted, one)) feed.expected.push(offset)
          router.offer(logEvent(offset, one))
        }
      }
      for (const { offered, expected, selection } of all) assert.deepEqual(offered, expected, selection.key)
    }),
    { numRuns: 500 },
  )
})

test('more topics than are remembered are routed all the same', () => {
  const router = new Router()
  const feed = new RecordingFeed({ topics: ['t/*'], types: undefined })
  router.add(feed)
  for (let offset = 1; offset <= 25_000; offset += 1)
    router.offer(logEvent(offset, { topic: `${offset % 2 === 0 ? 't' : 'u'}/${offset}` }))
  assert.equal(feed.offered.length, 12_500)
})
