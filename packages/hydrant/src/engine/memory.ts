// The memory engine: the log is the window, and ends with the process.

import { Epochs } from '../hub/epochs.ts'
import { LogEvent, type CheckedEvent } from '../hub/event.ts'
import { resolveLimits, type Limits } from '../hub/limits.ts'
import { isConflated } from '../hub/lag.ts'
import type { Selection } from '../hub/selection.ts'
import { contentBytes, Window, type SelectedTypes } from '../hub/window.ts'
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
import { IdempotencyKeys } from './idempotency.ts'
import { Topics } from './topics.ts'
import { Trimmed, type Judgement } from './trimmed.ts'

/** Options of {@link MemoryEngine}. */
export interface MemoryEngineOptions {
  /** `windowBytes`, `trimmedTopicsMax`, `idempotencyKeysMax` and `idempotencyMs` are used. Default: the table's. */
  readonly limits?: Partial<Limits>
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly nowMs?: () => number
  /** 48 random bits as 12 hexadecimal digits. Default: from `crypto`. */
  readonly epoch?: string
}

/** Keeps the newest events, up to `windowBytes`, in this process; each start is a new epoch. */
export class MemoryEngine implements Engine {
  readonly capabilities: EngineCapabilities = {
    durable: false,
    shared: false,
    exactGaps: true,
    topicRetention: false,
    atomicBatch: true,
  }
  readonly window: Window
  readonly #epoch: string
  readonly #epochs: Epochs
  readonly #trimmed: Trimmed
  /** Of these only such as were the newest of their key when they went. */
  readonly #trimmedNewest: Trimmed
  /** The newest of their key and type: of other types there may have been newer ones. */
  readonly #trimmedNewestOfType: Trimmed
  readonly #keys: IdempotencyKeys
  readonly #topics: Topics
  readonly #nowMs: () => number
  #lastMs = 0
  #tail: Tail = () => {}

  constructor(options: MemoryEngineOptions = {}) {
    const limits = resolveLimits(options.limits)
    this.#nowMs = options.nowMs ?? Date.now
    this.#epoch = options.epoch ?? mintEpoch()
    this.#epochs = new Epochs([{ name: this.#epoch, first: 0 }], limits.epochsMax)
    this.#trimmed = new Trimmed(limits.trimmedTopicsMax)
    this.#trimmedNewest = new Trimmed(limits.trimmedTopicsMax)
    this.#trimmedNewestOfType = new Trimmed(limits.trimmedTopicsMax)
    this.#topics = new Topics(limits.trimmedTopicsMax)
    this.#keys = new IdempotencyKeys(limits, this.#nowMs)
    this.window = new Window({
      bytesMax: contentBytes(limits.windowBytes),
      onTrim: (event) => this.#noteTrimmed(event),
    })
  }

  async open(tail: Tail): Promise<LogBounds> {
    this.#tail = tail
    return this.bounds()
  }

  bounds(): LogBounds {
    return { floor: this.window.floor, head: this.window.head, epochs: this.#epochs }
  }

  endOf(topic: string): number | undefined {
    return this.#topics.endOf(topic)
  }

  async append(batch: readonly CheckedEvent[], idempotency?: Idempotency, ifLast?: IfLast): Promise<readonly string[]> {
    const append = async (): Promise<readonly string[]> => this.#append(batch, ifLast)
    return idempotency === undefined ? append() : this.#keys.once(idempotency, append)
  }

  async read(request: ReadRequest): Promise<History> {
    const { after, selection, latest = false } = request
    const judgement = after < this.window.floor ? this.#judge(request) : undefined
    const isGone = judgement !== undefined && judgement.gone !== false
    const gap = isGone ? { to: judgement.to, certain: judgement.certain, count: undefined } : undefined
    const isWanted = (event: LogEvent): boolean => !latest || !isConflated(event, selection, this.window)
    return { gap, ...this.#read(request, isWanted) }
  }

  #judge({ after, selection, latest = false }: ReadRequest): Judgement {
    if (!latest) return this.#trimmed.judge(after, selection)
    const newest = this.#trimmedNewest.judge(after, selection)
    if (selection.types === undefined) return newest
    const ofType = this.#trimmedNewestOfType.judge(after, selection)
    if (selection.types.size === 1 || ofType.gone !== true || newest.gone === true) return ofType
    return { gone: 'unknown', to: ofType.to, certain: false } // another one of its types may have stood for it
  }

  async state(request: StateRequest): Promise<LogRange> {
    const { after, to, selection } = request
    if (after >= to) return { events: [], to }
    const isState = (event: LogEvent): boolean =>
      event.offset <= to &&
      !this.window.isSuperseded(event, selection, to) &&
      (event.key === undefined || event.data.length > 0)
    const range = this.#read(request, isState)
    return { events: range.events, to: Math.min(range.to, to) }
  }

  async seek(seek: Seek, selection: Selection): Promise<number> {
    if ('last' in seek) return this.window.seekLast(seek.last, selection)
    if ('sinceMs' in seek) return this.window.seekTime(seek.sinceMs)
    return this.window.floor
  }

  async close(): Promise<void> {
    this.#tail = () => {}
  }

  #read(request: ReadRequest | StateRequest, isWanted: (event: LogEvent) => boolean): LogRange {
    const events: LogEvent[] = []
    let bytes = 0
    const take = (event: LogEvent): boolean => {
      if (!isWanted(event)) return true
      bytes += event.data.length
      if (events.length > 0 && (events.length === request.eventsMax || bytes > request.bytesMax)) return false
      events.push(event)
      return true
    }
    const to = this.window.read(Math.max(request.after, this.window.floor), request.selection, take, SCAN_EVENTS)
    return { events, to }
  }

  #noteTrimmed(event: LogEvent): void {
    this.#trimmed.note(event)
    const isNewest = event.key === undefined || event.supersededBy === 0
    if (isNewest) this.#trimmedNewest.note(event)
    if (isNewest || !this.window.isSuperseded(event, only(event.type))) this.#trimmedNewestOfType.note(event)
  }

  #append(batch: readonly CheckedEvent[], ifLast: IfLast | undefined): readonly string[] {
    this.#topics.check(batch, ifLast, (offset) => this.#epochs.idAt(offset))
    const timeMs = (this.#lastMs = Math.max(this.#lastMs, this.#nowMs()))
    const events = batch.map((event, at) => new LogEvent(this.#epoch, this.window.head + 1 + at, timeMs, event))
    for (const event of events) {
      this.window.append(event)
      this.#topics.note(event)
    }
    this.#tail({ events, to: this.window.head })
    return events.map((event) => event.id)
  }
}

function only(type: string): SelectedTypes {
  return { types: new Set([type]), matchesType: (other) => other === type }
}

/** Looked at in one reading: about a millisecond. */
const SCAN_EVENTS = 10_000

/** A new epoch's name: 48 random bits. */
export function mintEpoch(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(6))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
