// A run of the simulation: a random schedule of publishing, ends of topics, stalls, cuts, reconnects (also to another
// format) and crashes, against the real hub and pump, in virtual time.

import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { LagPolicy } from 'hydrant-client/wire'
import type { Wanted } from '../support/published-log.ts'
import type { ReceivedFormat } from '../support/received.ts'
import { Follower, type Beginning } from './follower.ts'
import { World, type Draft } from './world.ts'

/** One step of a schedule. */
export type Step =
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
  | { readonly do: 'toggle'; readonly who: number; readonly at: number; readonly from: Beginning }
  | { readonly do: 'end'; readonly topic: string }
  | { readonly do: 'crash'; readonly arriving: number }

/** A world, and what happens in it. */
export interface Scene {
  readonly windowBytes: number
  readonly trimmedTopicsMax: number
  readonly sliceSockets: number
  readonly lingerMs: number
  readonly flushBytesMax: number
  readonly readsMs: readonly number[] | undefined
  /** Of each follower. */
  readonly lags: readonly LagPolicy[]
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
  [{ topics: ['job/1'], types: undefined }],
  [{ topics: ['job/1', 'job/2'], types: undefined }],
  [
    { topics: ['job/1'], types: ['x'] },
    { topics: ['job/2', 'a/2'], types: undefined },
    { topics: ['job/2', 'job/1'], types: undefined },
  ],
]

const who = fc.nat({ max: FOLLOWED.length - 1 })

const drafts = fc.array(
  fc.record({
    topic: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom('a/1', 'a/1', 'a/2', 'b', 'c/d/e', 'job/1', 'job/2') },
      { weight: 1, arbitrary: fc.constant('quiet') },
    ),
    type: fc.constantFrom('message', 'x', 'y'),
    sizeBytes: fc.constantFrom(0, 20, 300, 2_000, 5_000),
    key: fc.constantFrom(undefined, 'k1', 'k2', 'k3'),
  }),
  { minLength: 1, maxLength: 6 },
)

const burst = fc
  .tuple(fc.constantFrom('a/1', 'c/d/e'), fc.integer({ min: 4, max: 24 }), fc.constantFrom(undefined, 'k1', 'k4'))
  .map(([topic, count, key]) =>
    Array.from({ length: count }, () => ({ topic, type: 'message', sizeBytes: 6_000, key })),
  )

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
        { weight: 4, arbitrary: fc.constantFrom<Beginning>('state', 'resume-state') },
        { weight: 3, arbitrary: fc.constantFrom<Beginning>('now', 'last', 'earliest', 'foreign') },
      ),
      isLate: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('toggle' as const),
      who,
      at: fc.nat({ max: 2 }),
      from: fc.constantFrom<Beginning>('resume', 'resume', 'state', 'resume-state'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end' as const), topic: fc.constantFrom('job/1', 'job/2') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), arriving: fc.constantFrom(0, 0.5, 1) }) },
)

/** Scenes, by seed. */
export const scene: fc.Arbitrary<Scene> = fc.record({
  windowBytes: fc.constantFrom(65_536, 100_000),
  trimmedTopicsMax: fc.constantFrom(1, 2, 100_000, 100_000, 100_000),
  sliceSockets: fc.constantFrom(1, 2, 64),
  lingerMs: fc.constantFrom(0, 0, 5),
  flushBytesMax: fc.constantFrom(4_096, 30_000, 262_144),
  readsMs: fc.option(fc.array(fc.constantFrom(1, 10, 100), { minLength: 1, maxLength: 5 }), { nil: undefined }),
  lags: fc.array(fc.constantFrom<LagPolicy>('disconnect', 'skip', 'latest'), {
    minLength: FOLLOWED.length,
    maxLength: FOLLOWED.length,
  }),
  steps: fc.array(step, { minLength: 5, maxLength: 70, size: 'max' }),
})

/** What happened in a run, summed over its followers. */
export interface Outcome {
  readonly steps: number
  readonly events: number
  readonly gaps: number
}

/** Plays a scene to its end. Rejects with what was promised and not kept. */
export async function play(given: Scene): Promise<Outcome> {
  const { steps, readsMs, lags, ...limits } = given
  let reads = 0
  const readMs = readsMs === undefined ? undefined : (): number => readsMs[reads++ % readsMs.length] ?? 1
  const world = new World({ ...limits, heartbeatMs: 400, stallMs: 2_000 }, readMs)
  await world.hub.ready
  const followers = FOLLOWED.map((wanted, at) => new Follower(world, `follower ${at}`, wanted, lags[at] ?? 'skip'))
  for (const one of steps) await take(one, world, followers)
  await finish(world, followers)
  assert.deepEqual(world.errors, [])
  assert.equal(world.hub.counters.pinnedBytes, 0)
  await world.close()
  const checkers = followers.flatMap(({ subs }) => subs.map(({ checker }) => checker))
  return {
    steps: steps.length,
    events: checkers.reduce((sum, { events }) => sum + events, 0),
    gaps: checkers.reduce((sum, { gaps }) => sum + gaps, 0),
  }
}

async function take(one: Step, world: World, followers: readonly Follower[]): Promise<void> {
  if (one.do === 'publish') return world.publish(one.drafts)
  if (one.do === 'rest') return world.rest()
  if (one.do === 'pass') return world.clock.advance(one.ms)
  if (one.do === 'end') return endTopic(one.topic, world)
  if (one.do === 'crash') return crash(one.arriving, world, followers)
  if (one.do === 'turns') {
    for (let turns = 0; turns < one.turns; turns += 1) await world.clock.turn()
    return
  }
  const follower = followers[one.who]
  if (follower === undefined) return
  if (one.do === 'connect') return follower.connect(one.format, one.from, one.isLate)
  if (one.do === 'toggle') return follower.toggle(one.at, one.from)
  const { connection } = follower
  if (connection === undefined) return
  if (one.do === 'stall') connection.isFull = true
  else if (one.do === 'drain') connection.drain()
  else connection.cut(one.arriving)
}

/** Unless the hub may forget ends: what a forgotten end means is not promised. */
async function endTopic(topic: string, world: World): Promise<void> {
  if (world.hub.limits.trimmedTopicsMax > 100) await world.end(topic)
}

async function crash(arriving: number, world: World, followers: readonly Follower[]): Promise<void> {
  for (const follower of followers) follower.lose(arriving)
  world.crash()
  await world.hub.ready
}

/** Everybody comes back and reads until nothing is left. */
async function finish(world: World, followers: readonly Follower[]): Promise<void> {
  for (let rounds = 0; rounds < 4; rounds += 1) {
    for (const follower of followers) {
      follower.connection?.drain()
      follower.read()
      if (!follower.isOver) await follower.connect('sse', 'resume', false)
      for (const [at, sub] of follower.subs.entries())
        if (sub.label === undefined && !sub.isOver) await follower.toggle(at, 'resume')
    }
    for (let pauses = 0; pauses < 25; pauses += 1) {
      await world.rest()
      await world.clock.advance(40)
    }
    await world.rest()
  }
  for (const follower of followers) {
    follower.end()
    assert.ok(follower.isConnected || follower.isOver, 'a follower without hindrance was disconnected')
    assert.equal(follower.connection?.forbidden, 0, 'bytes were sent to a connection that holds some')
  }
}
