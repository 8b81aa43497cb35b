// The file engine's own store and reader, on real files, without their threads: what the process of an engine does in
// between is done here step by step, so that it can be killed between any two, and between any two statements of
// SQLite.
//
// Killed means: what is in the files at that moment is what the next process finds.

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type {
  Engine,
  EngineCapabilities,
  History,
  Idempotency,
  IfLast,
  LogBounds,
  LogRange,
  ReadRequest,
  Seek,
  StateRequest,
  Tail,
} from '../../src/engine/engine.ts'
import { DATABASE_NAME } from '../../src/engine/file-database.ts'
import { FileHistory } from '../../src/engine/file-history.ts'
import { eventAt, type Committed, type PackedHistory } from '../../src/engine/file-messages.ts'
import { AppendQueue, packGroup, type PendingAppend } from '../../src/engine/file-queue.ts'
import { dataOf, integerOf, textOf, textOrNull } from '../../src/engine/file-row.ts'
import { FileStore } from '../../src/engine/file-store.ts'
import { Epochs } from '../../src/hub/epochs.ts'
import { HydrantError } from '../../src/hub/errors.ts'
import { LogEvent, type CheckedEvent } from '../../src/hub/event.ts'
import { resolveLimits } from '../../src/hub/limits.ts'
import type { Selection } from '../../src/hub/selection.ts'
import type { FailureModel, Life, Medium, Survivors } from './medium.ts'
import { betweenStatements } from './statements.ts'

/** Of the log, for each event that it is to keep. */
const BYTES_PER_EVENT = 2_000
/** Statements after which a transaction, or an opening, is killed, at the most: most have fewer. */
const STATEMENTS_MAX = 40
/** Rows looked at in one reading: few, so that readings end early. */
const SCAN_ROWS = 40

class Killed extends Error {}

/** See the head of the file. */
export class FileMedium implements Medium {
  readonly failures: FailureModel = { survives: 'acknowledged', isTailLate: false }
  readonly #base = mkdtempSync(join(tmpdir(), 'hydrant-simulation-'))
  readonly #bytesMax: number
  #folder = join(this.#base, '0')
  #folders = 0
  /** After a crash, until the next process begins. */
  #floor = 0
  #engine: StoreEngine | undefined
  #random: number

  /** Retention keeps about `eventsKept`. */
  constructor(eventsKept: number) {
    this.#bytesMax = eventsKept * BYTES_PER_EVENT
    this.#random = eventsKept
  }

  open(life: Life): Engine | undefined {
    const isKilled = this.#draw(4) === 0
    const open = (): StoreEngine => new StoreEngine(this.#folder, life, this.#bytesMax)
    this.#engine = isKilled ? this.#kill(open, this.#draw(STATEMENTS_MAX)) : open()
    return this.#engine
  }

  get floor(): number {
    return this.#engine?.bounds().floor ?? this.#floor
  }

  step(): void {
    this.#engine?.step()
  }

  /** Half of the time in the middle of what it would have done next. */
  crash(): void {
    const engine = this.#engine
    if (engine === undefined) return
    if (this.#draw(2) === 0) this.#kill(() => engine.step(), this.#draw(STATEMENTS_MAX))
    else this.#moveOn()
    engine.kill()
    this.#clean()
    this.#engine = undefined
  }

  // Retention is the store's own, and what a failing disk leaves behind is for its thread to find out.
  failSync(): void {}
  trim(): void {}
  loseTail(): void {}
  undo(): void {}

  survivors(): Survivors {
    const copy = join(this.#base, 'copy')
    copyLog(this.#folder, copy)
    const database = new DatabaseSync(join(copy, DATABASE_NAME))
    try {
      const isEmpty = database.prepare("SELECT name FROM sqlite_schema WHERE name = 'state'").get() === undefined
      if (isEmpty) return { head: 0, floor: 0, events: [] }
      const head = Number(database.prepare('SELECT head FROM state').get()?.['head'])
      const rows = database
        .prepare('SELECT offset, name, type, key, data FROM events JOIN topics ON topic = id ORDER BY offset')
        .all()
      const events = rows.map((row) => ({
        offset: integerOf(row, 'offset'),
        topic: textOf(row, 'name'),
        type: textOrNull(row, 'type') ?? 'message',
        key: textOrNull(row, 'key') ?? undefined,
        data: dataOf(row, 'data'),
      }))
      this.#floor = (events[0]?.offset ?? head + 1) - 1
      return { head, floor: this.#floor, events }
    } finally {
      database.close()
      rmSync(copy, { recursive: true })
    }
  }

  dispose(): void {
    this.#engine?.kill()
    rmSync(this.#base, { recursive: true, force: true })
  }

  /** Does some work, and is killed before the statement of this number; undefined when it was. */
  #kill<Value>(work: () => Value, statements: number): Value | undefined {
    let left = statements
    const before = (): void => {
      if (left === 0) {
        this.#moveOn()
        left = -1
      }
      if (left < 0) throw new Killed('the process is gone')
      left -= 1
    }
    try {
      const value = betweenStatements(before, work)
      if (left >= 0) return value
    } catch (error) {
      if (left >= 0) throw error
    }
    this.#clean()
    return undefined
  }

  /** Copies what is in the files at this moment to where the next process will look. */
  #moveOn(): void {
    const before = this.#folder
    this.#folders += 1
    this.#folder = join(this.#base, String(this.#folders))
    copyLog(before, this.#folder)
    const reserve = join(before, 'reserve')
    if (existsSync(reserve)) renameSync(reserve, join(this.#folder, 'reserve'))
  }

  #clean(): void {
    for (let number = 0; number < this.#folders; number += 1)
      rmSync(join(this.#base, String(number)), { recursive: true, force: true })
  }

  /** A number below `below`: always the same ones, in their order. */
  #draw(below: number): number {
    this.#random = (this.#random * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((this.#random / 2_147_483_648) * below)
  }
}

class StoreEngine implements Engine {
  readonly capabilities: EngineCapabilities = {
    durable: true,
    shared: false,
    exactGaps: true,
    topicRetention: true,
    atomicBatch: true,
  }
  readonly #life: Life
  readonly #store: FileStore
  readonly #history: FileHistory
  readonly #told = new BigInt64Array(new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT))
  readonly #epochs: Epochs
  readonly #queue = new AppendQueue()
  readonly #ends: Map<string, number>
  #steps: (() => void)[] = []
  #tail: Tail = () => {}
  #head: number
  #floor: number
  #lastMs: number
  /** Readings that wait for the tail. */
  #waiting: (() => void)[] = []
  #isDead = false
  #isScheduled = false

  constructor(folder: string, life: Life, logBytesMax: number) {
    this.#life = life
    const limits = resolveLimits({ ...life.limits, scanEventsMax: SCAN_ROWS })
    this.#store = new FileStore({
      folder,
      limits,
      retention: { logBytesMax },
      nowMs: life.clock.nowMs(),
      chapterEvents: 5, // so that chapters end
    })
    const { head, floor, timeMs, epochs, ends } = this.#store.opened
    this.#head = head
    this.#floor = floor
    this.#lastMs = timeMs
    this.#epochs = new Epochs(epochs, limits.epochsMax)
    this.#ends = new Map(ends)
    this.#told[0] = BigInt(head)
    this.#history = new FileHistory(folder, limits, this.#told.buffer)
    life.onTerm(this.#store.epoch)
  }

  async open(tail: Tail): Promise<LogBounds> {
    this.#tail = tail
    return this.bounds()
  }

  bounds(): LogBounds {
    return { floor: this.#floor, head: this.#head, epochs: this.#epochs }
  }

  endOf(topic: string): number | undefined {
    return this.#ends.get(topic)
  }

  append(batch: readonly CheckedEvent[], idempotency?: Idempotency, ifLast?: IfLast): Promise<readonly string[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>()
    this.#queue.push({ batch: [...batch], bytes: 0, idempotency, ifLast, resolve, reject })
    this.#schedule()
    return promise
  }

  async read({ selection, latest = false, ...limits }: ReadRequest): Promise<History> {
    await this.#untilTold()
    const packed = this.#history.read({ ...wantedOf(selection), ...limits, latest })
    const gap = packed.gap === undefined ? undefined : { ...packed.gap, count: undefined }
    return this.#later({ gap, to: packed.to, events: this.#unpack(packed) })
  }

  async state({ selection, ...limits }: StateRequest): Promise<LogRange> {
    await this.#untilTold()
    const packed = this.#history.state({ ...wantedOf(selection), ...limits })
    return this.#later({ to: packed.to, events: this.#unpack(packed) })
  }

  async seek(seek: Seek, selection: Selection): Promise<number> {
    await this.#untilTold()
    return this.#later(this.#history.seek(seek, wantedOf(selection)))
  }

  async close(): Promise<void> {
    while (!this.#queue.isEmpty || this.#steps.length > 0) this.#do()
    this.kill()
  }

  /** The next step, if there is one, and the one after it a while later. */
  step(): void {
    if (this.#isDead) return
    this.#do()
    this.#schedule()
  }

  /** Nothing happens any more. */
  kill(): void {
    if (this.#isDead) return
    this.#isDead = true
    this.#tail = () => {}
    this.#history.close()
    this.#store.close()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isDead || (this.#queue.isEmpty && this.#steps.length === 0)) return
    this.#isScheduled = true
    this.#life.clock.after(this.#life.stepMs(), () => {
      this.#isScheduled = false
      this.step()
    })
  }

  #do(): void {
    const next = this.#steps.shift()
    if (next !== undefined) return next()
    const group = this.#queue.take()
    if (group.length > 0) this.#commit(group)
  }

  #commit(group: readonly PendingAppend[]): void {
    const timeMs = (this.#lastMs = Math.max(this.#lastMs, this.#life.clock.nowMs()))
    const committed = this.#store.append(packGroup(group, timeMs))
    this.#steps = [() => this.#tell(group, committed, timeMs), () => this.#answer(group, committed)]
    if (committed.isTrimDue) this.#steps.push(() => this.#trim())
  }

  #tell(group: readonly PendingAppend[], committed: Committed, timeMs: number): void {
    const events: LogEvent[] = []
    for (const [at, { batch }] of group.entries()) {
      const outcome = committed.outcomes[at]
      if (outcome === undefined || 'code' in outcome || !outcome.isNew) continue
      for (const [place, event] of batch.entries())
        events.push(new LogEvent(this.#store.epoch.name, outcome.first + place, timeMs, event))
    }
    for (const { type, topic, offset } of events) if (type === 'hydrant:end') this.#ends.set(topic, offset)
    this.#head = committed.head
    this.#floor = committed.floor
    if (events.length > 0) this.#tail({ events, to: this.#head })
    this.#told[0] = BigInt(this.#head)
    for (const go of this.#waiting.splice(0)) go()
  }

  #answer(group: readonly PendingAppend[], { outcomes }: Committed): void {
    for (const [at, { batch, resolve, reject }] of group.entries()) {
      const outcome = outcomes[at]
      if (outcome === undefined) reject(new Error('a request has no outcome'))
      else if ('code' in outcome) reject(new HydrantError(outcome.code, outcome.message))
      else resolve(batch.map((_, place) => this.#epochs.idAt(outcome.first + place)))
    }
  }

  #trim(): void {
    const { floor, isTrimDue } = this.#store.trim(this.#life.clock.nowMs())
    this.#floor = floor
    if (isTrimDue) this.#steps.push(() => this.#trim())
  }

  /** What is committed is not read before the tail was told of it. */
  async #untilTold(): Promise<void> {
    while (this.#store.state.head > this.#head || this.#isDead)
      await new Promise<void>((resolve) => void this.#waiting.push(resolve))
  }

  #unpack({ offsets, times, events }: PackedHistory): readonly LogEvent[] {
    return offsets.map((offset, at) => {
      const [epoch = ''] = this.#epochs.idAt(offset).split('-')
      return new LogEvent(epoch, offset, times[at] ?? 0, eventAt(events, at))
    })
  }

  /** The answer is that of now, however late it comes. */
  async #later<Answer>(answer: Answer): Promise<Answer> {
    const { readMs, clock } = this.#life
    if (readMs !== undefined) await new Promise<void>((resolve) => void clock.after(readMs(), resolve))
    return answer
  }
}

function wantedOf({ topics, exactTopics, types }: Selection): {
  readonly topics: readonly string[]
  readonly isExact: boolean
  readonly types: readonly string[] | undefined
} {
  const wanted = types === undefined ? undefined : [...types, 'hydrant:end']
  return { topics, isExact: exactTopics !== undefined, types: wanted }
}

function copyLog(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  for (const name of [DATABASE_NAME, `${DATABASE_NAME}-wal`])
    if (existsSync(join(from, name))) copyFileSync(join(from, name), join(to, name))
}
