// The contract of the engine port, as tests: every implementation runs it, those written elsewhere too.
//
//   import { engineContract } from 'hydrant/engine/contract'
//   engineContract('my engine', { capabilities, make: (options) => new MyEngine(options) })
//
// The tests register with node:test, those of a capability only where it is claimed. What they hold an engine to is
// said in engine.ts.

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseId } from 'hydrant-client/wire'
import { HydrantError } from '../hub/errors.ts'
import type { CheckedEvent, LogEvent } from '../hub/event.ts'
import type { Limits } from '../hub/limits.ts'
import {
  ALL,
  ascending,
  checkedOf,
  eventOf,
  idOf,
  MIXED_EVENTS,
  mixedBatches,
  READ_LIMITS,
  SELECTIONS,
  texts,
  TRIMMED_BYTES,
  TRIMMED_SELECTIONS,
} from './contract-events.ts'
import { AMPLE, OpenLog, TestClock } from './contract-log.ts'
import { testShared } from './contract-shared.ts'
import { testTopics } from './contract-topics.ts'
import type { Engine, EngineCapabilities, History } from './engine.ts'

/** What an engine is made with for a test. */
export interface EngineTestOptions {
  /**
   * `windowBytes` is about what the log may keep: the tests append several times as much where they want it trimmed.
   * `idempotencyMs` is how long keys are remembered.
   */
  readonly limits: Partial<Limits>
  /** The clock, milliseconds since 1970: times of events and the age of keys are taken from it. */
  readonly nowMs: () => number
}

/** An implementation, as the contract takes it. */
export interface EngineUnderTest {
  /** What it claims; every engine that `make` answers must claim the same. */
  readonly capabilities: EngineCapabilities
  /** A new engine over an empty log of its own, not yet opened. Called once for each test. */
  make(options: EngineTestOptions): Engine | Promise<Engine>
  /** One more engine over the log of the last that `make` answered, not yet opened. For engines that claim `shared`. */
  join?(options: EngineTestOptions): Engine | Promise<Engine>
}

const KEY = { key: 'a key', fingerprint: 'a body' } as const

/** Registers the tests of the contract for an implementation. */
export function engineContract(name: string, subject: EngineUnderTest): void {
  suite(`${name} keeps the contract of engines`, () => {
    testOrder(subject)
    testReading(subject)
    testSeeking(subject)
    testTrimming(subject)
    testIdempotency(subject)
    testTopics(() => openLog(subject), subject.capabilities)
    testClosing(subject)
    if (subject.capabilities.shared) testShared(subject)
  })
}

// ── order ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function testOrder(subject: EngineUnderTest): void {
  test('it claims the capabilities that it is said to have', async () => {
    await using log = await openLog(subject)
    assert.deepEqual(log.engine.capabilities, subject.capabilities)
  })

  test('an empty log begins and ends at the same place, which has an id', async () => {
    await using log = await openLog(subject)
    const { floor, head, epochs } = log.opened
    assert.equal(floor, head)
    assert.equal(parseId(epochs.idAt(head))?.offset, head)
  })

  test('append answers the ids in the order of the batch, each greater than the one before', async () => {
    await using log = await openLog(subject)
    const ids = [...(await log.append(texts('a', 3))), ...(await log.append(texts('b', 2)))]
    const offsets = ids.map((id) => parseId(id)?.offset ?? Number.NaN)
    assert.equal(ids.length, 5)
    assert.ok(
      offsets.every((offset, at) => offset > (offsets[at - 1] ?? log.opened.head)),
      `not ascending: ${offsets.join()}`,
    )
    await log.until((events) => events.length === 5)
    assert.deepEqual(log.events.map(idOf), ids)
  })

  test('the tail gets every event once, in the order of the log, as it was appended', async () => {
    await using log = await openLog(subject)
    const batch: readonly CheckedEvent[] = [
      { topic: 'a', type: 'message', key: undefined, data: 'text with é, 😀, \r\n and \0' },
      { topic: 'a/b', type: 'a type', key: 'a key', data: '' },
      { topic: 'a', type: 'message', key: undefined, data: Uint8Array.of(0, 128, 255) },
    ]
    await log.append(batch)
    await log.until((events) => events.length === 3)
    assert.deepEqual(log.events.map(checkedOf), batch)
  })

  test('ranges of the tail begin where open said, follow each other, and hold no event beyond their end', async () => {
    await using log = await openLog(subject)
    await Promise.all([log.append(texts('a', 1)), log.append(texts('b', 2)), log.append(texts('c', 3))])
    await log.until((events) => events.length === 6)
    let { head } = log.opened
    for (const { events, to } of log.ranges) {
      for (const { offset } of events) assert.ok(offset > head && offset <= to, `${offset} is not in (${head}, ${to}]`)
      assert.ok(to >= head)
      head = to
    }
    assert.equal(log.engine.bounds().head, head)
  })

  test('times never go back, whatever the clock does', async () => {
    const clock = new TestClock()
    await using log = await openLog(subject, clock)
    for (const stepMs of [0, 5_000, -60_000, 1]) {
      clock.ms += stepMs
      await log.append(texts('a', 2))
    }
    await log.until((events) => events.length === 8)
    const times = log.events.map((event) => event.timeMs)
    assert.deepEqual(times, times.toSorted(ascending))
  })

  if (!subject.capabilities.atomicBatch) return
  test('a batch has consecutive places in the order, also beside others', async () => {
    await using log = await openLog(subject)
    await Promise.all(Array.from({ length: 20 }, (_, at) => log.append(texts(`batch/${at}`, 5))))
    await log.until((events) => events.length === 100)
    for (let at = 0; at < 100; at += 5) {
      assert.equal(new Set(log.events.slice(at, at + 5).map((event) => event.topic)).size, 1)
    }
  })

  test('the array that was given to append is its caller’s again once it has answered', async () => {
    await using log = await openLog(subject)
    const batch = [...texts('a', 2)]
    await log.append(batch)
    batch.length = 0
    await log.until((events) => events.length === 2)
    assert.equal((await log.readAll(0, ALL)).length, 2)
  })
}

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function testReading(subject: EngineUnderTest): void {
  for (const [words, selection] of SELECTIONS) {
    test(`reading ${words} from any cursor with any limit answers every event after it once, and no gap`, async () => {
      await using log = await openLog(subject)
      for (const batch of mixedBatches()) await log.append(batch)
      await log.until((events) => events.length === MIXED_EVENTS)
      const wanted = log.events.filter((event) => selection.matches(event.topic, event.type))
      assert.ok(wanted.length > 2)
      for (const limits of READ_LIMITS) {
        for (const after of [0, ...log.events.map((event) => event.offset)]) {
          const read = await log.readAll(after, selection, limits)
          assert.deepEqual(read.map(idOf), wanted.filter((event) => event.offset > after).map(idOf))
        }
      }
    })
  }

  test('reading at the head answers no event, and the head', async () => {
    await using log = await openLog(subject)
    await log.append(texts('a', 3))
    const { head } = log.engine.bounds()
    const history = await log.engine.read({ after: head, selection: ALL, eventsMax: 10, bytesMax: 1_000 })
    assert.deepEqual({ ...history, events: [...history.events] }, { events: [], to: head, gap: undefined })
  })

  test('readings while others append miss nothing up to where they reach', async () => {
    await using log = await openLog(subject)
    const appended = Array.from({ length: 30 }, async () => log.append(texts('a', 3)))
    const { events, to } = await log.engine.read({ after: 0, selection: ALL, eventsMax: 1_000, bytesMax: 1_000_000 })
    await Promise.all(appended)
    await log.until((all) => all.length === 90)
    assert.deepEqual(events.map(idOf), log.events.filter((event) => event.offset <= to).map(idOf))
  })
}

// ── seeking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function testSeeking(subject: EngineUnderTest): void {
  for (const [words, selection] of SELECTIONS) {
    test(`seeking the last of ${words} finds the place after which as many stand, or all there are`, async () => {
      await using log = await openLog(subject)
      for (const batch of mixedBatches()) await log.append(batch)
      await log.until((events) => events.length === MIXED_EVENTS)
      const wanted = log.events.filter((event) => selection.matches(event.topic, event.type)).map(idOf)
      for (let last = 0; last <= wanted.length + 1; last += 1) {
        const read = await log.readFrom({ last }, selection)
        assert.deepEqual(read.map(idOf), last === 0 ? [] : wanted.slice(-last), `last ${last}`)
      }
    })
  }

  test('seeking a time finds the place after which everything from then on stands', async () => {
    const clock = new TestClock()
    await using log = await openLog(subject, clock)
    for (const stepMs of [0, 10, 10, -15, 30, 1_000]) {
      clock.ms += stepMs
      await log.append(texts('a', 2))
    }
    await log.until((events) => events.length === 12)
    for (const sinceMs of log.events.flatMap(({ timeMs }) => [timeMs - 1, timeMs, timeMs + 1])) {
      const read = await log.readFrom({ sinceMs }, ALL)
      const wanted = log.events.filter((event) => event.timeMs >= sinceMs)
      assert.deepEqual(read.map(idOf), wanted.map(idOf))
    }
  })

  test('seeking the earliest finds the place after which everything stands that is kept', async () => {
    await using log = await openLog(subject)
    await log.append(texts('a', 3))
    await log.until((events) => events.length === 3)
    assert.deepEqual((await log.readFrom({ earliest: true }, ALL)).map(idOf), log.events.map(idOf))
  })
}

// ── trimming ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function testTrimming(subject: EngineUnderTest): void {
  test('a log that outgrows its bound lets go of its oldest, and its floor rises', async () => {
    await using log = await openTrimmedLog(subject)
    const { floor, head } = log.engine.bounds()
    assert.ok(floor > log.opened.floor && floor < head)
    const kept = await log.readFrom({ earliest: true }, ALL)
    assert.deepEqual(kept.map(idOf), log.events.filter((event) => event.offset > floor).map(idOf))
  })

  for (const [words, selection] of TRIMMED_SELECTIONS) {
    test(`of ${words}, what is trimmed after a cursor is declared, and the rest is there`, async () => {
      await using log = await openTrimmedLog(subject)
      const { floor } = log.engine.bounds()
      for (const after of cursorsAround(log.events, floor)) {
        const missing = log.events.filter(
          (event) => event.offset > after && event.offset <= floor && selection.matches(event.topic, event.type),
        )
        const history = await log.engine.read({ after, selection, ...AMPLE })
        checkGap(subject.capabilities, history, missing, after, floor)
        const rest = await log.readAll(Math.max(after, history.gap?.to ?? 0), selection)
        const wanted = log.events.filter(
          (event) => event.offset > Math.max(after, floor) && selection.matches(event.topic, event.type),
        )
        assert.deepEqual(rest.map(idOf), wanted.map(idOf))
      }
    })
  }
}

/** A gap may only be missing where nothing is, and where gaps are exact it may only be there where something is. */
function checkGap(
  { exactGaps }: EngineCapabilities,
  { gap }: History,
  missing: readonly LogEvent[],
  after: number,
  floor: number,
): void {
  if (gap === undefined)
    return assert.equal(missing.length, 0, `${missing.length} events after ${after} are lost unsaid`)
  assert.ok(gap.to > after && gap.to <= floor, `the gap to ${gap.to} is not in (${after}, ${floor}]`)
  assert.ok(gap.to >= (missing.at(-1)?.offset ?? 0), `the gap to ${gap.to} ends before what is missing`)
  if (gap.certain || exactGaps) assert.ok(missing.length > 0, `a gap after ${after}, where nothing is missing`)
  if (exactGaps) assert.equal(gap.certain, true)
  if (gap.count !== undefined) assert.equal(gap.count, missing.length)
}

/** Loud events trim the log around two quiet topics: one of old events, all gone, and one whose newest is kept. */
async function openTrimmedLog(subject: EngineUnderTest): Promise<OpenLog> {
  const log = await openLog(subject, new TestClock(), { windowBytes: TRIMMED_BYTES })
  await log.append(texts('quiet/old', 2))
  await log.append(texts('quiet/both', 1))
  const loud = Array.from({ length: 10 }, () => eventOf('loud', 'x'.repeat(1_000)))
  for (let bytes = 0; bytes < 4 * TRIMMED_BYTES; bytes += 10_000) await log.append(loud)
  await log.append(texts('quiet/both', 1))
  await log.until((events) => events.at(-1)?.topic === 'quiet/both' && log.engine.bounds().floor > 3)
  await log.engine.seek({ earliest: true }, ALL) // a log that lives elsewhere is asked how far it was trimmed
  return log
}

function cursorsAround(events: readonly LogEvent[], floor: number): readonly number[] {
  const offsets = events.map((event) => event.offset)
  const near = offsets.filter((offset, at) => at < 5 || at > offsets.length - 3 || Math.abs(offset - floor) < 3)
  return [0, ...near]
}

// ── idempotency ──────────────────────────────────────────────────────────────────────────────────────────────────────

function testIdempotency(subject: EngineUnderTest): void {
  const batch = texts('a', subject.capabilities.atomicBatch ? 2 : 1)
  test('a retry with the same key stores nothing and answers the first ids', async () => {
    await using log = await openLog(subject)
    const ids = await log.engine.append(batch, KEY)
    assert.deepEqual(await log.engine.append(batch, KEY), ids)
    await log.append(texts('end', 1))
    await log.until((events) => events.at(-1)?.topic === 'end')
    assert.equal(log.events.length, batch.length + 1)
  })

  test('a retry joins an append that is under way', async () => {
    await using log = await openLog(subject)
    const answers = await Promise.all(Array.from({ length: 5 }, async () => log.engine.append(batch, KEY)))
    assert.equal(new Set(answers.map(String)).size, 1)
    await log.append(texts('end', 1))
    await log.until((events) => events.at(-1)?.topic === 'end')
    assert.equal(log.events.length, batch.length + 1)
  })

  test('the same key with another body is refused, and stores nothing', async () => {
    await using log = await openLog(subject)
    await log.engine.append(texts('a', 1), KEY)
    await assert.rejects(
      async () => log.engine.append(texts('b', 1), { ...KEY, fingerprint: 'another' }),
      (error) => error instanceof HydrantError && error.code === 'idempotency-conflict',
    )
    await log.append(texts('end', 1))
    await log.until((events) => events.at(-1)?.topic === 'end')
    assert.deepEqual(
      log.events.map((one) => one.topic),
      ['a', 'end'],
    )
  })

  test('another key is another request', async () => {
    await using log = await openLog(subject)
    const first = await log.engine.append(texts('a', 1), KEY)
    assert.notDeepEqual(await log.engine.append(texts('a', 1), { ...KEY, key: 'another' }), first)
  })

  test('a key is forgotten once it is old enough, not before', async () => {
    const clock = new TestClock()
    await using log = await openLog(subject, clock, { idempotencyMs: 60_000 })
    const first = await log.engine.append(texts('a', 1), KEY)
    clock.ms += 59_000
    assert.deepEqual(await log.engine.append(texts('a', 1), KEY), first)
    clock.ms += 2_000
    assert.notDeepEqual(await log.engine.append(texts('a', 1), KEY), first)
  })

  test('a retry gets the first ids even when those events were trimmed', async () => {
    await using log = await openLog(subject, new TestClock(), { windowBytes: TRIMMED_BYTES })
    const first = await log.engine.append(texts('a', 1), KEY)
    const { head } = log.engine.bounds()
    const loud = Array.from({ length: 10 }, () => eventOf('loud', 'x'.repeat(1_000)))
    for (let bytes = 0; bytes < 4 * TRIMMED_BYTES; bytes += 10_000) await log.append(loud)
    await log.until(() => log.engine.bounds().floor >= head)
    assert.deepEqual(await log.engine.append(texts('a', 1), KEY), first)
  })
}

// ── closing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function testClosing(subject: EngineUnderTest): void {
  test('an engine that was never opened can be closed', async () => {
    const engine = await subject.make({ limits: {}, nowMs: Date.now })
    await engine.close()
  })

  test('what is under way at close is finished or rejected, and the tail is silent afterwards', async () => {
    const log = await openLog(subject)
    const appends = Array.from({ length: 10 }, async () => log.append(texts('a', 3)))
    await log.engine.close()
    const told = log.events.length
    const settled = await Promise.allSettled(appends)
    const stored = settled.filter((one) => one.status === 'fulfilled').length * 3
    assert.ok(stored <= told, `${stored} events are acknowledged, the tail was told of ${told}`)
    await log.append(texts('late', 1)).catch(() => {}) // whether it is rejected is the engine's affair
    await new Promise(setImmediate)
    assert.equal(log.events.length, told)
  })
}

async function openLog(
  subject: EngineUnderTest,
  clock: TestClock = new TestClock(),
  limits: Partial<Limits> = {},
): Promise<OpenLog> {
  return OpenLog.of(await subject.make({ limits, nowMs: () => clock.ms }))
}
