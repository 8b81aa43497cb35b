// An engine over a disk in memory whose every step is the test's to run, so that the process can crash between any two:
//
//   accept ─► write ─► sync ─► tail ─► acknowledge ─► trim          acknowledge may come before tail, if it is shared
//
// It is a model of durable engines, as simple as can be: it scans, and it takes its steps one by one.

import type {
  Engine,
  EngineCapabilities,
  History,
  Idempotency,
  LogBounds,
  LogRange,
  ReadRequest,
  Seek,
  StateRequest,
  Tail,
  TailBreaks,
} from '../../src/engine/engine.ts'
import { Epochs } from '../../src/hub/epochs.ts'
import { HydrantError } from '../../src/hub/errors.ts'
import { LogEvent, type CheckedEvent } from '../../src/hub/event.ts'
import type { Selection } from '../../src/hub/selection.ts'
import { Disk, type Row } from './disk.ts'
import type { FailureModel, Life, Medium, Survivors } from './medium.ts'

/** Rows looked at in one reading: few, so that readings end early. */
const SCAN_ROWS = 40
/** Events that a crash of a shared log can undo, at the most. */
const UNDONE_MAX = 12

interface Request {
  readonly batch: readonly CheckedEvent[]
  readonly idempotency: Idempotency | undefined
  readonly resolve: (ids: readonly string[]) => void
  readonly reject: (error: Error) => void
  /** Set by the write: how the caller will be answered. */
  outcome?: number | HydrantError
}

/** A disk, and the engine of the process that uses it at the moment. */
export class DiskMedium implements Medium {
  readonly failures: FailureModel
  readonly #disk = new Disk()
  readonly #eventsKept: number
  #engine: DiskEngine | undefined

  /** Retention keeps the newest `eventsKept`. */
  constructor(failures: FailureModel, eventsKept: number) {
    this.failures = failures
    this.#eventsKept = eventsKept
  }

  open(life: Life): Engine {
    this.#engine = new DiskEngine(this.#disk, life, this.failures, this.#eventsKept)
    return this.#engine
  }

  get floor(): number {
    return this.#disk.floor
  }

  step(): void {
    this.#engine?.step()
  }

  crash(kept: number): void {
    this.#engine?.kill()
    this.#disk.lose(kept)
    if (this.failures.survives === 'most') this.#undo(1 - kept)
  }

  failSync(kept: number): void {
    this.#engine?.failSync(kept)
  }

  trim(events: number): void {
    this.#engine?.trim(events)
  }

  loseTail(): void {
    if (this.failures.isTailLate) this.#engine?.loseTail()
  }

  undo(events: number): void {
    if (this.failures.survives === 'most') this.#engine?.undo(events)
  }

  survivors(): Survivors {
    const { head, floor, rows } = this.#disk
    return { head, floor, events: rows.map(({ offset, event }) => ({ ...event, offset })) }
  }

  dispose(): void {}

  /**
   * A log that goes on elsewhere had not all of it; never more than the last term, for a table of terms has no holes.
   */
  #undo(share: number): void {
    const { head, floor, terms } = this.#disk
    const first = terms.at(-1)?.first ?? 1
    this.#disk.undo(Math.max(head - Math.floor(UNDONE_MAX * share), floor, first - 1))
  }
}

class DiskEngine implements Engine {
  readonly capabilities: EngineCapabilities
  readonly #disk: Disk
  readonly #life: Life
  readonly #failures: FailureModel
  readonly #eventsKept: number
  readonly #epochs: Epochs
  #waiting: Request[] = []
  #steps: (() => void)[] = []
  #tail: Tail = () => {}
  #breaks: TailBreaks | undefined
  /** The newest offset that the tail was told of: nobody reads beyond it. */
  #told: number
  #isDead = false
  #isScheduled = false
  #isLosing = false
  /** How much of what was written stays when the next sync fails; undefined while it does not. */
  #failing: number | undefined

  constructor(disk: Disk, life: Life, failures: FailureModel, eventsKept: number) {
    this.#disk = disk
    this.#life = life
    this.#failures = failures
    this.#eventsKept = eventsKept
    const shared = failures.survives === 'most'
    this.capabilities = { durable: true, shared, exactGaps: true, topicRetention: false, atomicBatch: true }
    disk.sync()
    this.#told = disk.head
    this.#epochs = new Epochs(disk.terms, 1_000)
    this.#begin(life.epoch)
  }

  async open(tail: Tail, breaks?: TailBreaks): Promise<LogBounds> {
    this.#tail = tail
    this.#breaks = breaks
    return this.bounds()
  }

  bounds(): LogBounds {
    return { floor: this.#disk.floor, head: this.#told, epochs: this.#epochs }
  }

  endOf(topic: string): number | undefined {
    return this.#disk.endOf(topic, this.#told)
  }

  append(batch: readonly CheckedEvent[], idempotency?: Idempotency): Promise<readonly string[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>()
    this.#waiting.push({ batch: [...batch], idempotency, resolve, reject })
    this.#schedule()
    return promise
  }

  async read(request: ReadRequest): Promise<History> {
    const { after, selection, latest = false } = request
    const gone = this.#disk.gone.filter(
      ({ row, newer }) =>
        row.offset > after && isSelected(row, selection) && !(latest && isReplaced(row, newer, selection)),
    )
    const to = gone.at(-1)?.row.offset
    const gap = to === undefined ? undefined : { to, certain: true, count: undefined }
    const isWanted = (row: Row): boolean => !latest || !isReplaced(row, this.#disk.newer(row, this.#told), selection)
    return this.#later({ gap, ...this.#range({ ...request, after: to ?? after, to: this.#told }, isWanted) })
  }

  async state(request: StateRequest): Promise<LogRange> {
    const isWanted = (row: Row): boolean =>
      !this.#disk.newer(row, request.to).some((other) => isSelected(other, request.selection)) &&
      (row.event.key === undefined || row.event.data.length > 0)
    return this.#later(this.#range(request, isWanted))
  }

  async seek(seek: Seek, selection: Selection): Promise<number> {
    const rows = this.#disk.rows.filter(({ offset }) => offset <= this.#told)
    const { floor } = this.#disk
    if ('earliest' in seek) return this.#later(floor)
    if ('sinceMs' in seek)
      return this.#later((rows.find(({ timeMs }) => timeMs >= seek.sinceMs)?.offset ?? this.#told + 1) - 1)
    if (seek.last <= 0) return this.#later(this.#told)
    const oldest = rows.filter((row) => isSelected(row, selection)).at(-seek.last)
    return this.#later(oldest === undefined ? floor : oldest.offset - 1)
  }

  /** Whoever closes it has its events stored, or is told that they are not. */
  async close(): Promise<void> {
    while (this.#waiting.length > 0 || this.#steps.length > 0) this.#do()
    this.#tellRest()
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
    this.#isDead = true
    this.#tail = () => {}
  }

  /** The next sync will fail. */
  failSync(kept: number): void {
    this.#failing = kept
  }

  /** Takes out all but so many events. What the tail was not told of stays. */
  trim(events: number): void {
    this.#disk.trim(events, this.#told)
  }

  /** The next message to the tail is lost. */
  loseTail(): void {
    this.#isLosing = true
  }

  /** The log goes on elsewhere, without its end; not while something is under way. */
  undo(events: number): void {
    if (this.#breaks === undefined || this.#steps.length > 0) return
    this.#tellRest()
    const { floor, terms } = this.#disk
    this.#disk.undo(Math.max(this.#told - events, floor, (terms.at(-1)?.first ?? 1) - 1))
    if (this.#disk.head === this.#told) return
    this.#told = this.#disk.head
    this.#breaks.undo(this.#told)
    this.#beginNext()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isDead || (this.#waiting.length === 0 && this.#steps.length === 0)) return
    this.#isScheduled = true
    this.#life.clock.after(this.#life.stepMs(), () => {
      this.#isScheduled = false
      this.step()
    })
  }

  #do(): void {
    const next = this.#steps.shift()
    if (next !== undefined) return next()
    const group = this.#waiting
    this.#waiting = []
    if (group.length > 0)
      this.#steps = [...group.map((request) => (): void => this.#write(request)), () => this.#sync(group)]
  }

  #write(request: Request): void {
    const { batch, idempotency } = request
    const known = idempotency === undefined ? undefined : this.#disk.keys.get(idempotency.key)
    if (known !== undefined) request.outcome = known.first
    else if (batch.some(({ topic }) => this.#disk.endOf(topic, Infinity) !== undefined))
      request.outcome = new HydrantError('topic-ended', 'The topic has ended.')
    else request.outcome = this.#disk.write(batch, this.#life.clock.nowMs(), idempotency)
  }

  #sync(group: readonly Request[]): void {
    const kept = this.#failing
    this.#failing = undefined
    if (kept !== undefined) return this.#reopen(group, kept)
    this.#disk.sync()
    const answer = (): void => {
      for (const request of group) this.#answer(request)
    }
    const trim = (): void => this.trim(this.#eventsKept)
    if (!this.#failures.isTailLate) this.#steps = [() => this.#tellRest(), answer, trim]
    else {
      // The message to the tail may be lost: whatever comes next brings what it had.
      this.#steps = [answer]
      this.#life.clock.after(this.#life.stepMs() * 3, () => {
        this.#tellRest()
        trim()
      })
    }
  }

  /** The callers hear that nobody knows; a new term begins behind what is there. */
  #reopen(group: readonly Request[], kept: number): void {
    this.#disk.lose(kept)
    for (const { reject } of group) reject(new HydrantError('unavailable', 'The sync failed.'))
    this.#tellRest()
    this.#beginNext()
  }

  /** A term within a life. */
  #beginNext(): void {
    this.#begin(`f${this.#life.epoch.slice(1, -3)}${String(this.#disk.terms.length).padStart(3, '0')}`)
  }

  #begin(name: string): void {
    const term = this.#disk.begin(name)
    this.#epochs.begin(term)
    this.#life.onTerm(term)
  }

  #tellRest(): void {
    const events = this.#disk.rows
      .filter(({ offset }) => offset > this.#told && offset <= this.#disk.synced)
      .map(eventOf)
    this.#told = events.at(-1)?.offset ?? this.#told
    if (events.length === 0) return
    if (!this.#isLosing || this.#breaks === undefined) return this.#tail({ events, to: this.#told })
    this.#isLosing = false
    this.#breaks.skip(this.#told)
  }

  #answer({ batch, outcome, resolve, reject }: Request): void {
    if (typeof outcome === 'number') resolve(batch.map((_, at) => this.#epochs.idAt(outcome + at)))
    else reject(outcome ?? new Error('a request has no outcome'))
  }

  #range(
    { after, to, selection, eventsMax, bytesMax }: StateRequest,
    isWanted: (row: Row) => boolean,
  ): { readonly events: readonly LogEvent[]; readonly to: number } {
    const end = Math.max(after, Math.min(to, this.#told))
    const events: LogEvent[] = []
    let bytes = 0
    let looked = 0
    for (const row of this.#disk.rows) {
      if (row.offset <= after || row.offset > end) continue
      looked += 1
      if (looked > SCAN_ROWS) return { events, to: row.offset - 1 }
      if (!isSelected(row, selection) || !isWanted(row)) continue
      bytes += row.event.data.length
      if (events.length > 0 && (events.length === eventsMax || bytes > bytesMax)) return { events, to: row.offset - 1 }
      events.push(eventOf(row))
    }
    return { events, to: end }
  }

  /** The answer is that of now, however late it comes. */
  async #later<Answer>(answer: Answer): Promise<Answer> {
    const { readMs, clock } = this.#life
    if (readMs !== undefined) await new Promise<void>((resolve) => void clock.after(readMs(), resolve))
    return answer
  }
}

/** Whether a newer one stands for it, among those that are selected. */
function isReplaced({ event }: Row, newer: readonly Row[], selection: Selection): boolean {
  return event.key !== undefined && newer.some((row) => isSelected(row, selection))
}

function isSelected({ event }: Row, selection: Selection): boolean {
  return selection.matches(event.topic, event.type)
}

function eventOf({ epoch, offset, timeMs, event }: Row): LogEvent {
  return new LogEvent(epoch, offset, timeMs, event)
}
