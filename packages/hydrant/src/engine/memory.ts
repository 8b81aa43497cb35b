// The memory engine: the log is the window, and ends with the process.

import { Epochs } from '../hub/epochs.ts'
import { LogEvent, type CheckedEvent } from '../hub/event.ts'
import { resolveLimits, type Limits } from '../hub/limits.ts'
import type { Selection } from '../hub/selection.ts'
import { Window } from '../hub/window.ts'
import type {
  Engine,
  EngineCapabilities,
  History,
  Idempotency,
  IfLast,
  LogBounds,
  ReadRequest,
  Seek,
  Tail,
} from './engine.ts'
import { IdempotencyKeys } from './idempotency.ts'
import { Topics } from './topics.ts'
import { Trimmed } from './trimmed.ts'

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
    this.#topics = new Topics(limits.trimmedTopicsMax)
    this.#keys = new IdempotencyKeys(limits, this.#nowMs)
    this.window = new Window({ bytesMax: limits.windowBytes, onTrim: (event) => this.#trimmed.note(event) })
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
    const judgement =
      request.after < this.window.floor ? this.#trimmed.judge(request.after, request.selection) : undefined
    const gap =
      judgement === undefined || judgement.gone === false
        ? undefined
        : { to: judgement.to, certain: judgement.certain, count: undefined }
    const events: LogEvent[] = []
    let bytes = 0
    const take = (event: LogEvent): boolean => {
      bytes += event.data.length
      if (events.length > 0 && (events.length === request.eventsMax || bytes > request.bytesMax)) return false
      events.push(event)
      return true
    }
    const to = this.window.read(Math.max(request.after, this.window.floor), request.selection, take, SCAN_EVENTS)
    return { gap, events, to }
  }

  async seek(seek: Seek, selection: Selection): Promise<number> {
    if ('last' in seek) return this.window.seekLast(seek.last, selection)
    if ('sinceMs' in seek) return this.window.seekTime(seek.sinceMs)
    return this.window.floor
  }

  async close(): Promise<void> {
    this.#tail = () => {}
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

/** Looked at in one reading: about a millisecond. */
const SCAN_EVENTS = 10_000

/** A new epoch's name: 48 random bits. */
export function mintEpoch(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(6))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
