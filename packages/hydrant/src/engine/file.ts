// The file engine: a durable log in a folder, for one process. `new FileEngine({ folder: './data' })`.
//
//   append ─► queue ─► a group ─► the writer's thread: one transaction, synced ─► tail ─► the callers' promises
//                      └ while it is under way, what arrives collects for the next group; where the disk is fast, two
//                        are under way: one is synced while this thread answers the callers of the other
//   read, seek ─► the reader's thread, on a connection of its own
//
// No disk access happens on the main thread. What a caller was acknowledged is on disk, and the tail was told before.
// Locked by test/engine/file.test.ts (the contract of engines) and test/fault/.

import { resolve as resolvePath } from 'node:path'
import { CONTROL_TYPES } from 'hydrant-client/wire'
import { Epochs, type Epoch } from '../hub/epochs.ts'
import { HydrantError, InvariantError } from '../hub/errors.ts'
import { LogEvent, type CheckedEvent } from '../hub/event.ts'
import { resolveLimits, type Limits } from '../hub/limits.ts'
import type { Selection } from '../hub/selection.ts'
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
} from './engine.ts'
import { KEY_CONFLICT } from './file-keys.ts'
import {
  eventAt,
  unpackCommitted,
  type Committed,
  type PackedHistory,
  type Refused,
  type Reopened,
  type ThreadData,
} from './file-messages.ts'
import { FilePages } from './file-pages.ts'
import { AppendQueue, bytesOf, packGroup, type PendingAppend } from './file-queue.ts'
import { checkRetention, hasAges, type Retention } from './file-retention.ts'
import { FileThread, ThreadFailure } from './file-thread.ts'

/** Options of {@link FileEngine}. */
export interface FileEngineOptions {
  /** Where the log lives; made when it is not there. Nothing else may be in it, and one process uses it. */
  readonly folder: string
  /** `trimmedTopicsMax`, `idempotencyKeysMax`, `idempotencyMs`, `epochsMax`, `scanEventsMax` are used. */
  readonly limits?: Partial<Limits>
  /** What is kept. Default: 1 GiB of events. */
  readonly retention?: Retention
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly nowMs?: () => number
  /** Hears of what no caller is told: a log with events missing, a thread that died. Default: a process warning. */
  readonly onWarning?: (warning: Error) => void
}

/**
 * Two groups are under way while a transaction takes less, about as long as what this thread does for a group. On a
 * slower disk one group of all that waits is better than two of half of it.
 */
const FAST_MS = 1
/** How often events are looked for that became too old, and a trim that failed is tried again. */
const TICK_MS = 1_000

/** See the head of the file. */
export class FileEngine implements Engine {
  readonly capabilities: EngineCapabilities = {
    durable: true,
    shared: false,
    exactGaps: true,
    topicRetention: true,
    atomicBatch: true,
  }
  readonly #data: ThreadData
  readonly #nowMs: () => number
  readonly #warn: (warning: Error) => void
  readonly #told: BigInt64Array<SharedArrayBuffer>
  readonly #queue = new AppendQueue()
  /** Requests with a key that are under way. */
  readonly #inFlight = new Map<string, { readonly fingerprint: string; readonly ids: Promise<readonly string[]> }>()
  readonly #pages = new FilePages()
  /** Readings under way: a crowd that resumes at one place reads it once. */
  readonly #readings = new Map<string, Promise<History>>()
  /** Topics that ended, in the order of their ends. */
  readonly #ends = new Map<string, number>()
  readonly #hasAges: boolean
  #terms: Epoch[] = []
  #epochs: Epochs
  #writer: FileThread | undefined
  #reader: FileThread | undefined
  #tail: Tail = () => {}
  #opening: Promise<LogBounds> | undefined
  #closing: Promise<void> | undefined
  #isOpen = false
  #head = 0
  #floor = 0
  #lastMs = 0
  /** A group is taken at the end of this turn. */
  #isScheduled = false
  /** Transactions that the writer was asked for. */
  #underWay = 0
  /** How long the last transaction took. */
  #tookMs = Number.POSITIVE_INFINITY
  #isTrimDue = false
  /** Failed, and may be stored: known once the log is open again. */
  #doubtful: { readonly group: readonly PendingAppend[]; readonly timeMs: number } | undefined
  #ticks: NodeJS.Timeout | undefined
  #idle: (() => void) | undefined

  /** Throws a RangeError or a HydrantError when retention or limits make no sense; touches no file before `open`. */
  constructor(options: FileEngineOptions) {
    const { folder, retention = {}, nowMs = Date.now } = options
    const limits = resolveLimits(options.limits)
    checkRetention(retention)
    const told = new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT)
    this.#told = new BigInt64Array(told)
    this.#data = { role: 'writer', folder: resolvePath(folder), limits, retention, told }
    this.#nowMs = () => Math.trunc(nowMs())
    this.#warn = options.onWarning ?? ((warning) => process.emitWarning(warning))
    this.#hasAges = hasAges(retention)
    this.#epochs = new Epochs([], limits.epochsMax)
  }

  open(tail: Tail): Promise<LogBounds> {
    this.#tail = tail
    this.#opening ??= this.#open()
    return this.#opening
  }

  bounds(): LogBounds {
    return { floor: this.#floor, head: this.#head, epochs: this.#epochs }
  }

  endOf(topic: string): number | undefined {
    return this.#ends.get(topic)
  }

  append(batch: readonly CheckedEvent[], idempotency?: Idempotency, ifLast?: IfLast): Promise<readonly string[]> {
    if (idempotency === undefined) return this.#append(batch, undefined, ifLast)
    const known = this.#inFlight.get(idempotency.key)
    if (known !== undefined) {
      return known.fingerprint === idempotency.fingerprint ? known.ids : Promise.reject(errorOf(KEY_CONFLICT))
    }
    const ids = this.#append(batch, idempotency, ifLast)
    this.#inFlight.set(idempotency.key, { fingerprint: idempotency.fingerprint, ids })
    const forget = (): void => void this.#inFlight.delete(idempotency.key)
    ids.then(forget, forget)
    return ids
  }

  read(request: ReadRequest): Promise<History> {
    const { after, eventsMax, bytesMax, selection, latest = false } = request
    const found = this.#pages.find(request)
    if (found !== undefined && this.#isOpen) return Promise.resolve(found)
    const name = `${after} ${eventsMax} ${bytesMax} ${latest} ${selection.key}`
    const known = this.#readings.get(name)
    if (known !== undefined) return known
    const reading = this.#read(request)
    this.#readings.set(name, reading)
    const forget = (): void => void this.#readings.delete(name)
    reading.then(forget, forget)
    return reading
  }

  async state({ selection, ...limits }: StateRequest): Promise<LogRange> {
    const request = { ...wantedOf(selection), ...limits }
    const packed = await this.#thread(this.#reader).ask('state', { request })
    return { to: packed.to, events: this.#unpack(packed) }
  }

  async seek(seek: Seek, selection: Selection): Promise<number> {
    return this.#thread(this.#reader).ask('seek', { seek, selection: wantedOf(selection) })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #open(): Promise<LogBounds> {
    const writer = (this.#writer = new FileThread(this.#data, this.#warn))
    const opened = await writer.ask('open', { nowMs: this.#nowMs() })
    this.#head = opened.head
    this.#floor = opened.floor
    this.#lastMs = opened.timeMs
    for (const epoch of opened.epochs) this.#begin(epoch)
    for (const [topic, offset] of opened.ends) this.#ends.set(topic, offset)
    this.#tell()
    this.#reader = new FileThread({ ...this.#data, role: 'reader' }, this.#warn)
    if (opened.warning !== undefined) this.#warn(new Error(opened.warning))
    this.#isOpen = true
    this.#isTrimDue = true // what retention wants may have changed since the log was last open
    this.#ticks = setInterval(() => this.#tick(), TICK_MS).unref()
    this.#schedule()
    return this.bounds()
  }

  async #close(): Promise<void> {
    await this.#opening?.catch(() => {}) // its caller was told
    this.#isOpen = false
    clearInterval(this.#ticks)
    if (this.#isScheduled || this.#underWay > 0) await new Promise<void>((resolve) => (this.#idle = resolve))
    this.#tail = () => {}
    await this.#reader?.close().catch(this.#warn)
    await this.#writer?.close().catch(this.#warn)
  }

  async #append(
    batch: readonly CheckedEvent[],
    idempotency: Idempotency | undefined,
    ifLast: IfLast | undefined,
  ): Promise<readonly string[]> {
    this.#thread(this.#writer)
    const bytes = bytesOf(batch)
    if (this.#queue.isFull(bytes)) {
      throw new HydrantError('unavailable', 'More is waiting to be stored than the disk keeps up with. Try again.')
    }
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>()
    this.#queue.push({ batch: [...batch], bytes, idempotency, ifLast, resolve, reject })
    this.#schedule()
    return promise
  }

  async #read(request: ReadRequest): Promise<History> {
    const { selection, latest = false, ...limits } = request
    const { forgotten } = this.#pages
    const asked = { request: { ...wantedOf(selection), ...limits, latest } }
    const packed = await this.#thread(this.#reader).ask('read', asked)
    const gap = packed.gap === undefined ? undefined : { ...packed.gap, count: undefined }
    const history = { gap, to: packed.to, events: this.#unpack(packed) }
    if (forgotten === this.#pages.forgotten) this.#pages.add(request, history)
    return history
  }

  /** The next group goes at the end of the turn: the callers whom the last one answered are in it already. */
  #schedule(): void {
    if (this.#isScheduled || this.#underWay >= (this.#isDiskFast ? 2 : 1)) return
    this.#isScheduled = true
    setImmediate(() => void this.#work())
  }

  get #isDiskFast(): boolean {
    return this.#tookMs < FAST_MS
  }

  async #work(): Promise<void> {
    this.#isScheduled = false
    const isFirst = this.#underWay === 0
    const group = this.#queue.take(isFirst && this.#isDiskFast)
    this.#underWay += 1
    if (!this.#queue.isEmpty) this.#schedule()
    if (group.length > 0) await this.#commit(group)
    else if (this.#isTrimDue && isFirst) await this.#trim()
    this.#underWay -= 1
    const isIdle = this.#underWay === 0
    if (!this.#queue.isEmpty || (isIdle && this.#isTrimDue && this.#isOpen)) this.#schedule()
    else if (isIdle && !this.#isScheduled) this.#idle?.()
  }

  async #commit(group: readonly PendingAppend[]): Promise<void> {
    const timeMs = (this.#lastMs = Math.max(this.#lastMs, this.#nowMs()))
    let committed: Committed
    try {
      const asked = { group: packGroup(group, timeMs) }
      const packed = await this.#thread(this.#writer, true).ask('append', asked)
      this.#tookMs = packed.tookMs
      committed = unpackCommitted(packed)
    } catch (error) {
      this.#failed(error)
      if (error instanceof ThreadFailure && error.said.isInDoubt) this.#doubtful = { group, timeMs }
      for (const { reject } of group) reject(error)
      return
    }
    this.#reopened(committed.reopened)
    this.#committed(group, committed, timeMs)
  }

  /**
   * The log failed and was opened anew. Of a group in doubt its callers were told; if it was found, the tail was not.
   */
  #reopened(reopened: Reopened | undefined): void {
    if (reopened === undefined) return
    this.#pages.forget()
    for (const epoch of reopened.epochs) this.#begin(epoch)
    const doubtful = this.#doubtful
    this.#doubtful = undefined
    if (reopened.found === undefined) return
    if (doubtful === undefined) throw new InvariantError('a group was found in the log that nobody missed')
    this.#committed(doubtful.group, reopened.found, doubtful.timeMs)
  }

  /** The tail first, then the callers: an event is delivered only when it is stored, and acknowledged only then. */
  #committed(group: readonly PendingAppend[], committed: Committed, timeMs: number): void {
    this.#settled(committed)
    const events: LogEvent[] = []
    for (const [at, { batch }] of group.entries()) {
      const outcome = committed.outcomes[at]
      if (outcome === undefined || 'code' in outcome || !outcome.isNew) continue
      const epoch = this.#terms.findLast((term) => term.first <= outcome.first)?.name ?? ''
      for (const [place, event] of batch.entries())
        events.push(new LogEvent(epoch, outcome.first + place, timeMs, event))
    }
    for (const event of events) if (event.type === CONTROL_TYPES.end) this.#end(event)
    if (events.length > 0) this.#tail({ events, to: this.#head })
    this.#tell()
    for (const [at, { batch, resolve, reject }] of group.entries()) {
      const outcome = committed.outcomes[at]
      if (outcome === undefined) reject(new InvariantError('a request to append has no outcome'))
      else if ('code' in outcome) reject(errorOf(outcome))
      else resolve(this.#idsFrom(outcome.first, batch.length))
    }
  }

  #end({ topic, offset }: LogEvent): void {
    this.#ends.set(topic, offset)
    if (this.#ends.size <= this.#data.limits.trimmedTopicsMax) return
    for (const oldest of this.#ends.keys()) {
      this.#ends.delete(oldest)
      return
    }
  }

  async #trim(): Promise<void> {
    this.#isTrimDue = false
    try {
      const nowMs = Math.max(this.#lastMs, this.#nowMs())
      const committed = await this.#thread(this.#writer, true).ask('trim', { nowMs })
      this.#reopened(committed.reopened)
      this.#settled(committed)
    } catch (error) {
      this.#failed(error)
    }
  }

  #settled({ head, floor, isTrimDue, hasTrimmed }: Committed): void {
    if (hasTrimmed) this.#pages.forget()
    this.#head = head
    this.#floor = floor
    this.#isTrimDue = isTrimDue
  }

  #failed(error: unknown): void {
    if (error instanceof ThreadFailure) this.#reopened(error.said.reopened)
  }

  #tick(): void {
    this.#pages.tick()
    if (this.#hasAges) this.#isTrimDue = true
    if (this.#isTrimDue) this.#schedule()
  }

  /** Lets the reader go beyond what the tail knows now. */
  #tell(): void {
    Atomics.store(this.#told, 0, BigInt(this.#head))
    Atomics.notify(this.#told, 0)
  }

  #begin(epoch: Epoch): void {
    this.#terms.push(epoch)
    this.#epochs.begin(epoch)
    if (this.#terms.length > this.#data.limits.epochsMax) this.#terms.shift()
  }

  #idsFrom(first: number, count: number): readonly string[] {
    return Array.from({ length: count }, (_, place) => this.#epochs.idAt(first + place))
  }

  #unpack({ offsets, times, events }: PackedHistory): readonly LogEvent[] {
    let term = 0
    return offsets.map((offset, at) => {
      while ((this.#terms[term + 1]?.first ?? Number.POSITIVE_INFINITY) <= offset) term += 1
      return new LogEvent(this.#terms[term]?.name ?? '', offset, times[at] ?? 0, eventAt(events, at))
    })
  }

  #thread(thread: FileThread | undefined, isEnding = false): FileThread {
    if (thread === undefined || !(this.#isOpen || isEnding))
      throw new HydrantError('unavailable', 'The log is not open.')
    return thread
  }
}

/** The end of a topic is wanted whatever the types. */
function wantedOf({ topics, exactTopics, types }: Selection): {
  readonly topics: readonly string[]
  readonly isExact: boolean
  readonly types: readonly string[] | undefined
} {
  const wanted = types === undefined ? undefined : [...types, CONTROL_TYPES.end]
  return { topics, isExact: exactTopics !== undefined, types: wanted }
}

function errorOf({ code, message }: Refused): HydrantError {
  return new HydrantError(code, message)
}
