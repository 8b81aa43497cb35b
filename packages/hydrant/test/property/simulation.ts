// A run of the simulation: a random schedule of publishing, ends of topics, trims, stalls, cuts, reconnects (also to
// another format), restarts, failing disks and crashes between any two steps of the engine, against the real hub and
// pump, in virtual time.

import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { LagPolicy } from 'hydrant-client/wire'
import type { Wanted } from '../support/published-log.ts'
import type { ReceivedFormat } from '../support/received.ts'
import { Follower, type Beginning } from './follower.ts'
import { DiskMedium } from './disk-medium.ts'
import { FileMedium } from './file-medium.ts'
import { MemoryMedium, type Medium } from './medium.ts'
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
  | { readonly do: 'crowd'; readonly format: ReceivedFormat; readonly from: Beginning }
  | { readonly do: 'toggle'; readonly who: number; readonly at: number; readonly from: Beginning }
  | { readonly do: 'end'; readonly topic: string }
  | { readonly do: 'retry' }
  | { readonly do: 'step'; readonly steps: number }
  | { readonly do: 'trim'; readonly events: number }
  | { readonly do: 'fail'; readonly kept: number }
  | { readonly do: 'undo'; readonly events: number }
  | { readonly do: 'lose' }
  | { readonly do: 'restart' }
  | { readonly do: 'crash'; readonly arriving: number; readonly steps: number; readonly kept: number }

/** What the log is kept on: see medium.ts. */
export type Kind = 'memory' | 'disk' | 'shared' | 'file'

/** A world, and what happens in it. */
export interface Scene {
  readonly kind: Kind
  /** What a log that outlives its process keeps. */
  readonly eventsKept: number
  /** How long the steps of an engine take. */
  readonly stepsMs: readonly number[]
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

const HEARTBEAT_MS = 400
/** At the end of a run, until everybody has everything: so long, and so often at the most. */
const PAUSE_MS = 40
const PAUSES_MAX = 1_000

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

/** Of what a crash can take, so much stays. */
const kept = fc.constantFrom(0, 0.4, 0.8, 1)

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
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('crowd' as const),
      format,
      from: fc.constantFrom<Beginning>('earliest', 'earliest', 'resume', 'resume-state'),
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
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retry' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('step' as const), steps: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('trim' as const), events: fc.constantFrom(1, 4, 30) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), kept }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('undo' as const), events: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      arriving: fc.constantFrom(0, 0.5, 1),
      steps: fc.nat({ max: 6 }),
      kept,
    }),
  },
)

const scenery = {
  eventsKept: fc.constantFrom(3, 10, 40, 1_000),
  stepsMs: fc.array(fc.constantFrom(0, 0, 1, 20), { minLength: 1, maxLength: 5 }),
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
}

/** Scenes of one kind, by seed. */
export function sceneOn(kind: Kind): fc.Arbitrary<Scene> {
  return fc.record({ ...scenery, kind: fc.constant(kind) })
}

/** Scenes of every kind, by seed; few on real files, for they are slow. */
export const scene: fc.Arbitrary<Scene> = fc.oneof(
  { weight: 15, arbitrary: sceneOn('memory') },
  { weight: 15, arbitrary: sceneOn('disk') },
  { weight: 15, arbitrary: sceneOn('shared') },
  { weight: 1, arbitrary: sceneOn('file') },
)

/** What happened in a run, summed over its followers. */
export interface Outcome {
  readonly steps: number
  readonly events: number
  readonly gaps: number
}

/** Plays a scene to its end. Rejects with what was promised and not kept. */
export async function play(given: Scene): Promise<Outcome> {
  const { steps, readsMs, stepsMs, kind, eventsKept, lags, ...limits } = given
  const world = new World({
    limits: { ...limits, heartbeatMs: HEARTBEAT_MS, stallMs: 2_000 },
    medium: mediumOf(kind, eventsKept),
    readMs: readsMs === undefined ? undefined : around(readsMs),
    stepMs: around(stepsMs),
  })
  try {
    await world.hub.ready
    const followers = FOLLOWED.map((wanted, at) => new Follower(world, `follower ${at}`, wanted, lags[at] ?? 'skip'))
    for (const one of steps) {
      await take(one, world, followers)
      world.judge()
    }
    await finish(world, followers)
    assert.equal(world.hub.counters.pinnedBytes, 0)
    await world.close()
    const checkers = followers.flatMap(({ subs }) => subs.map(({ checker }) => checker))
    return {
      steps: steps.length,
      events: checkers.reduce((sum, { events }) => sum + events, 0),
      gaps: checkers.reduce((sum, { gaps }) => sum + gaps, 0),
    }
  } finally {
    world.dispose()
  }
}

function mediumOf(kind: Kind, eventsKept: number): Medium {
  if (kind === 'memory') return new MemoryMedium()
  if (kind === 'file') return new FileMedium(eventsKept)
  if (kind === 'disk') return new DiskMedium({ survives: 'acknowledged', isTailLate: false }, eventsKept)
  return new DiskMedium({ survives: 'most', isTailLate: true }, eventsKept)
}

/** Each of them in turn, again and again. */
function around(values: readonly number[]): () => number {
  let at = 0
  return () => values[at++ % values.length] ?? 1
}

async function take(one: Step, world: World, followers: readonly Follower[]): Promise<void> {
  if (one.do === 'publish') return world.publish(one.drafts)
  if (one.do === 'rest') return world.rest()
  if (one.do === 'pass') return world.clock.advance(one.ms)
  if (one.do === 'end') return endTopic(one.topic, world)
  if (one.do === 'retry') return world.retry()
  if (one.do === 'step') return world.step(one.steps)
  if (one.do === 'trim') return world.trim(one.events)
  if (one.do === 'fail') return world.failSync(one.kept)
  if (one.do === 'undo') {
    return world.undo(one.events, (to) => {
      for (const follower of followers) follower.undone(to)
    })
  }
  if (one.do === 'lose') return world.loseTail()
  if (one.do === 'restart') return restart(world, followers)
  if (one.do === 'crash') return crash(one, world, followers)
  if (one.do === 'crowd') return crowd(one, followers)
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

/** Everybody at once, after a network was away. */
async function crowd(
  { format: same, from }: Step & { readonly do: 'crowd' },
  followers: readonly Follower[],
): Promise<void> {
  for (const follower of followers) {
    follower.connection?.cut(1)
    await follower.connect(same, from, false)
  }
}

async function crash(
  { arriving, steps, kept: share }: Step & { readonly do: 'crash' },
  world: World,
  followers: readonly Follower[],
): Promise<void> {
  await world.step(steps)
  for (const follower of followers) follower.lose(arriving)
  await world.crash(share)
}

/** In good order: whoever reads has what was published, and its farewell. */
async function restart(world: World, followers: readonly Follower[]): Promise<void> {
  await world.stop()
  for (const follower of followers) follower.lose(1)
  await world.start()
}

/** Everybody comes back and reads until nothing is left, and a while longer. */
async function finish(world: World, followers: readonly Follower[]): Promise<void> {
  let pauses = 0
  do {
    await returnAll(followers)
    await pause(world)
    pauses += 1
  } while (pauses < PAUSES_MAX && !(world.isQuiet && followers.every((follower) => follower.hasAll)))
  for (let beats = 0; beats < 2; beats += 1) await pause(world, HEARTBEAT_MS)
  for (const follower of followers) {
    follower.end()
    assert.ok(follower.isConnected || follower.isOver, 'a follower without hindrance was disconnected')
    assert.equal(follower.connection?.forbidden, 0, 'bytes were sent to a connection that holds some')
  }
}

async function returnAll(followers: readonly Follower[]): Promise<void> {
  for (const follower of followers) {
    follower.connection?.drain()
    follower.read()
    if (!follower.isOver) await follower.connect('sse', 'resume', false)
    for (const [at, sub] of follower.subs.entries())
      if (sub.label === undefined && !sub.isOver) await follower.toggle(at, 'resume')
  }
}

async function pause(world: World, ms: number = PAUSE_MS): Promise<void> {
  await world.rest()
  await world.clock.advance(ms)
  await world.rest()
}
