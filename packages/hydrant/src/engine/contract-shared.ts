// The part of the contract (contract.ts) for engines that claim `shared`: two of them, on one log.

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { CONTROL_TYPES, parseId } from 'hydrant-client/wire'
import { HydrantError } from '../hub/errors.ts'
import { Selection } from '../hub/selection.ts'
import { ALL, checkedOf, eventOf, idOf, mixedBatches, SELECTIONS, texts, TRIMMED_BYTES } from './contract-events.ts'
import { AMPLE, OpenLog, TestClock } from './contract-log.ts'
import type { EngineTestOptions, EngineUnderTest } from './contract.ts'
import type { Engine } from './engine.ts'

const KEY = { key: 'a key', fingerprint: 'a body' } as const
const ONLY_A = Selection.of(['a'], undefined, 100)
const ONLY_B = Selection.of(['b'], undefined, 100)
const TWO_LEVELS = Selection.of(['a/*'], undefined, 100)

/** Two engines on one log. */
class Pair implements AsyncDisposable {
  readonly one: OpenLog
  readonly other: OpenLog

  private constructor(one: OpenLog, other: OpenLog) {
    this.one = one
    this.other = other
  }

  static async open(subject: EngineUnderTest, options: Partial<EngineTestOptions> = {}): Promise<Pair> {
    const one = await OpenLog.of(await subject.make(optionsOf(options)))
    return new Pair(one, await OpenLog.of(await joined(subject, options)))
  }

  async until(count: number): Promise<void> {
    for (const log of [this.one, this.other]) await log.until((events) => events.length === count)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.one.engine.close(), this.other.engine.close()])
  }
}

/** Registers the tests of two engines on one log. */
export function testShared(subject: EngineUnderTest): void {
  suite('two of them on one log', () => {
    testOneOrder(subject)
    testOneMemory(subject)
    testJoining(subject)
    testFollowing(subject)
  })
}

// ── one order ────────────────────────────────────────────────────────────────────────────────────────────────────────

function testOneOrder(subject: EngineUnderTest): void {
  test('each tells of every event once, whoever appended it, in one order for both', async () => {
    await using pair = await Pair.open(subject)
    const appends = Array.from({ length: 60 }, async (_, at) =>
      (at % 2 === 0 ? pair.one : pair.other).append(texts(`topic/${at % 7}`, subject.capabilities.atomicBatch ? 3 : 1)),
    )
    const ids = (await Promise.all(appends)).flat()
    await pair.until(ids.length)
    assert.deepEqual(new Set(pair.one.events.map(idOf)), new Set(ids))
    assert.deepEqual(pair.one.events.map(idOf), pair.other.events.map(idOf))
    assert.deepEqual(pair.one.events.map(checkedOf), pair.other.events.map(checkedOf))
    assert.deepEqual(
      pair.one.events.map((event) => event.timeMs),
      pair.other.events.map((event) => event.timeMs),
    )
  })

  test('an append that begins after the answer to another stands behind it, whoever stored them', async () => {
    await using pair = await Pair.open(subject)
    const ids: string[] = []
    for (let at = 0; at < 10; at += 1) ids.push(...(await (at % 2 === 0 ? pair.one : pair.other).append(texts('a', 1))))
    await pair.until(10)
    assert.deepEqual(pair.one.events.map(idOf), ids)
  })

  test('times never go back, also where the clocks of two machines differ', async () => {
    await using one = await OpenLog.of(await subject.make(optionsOf({ nowMs: () => 2_000_000 })))
    await using other = await OpenLog.of(await joined(subject, { nowMs: () => 1_000_000 }))
    for (const log of [one, other, one, other]) await log.append(texts('a', 1))
    await other.until((events) => events.length === 4)
    const times = other.events.map((event) => event.timeMs)
    assert.deepEqual(
      times,
      times.toSorted((left, right) => left - right),
    )
  })

  for (const [words, selection] of SELECTIONS) {
    test(`what one stored of ${words} the other reads, from any cursor`, async () => {
      await using pair = await Pair.open(subject)
      await appendMixed(pair.one)
      await pair.other.until((events) => events.length === mixedBatches().flat().length)
      const wanted = pair.other.events.filter((event) => selection.matches(event.topic, event.type))
      for (const after of [0, ...pair.other.events.map((event) => event.offset)]) {
        const read = await pair.other.readAll(after, selection, { eventsMax: 5, bytesMax: 1_000_000 })
        assert.deepEqual(read.map(idOf), wanted.filter((event) => event.offset > after).map(idOf))
      }
    })
  }

  test('once it is synced, an engine knows every id that another has given', async () => {
    await using pair = await Pair.open(subject)
    const { engine } = pair.other
    for (let round = 0; round < 20; round += 1) {
      const [id = ''] = await pair.one.append(texts('a', 1))
      assert.ok(engine.synced !== undefined, 'an engine that shares its log can be synced')
      await engine.synced()
      const { floor, head, epochs } = engine.bounds()
      const parsed = parseId(id)
      assert.ok(parsed !== undefined)
      assert.deepEqual(epochs.resume(parsed, floor, head), { after: parsed.offset, known: true })
    }
  })

  test('an id of one is resumed by the other, at the same place', async () => {
    await using pair = await Pair.open(subject)
    await appendMixed(pair.one)
    await pair.until(mixedBatches().flat().length)
    for (const event of pair.one.events) {
      const id = parseId(event.id)
      assert.ok(id !== undefined)
      const { floor, head, epochs } = pair.other.engine.bounds()
      assert.deepEqual(epochs.resume(id, floor, head), { after: event.offset, known: true })
      assert.equal(epochs.idAt(event.offset), event.id)
    }
  })

  test('both find the same places, and the same state', async () => {
    await using pair = await Pair.open(subject)
    for (let at = 0; at < 12; at += 1)
      await (at % 2 === 0 ? pair.one : pair.other).append([{ ...eventOf('a', String(at)), key: `key ${at % 3}` }])
    await pair.until(12)
    for (const seek of [{ last: 3 }, { sinceMs: 0 }, { earliest: true } as const])
      assert.equal(await pair.one.engine.seek(seek, ALL), await pair.other.engine.seek(seek, ALL))
    const request = { after: 0, to: pair.one.engine.bounds().head, selection: ALL, ...AMPLE }
    const states = await Promise.all([pair.one, pair.other].map((log) => log.engine.state(request)))
    for (const { events } of states)
      assert.deepEqual(
        events.map(({ data }) => data),
        ['9', '10', '11'],
      )
  })
}

// ── one memory ───────────────────────────────────────────────────────────────────────────────────────────────────────

function testOneMemory(subject: EngineUnderTest): void {
  test('a retry at the other stores nothing and answers the first ids', async () => {
    await using pair = await Pair.open(subject)
    const ids = await pair.one.engine.append(texts('a', 1), KEY)
    assert.deepEqual(await pair.other.engine.append(texts('a', 1), KEY), ids)
    await pair.other.append(texts('end', 1))
    await pair.until(2)
  })

  test('of equal requests that come to both at once, one is stored', async () => {
    await using pair = await Pair.open(subject)
    const appends = [pair.one, pair.other, pair.one, pair.other].map((log) => log.engine.append(texts('a', 1), KEY))
    const answers = await Promise.all(appends)
    assert.equal(new Set(answers.map(String)).size, 1)
    await pair.one.append(texts('end', 1))
    await pair.until(2)
  })

  test('the key of a request at one is refused at the other for another body', async () => {
    await using pair = await Pair.open(subject)
    await pair.one.engine.append(texts('a', 1), KEY)
    const another = { ...KEY, fingerprint: 'another' }
    await assert.rejects(async () => pair.other.engine.append(texts('b', 1), another), isError('idempotency-conflict'))
  })

  test('a topic that ended at one has ended at the other', async () => {
    await using pair = await Pair.open(subject)
    await pair.one.append([{ ...eventOf('a', '{}'), type: CONTROL_TYPES.end }])
    await assert.rejects(async () => pair.other.append(texts('a', 1)), isError('topic-ended'))
    await pair.until(1)
    assert.equal(pair.other.engine.endOf('a'), pair.other.events[0]?.offset)
  })

  test('of writers at both with the same condition, one wins', async () => {
    await using pair = await Pair.open(subject)
    const [first = ''] = await pair.one.append(texts('a', 1))
    const race = await Promise.allSettled(
      [pair.one, pair.other, pair.one, pair.other].map((log) => log.engine.append(texts('a', 1), undefined, first)),
    )
    assert.equal(race.filter(({ status }) => status === 'fulfilled').length, 1)
  })

  test('what one trimmed the other declares', async () => {
    const limits = { windowBytes: TRIMMED_BYTES }
    await using pair = await Pair.open(subject, { limits })
    await pair.one.append(texts('quiet', 1))
    await fill(pair.one, subject)
    await pair.other.until((events) => events.length === pair.one.events.length && events.length > 1)
    await pair.other.until(() => pair.other.engine.bounds().floor > 1)
    const { gap } = await pair.other.engine.read({ after: 0, selection: ALL, ...AMPLE })
    assert.ok(gap !== undefined && gap.to > 0)
  })
}

// ── joining and leaving ──────────────────────────────────────────────────────────────────────────────────────────────

function testJoining(subject: EngineUnderTest): void {
  test('one that opens late has what was stored before in its history, and the rest in its tail', async () => {
    await using one = await OpenLog.of(await subject.make(optionsOf({})))
    await appendMixed(one)
    await using late = await OpenLog.of(await joined(subject, {}))
    const before = mixedBatches().flat().length
    assert.equal((await late.readAll(0, ALL)).length, before)
    const ids = await one.append(texts('a', 1))
    await late.until((events) => events.length === 1)
    assert.deepEqual(late.events.map(idOf), ids)
    await one.until((events) => events.length === before + 1)
    assert.deepEqual((await late.readAll(0, ALL)).map(idOf), one.events.map(idOf))
  })

  test('history and tail of one that opens while others append meet without a seam', async () => {
    await using one = await OpenLog.of(await subject.make(optionsOf({})))
    const appended = Promise.all(Array.from({ length: 100 }, async (_, at) => one.append(texts(`a/${at % 5}`, 1))))
    await using late = await OpenLog.of(await joined(subject, {}))
    const history = await late.engine.read({ after: 0, selection: ALL, ...AMPLE })
    await appended
    await one.until((events) => events.length === 100)
    await late.until(() => late.engine.bounds().head >= one.engine.bounds().head)
    const seen = [...history.events, ...late.events.filter((event) => event.offset > history.to)]
    assert.deepEqual(seen.map(idOf), one.events.map(idOf))
  })

  test('when one closes, the other goes on', async () => {
    await using pair = await Pair.open(subject)
    await pair.one.append(texts('a', 1))
    await pair.one.engine.close()
    await pair.other.append(texts('a', 1))
    await pair.other.until((events) => events.length === 2)
    assert.equal((await pair.other.readAll(0, ALL)).length, 2)
  })
}

// ── following ────────────────────────────────────────────────────────────────────────────────────────────────────────

function testFollowing(subject: EngineUnderTest): void {
  test('one that follows some topics is told of all their events, and where the log has come to', async () => {
    await using one = await OpenLog.of(await subject.make(optionsOf({})))
    await using some = await OpenLog.of(await joined(subject, {}), 'nothing')
    await some.engine.following?.add(ONLY_A)
    await some.engine.following?.add(TWO_LEVELS)
    for (let at = 0; at < 10; at += 1) for (const topic of ['a', 'b', 'a/x', 'b/x']) await one.append(texts(topic, 1))
    await one.until((events) => events.length === 40)
    await some.until(() => some.engine.bounds().head >= one.engine.bounds().head)
    for (const selection of [ONLY_A, TWO_LEVELS]) {
      const wanted = one.events.filter((event) => selection.matches(event.topic, event.type))
      const told = some.events.filter((event) => selection.matches(event.topic, event.type))
      assert.equal(wanted.length, 10)
      assert.deepEqual(told.map(idOf), wanted.map(idOf))
    }
  })

  test('what is followed later comes completely from where it says, and the rest is in the history', async () => {
    await using one = await OpenLog.of(await subject.make(optionsOf({})))
    await using some = await OpenLog.of(await joined(subject, {}), 'nothing')
    await some.engine.following?.add(ONLY_A)
    const appends: Promise<unknown>[] = []
    for (let at = 0; at < 50; at += 1) appends.push(one.append(texts('a', 1)), one.append(texts('b', 1)))
    await some.engine.following?.add(ONLY_B)
    const from = some.engine.following?.from(ONLY_B) ?? 0
    assert.ok(from <= some.engine.bounds().head)
    const history = await some.readAll(0, ONLY_B)
    const known = Math.max(from, history.at(-1)?.offset ?? 0)
    for (let at = 0; at < 50; at += 1) appends.push(one.append(texts('b', 1)))
    await Promise.all(appends)
    await one.until((events) => events.length === 150)
    await some.until(() => some.engine.bounds().head >= one.engine.bounds().head)
    const wanted = one.events.filter((event) => event.topic === 'b')
    const told = some.events.filter((event) => event.topic === 'b')
    assert.deepEqual([...history, ...told.filter((event) => event.offset > known)].map(idOf), wanted.map(idOf))
    assert.deepEqual(
      told.filter((event) => event.offset > from).map(idOf),
      wanted.filter((event) => event.offset > from).map(idOf),
    )
  })

  test('who begins to follow knows of the ends of before, and is where the log is', async () => {
    await using one = await OpenLog.of(await subject.make(optionsOf({})))
    await using late = await OpenLog.of(await joined(subject, {}), 'nothing')
    const [id = ''] = await one.append([{ ...eventOf('a', '{}'), type: CONTROL_TYPES.end }])
    const [last = ''] = await one.append(texts('b', 1))
    const { following } = late.engine
    if (following === undefined) await late.until((events) => events.length === 2)
    else await following.add(ONLY_A)
    assert.equal(late.engine.endOf('a'), parseId(id)?.offset)
    assert.ok(late.engine.bounds().head >= (parseId(last)?.offset ?? Infinity))
  })

  test('what is given up and followed again is complete from where it says', async () => {
    await using one = await OpenLog.of(await subject.make(optionsOf({})))
    await using some = await OpenLog.of(await joined(subject, {}), 'nothing')
    const { following } = some.engine
    for (let round = 0; round < 5; round += 1) {
      await following?.add(ONLY_A)
      const from = following?.from(ONLY_A) ?? 0
      await Promise.all(Array.from({ length: 4 }, async () => one.append(texts('a', 1))))
      await some.until(() => some.engine.bounds().head >= one.engine.bounds().head)
      await one.until((events) => events.length === 5 * round + 4)
      const wanted = one.events.filter((event) => event.offset > from)
      assert.deepEqual(some.events.filter((event) => event.offset > from).map(idOf), wanted.map(idOf))
      following?.remove(ONLY_A)
      await one.append(texts('a', 1))
    }
  })
}

// ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function optionsOf(options: Partial<EngineTestOptions>): EngineTestOptions {
  const clock = new TestClock()
  return { limits: {}, nowMs: () => clock.ms, ...options }
}

async function joined(subject: EngineUnderTest, options: Partial<EngineTestOptions>): Promise<Engine> {
  assert.ok(subject.join !== undefined, 'an engine that claims to be shared needs a `join` to be tested with')
  return subject.join(optionsOf(options))
}

/** Whole batches only where they are atomic. */
async function appendMixed(log: OpenLog): Promise<void> {
  for (const batch of mixedBatches()) {
    if (log.engine.capabilities.atomicBatch) await log.append(batch)
    else for (const event of batch) await log.append([event])
  }
}

async function fill(log: OpenLog, { capabilities }: EngineUnderTest): Promise<void> {
  const loud = Array.from({ length: 10 }, () => eventOf('loud', 'x'.repeat(1_000)))
  for (let bytes = 0; bytes < 4 * TRIMMED_BYTES; bytes += 10_000) {
    if (capabilities.atomicBatch) await log.append(loud)
    else await Promise.all(loud.map(async (event) => log.append([event])))
  }
}

function isError(code: HydrantError['code']): (error: unknown) => boolean {
  return (error) => error instanceof HydrantError && error.code === code
}
