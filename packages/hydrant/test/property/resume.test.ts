// The promise of the whole: whatever clients and publishers do, every stream ends exact, or with gaps that are right.
//
// A run is a random schedule of publishing, stalls, cuts and reconnects (also to another format) against the real hub
// and pump, in virtual time. HYDRANT_RUNS=20000 runs longer; a failure prints its seed and the shortest schedule.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { LagPolicy } from 'hydrant-client/wire'
import type { Wanted } from '../support/published-log.ts'
import type { ReceivedFormat } from '../support/received.ts'
import { Follower, type Beginning } from './follower.ts'
import { World, type Draft } from './world.ts'

const RUNS = Number(process.env['HYDRANT_RUNS'] ?? 400)

type Step =
  | { readonly do: 'publish'; readonly drafts: readonly Draft[] }
  | { readonly do: 'turns'; readonly turns: number }
  | { readonly do: 'rest' }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'stall'; readonly who: number }
  | { readonly do: 'drain'; readonly who: number }
  | { readonly do: 'cut'; readonly who: number; readonly arriving: number }
  | {
      readonly do: 'connect'
      readonly who: number
      readonly format: ReceivedFormat
      readonly from: Beginning
      readonly isLate: boolean
    }
  | { readonly do: 'toggle'; readonly who: number; readonly at: number }

interface Scene {
  readonly windowBytes: number
  readonly trimmedTopicsMax: number
  readonly sliceSockets: number
  readonly lingerMs: number
  readonly flushBytesMax: number
  readonly readsMs: readonly number[] | undefined
  readonly lag: LagPolicy
  readonly steps: readonly Step[]
}

const FOLLOWED: readonly (readonly Wanted[])[] = [
  [{ topics: ['a/1'], types: undefined }],
  [{ topics: ['a/1', 'b'], types: undefined }],
  [{ topics: ['**'], types: undefined }],
  [{ topics: ['a/*'], types: ['x'] }],
  [{ topics: ['quiet'], types: undefined }],
  [{ topics: ['a/1'], types: undefined }],
  [{ topics: ['a/1'], types: undefined }],
  [
    { topics: ['a/1'], types: undefined },
    { topics: ['a/**', 'b'], types: ['y', 'message'] },
    { topics: ['quiet', 'a/2'], types: undefined },
  ],
  [
    { topics: ['a/1'], types: undefined },
    { topics: ['a/1'], types: undefined },
  ],
]

const who = fc.nat({ max: FOLLOWED.length - 1 })

const drafts = fc.array(
  fc.record({
    topic: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom('a/1', 'a/2', 'b', 'c/d/e') },
      { weight: 1, arbitrary: fc.constant('quiet') },
    ),
    type: fc.constantFrom('message', 'x', 'y'),
    sizeBytes: fc.constantFrom(20, 300, 2_000, 5_000),
  }),
  { minLength: 1, maxLength: 6 },
)

const burst = fc
  .tuple(fc.constantFrom('a/1', 'c/d/e'), fc.integer({ min: 4, max: 24 }))
  .map(([topic, count]) => Array.from({ length: count }, () => ({ topic, type: 'message', sizeBytes: 6_000 })))

const format = fc.constantFrom<ReceivedFormat>(
  'sse',
  'sse',
  'sse',
  'sse-envelope',
  'ndjson',
  'websocket',
  'websocket-plain',
)

const step = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant('publish' as const), drafts }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('publish' as const), drafts: burst }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('turns' as const), turns: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('rest' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(3, 30, 300) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('stall' as const), who }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('drain' as const), who }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('cut' as const), who, arriving: fc.constantFrom(0, 0.3, 0.7, 1) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('connect' as const),
      who,
      format,
      from: fc.oneof(
        { weight: 8, arbitrary: fc.constant<Beginning>('resume') },
        { weight: 3, arbitrary: fc.constantFrom<Beginning>('now', 'last', 'earliest', 'foreign') },
      ),
      isLate: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('toggle' as const), who, at: fc.nat({ max: 2 }) }) },
)

const scene: fc.Arbitrary<Scene> = fc.record({
  windowBytes: fc.constantFrom(65_536, 100_000),
  trimmedTopicsMax: fc.constantFrom(1, 2, 100_000, 100_000, 100_000),
  sliceSockets: fc.constantFrom(1, 2, 64),
  lingerMs: fc.constantFrom(0, 0, 5),
  flushBytesMax: fc.constantFrom(4_096, 30_000, 262_144),
  readsMs: fc.option(fc.array(fc.constantFrom(1, 10, 100), { minLength: 1, maxLength: 5 }), { nil: undefined }),
  lag: fc.constantFrom<LagPolicy>('disconnect', 'skip'),
  steps: fc.array(step, { minLength: 5, maxLength: 70, size: 'max' }),
})

test('under random publishing, stalls, cuts and reconnects every stream is exact or has gaps that are right', async () => {
  const seen = { events: 0, gaps: 0 }
  await fc.assert(
    fc.asyncProperty(scene, async (given) => {
      const { events, gaps } = await play(given)
      seen.events += events
      seen.gaps += gaps
    }),
    { numRuns: RUNS },
  )
  assert.ok(seen.events > RUNS && seen.gaps > RUNS / 10, `too tame to prove anything: ${JSON.stringify(seen)}`)
})

async function play(given: Scene): Promise<{ readonly events: number; readonly gaps: number }> {
  const { steps, readsMs, lag, ...limits } = given
  let reads = 0
  const readMs = readsMs === undefined ? undefined : (): number => readsMs[reads++ % readsMs.length] ?? 1
  const world = new World({ ...limits, heartbeatMs: 400, stallMs: 2_000 }, readMs)
  await world.hub.ready
  const followers = FOLLOWED.map((wanted, at) => new Follower(world, `follower ${at}`, wanted, lag))
  for (const one of steps) await take(one, world, followers)
  await finish(world, followers)
  assert.deepEqual(world.errors, [])
  assert.equal(world.hub.counters.pinnedBytes, 0)
  await world.close()
  const checkers = followers.flatMap(({ subs }) => subs.map(({ checker }) => checker))
  return {
    events: checkers.reduce((sum, { events }) => sum + events, 0),
    gaps: checkers.reduce((sum, { gaps }) => sum + gaps, 0),
  }
}

async function take(one: Step, world: World, followers: readonly Follower[]): Promise<void> {
  if (one.do === 'publish') return world.publish(one.drafts)
  if (one.do === 'rest') return world.rest()
  if (one.do === 'pass') return world.clock.advance(one.ms)
  if (one.do === 'turns') {
    for (let turns = 0; turns < one.turns; turns += 1) await world.clock.turn()
    return
  }
  const follower = followers[one.who]
  if (follower === undefined) return
  if (one.do === 'connect') return follower.connect(one.format, one.from, one.isLate)
  if (one.do === 'toggle') return follower.toggle(one.at)
  const { connection } = follower
  if (connection === undefined) return
  if (one.do === 'stall') connection.isFull = true
  else if (one.do === 'drain') connection.drain()
  else connection.cut(one.arriving)
}

/** Everybody comes back and reads until nothing is left. */
async function finish(world: World, followers: readonly Follower[]): Promise<void> {
  for (let rounds = 0; rounds < 4; rounds += 1) {
    for (const follower of followers) {
      follower.connection?.drain()
      await follower.connect('sse', 'resume', false)
      for (const [at, sub] of follower.subs.entries()) if (sub.subscriber === undefined) await follower.toggle(at)
    }
    for (let pauses = 0; pauses < 25; pauses += 1) {
      await world.rest()
      await world.clock.advance(5)
    }
    await world.rest()
  }
  for (const follower of followers) {
    assert.equal(follower.connection?.isClosed, false, 'a follower without hindrance was disconnected')
    assert.equal(follower.connection.forbidden, 0, 'bytes were sent to a connection that holds some')
    follower.end()
  }
}
