// The one engine of the main thread, for all workers.
//
//   engine's tail ─► steps of this turn ─► encoded once ─► one message for each worker that keeps up
//   worker asks ─► engine ─► answers, in the same message behind the tail: who reads an answer is where the tail is
//
// Locked by test/workers/worker-engine.test.ts (the contract of engines) and test/workers/engine-host.test.ts.

import type { MessagePort } from 'node:worker_threads'
import type { Engine, LogRange } from '../engine/engine.ts'
import type { Epoch } from '../hub/epochs.ts'
import type { CheckedEvent, LogEvent } from '../hub/event.ts'
import { EngineLink } from './engine-link.ts'
import { packEvents, sizeOf } from './event-codec.ts'
import type { TailStep } from './messages.ts'
import { SharedBuffers } from './shared-buffers.ts'

/** Options of {@link EngineHost}. */
export interface EngineHostOptions {
  /** Hears of errors of the engine that are none of its port. */
  readonly onError: (error: unknown) => void
  /** What a worker may be behind with the tail, in bytes, before it is skipped ahead. Default 16 MiB. */
  readonly behindBytesMax?: number
}

const BEHIND_BYTES_MAX = 16_777_216
/** How often it is looked for what nothing tells: trouble, a floor that rose, a worker that keeps up again. */
const TICK_MS = 100

/** See the head of the file. */
export class EngineHost {
  readonly engine: Engine
  readonly onError: (error: unknown) => void
  /** Events that the tail brought since the start. */
  published = 0
  /** Their data. */
  publishedBytes = 0
  readonly #behindBytesMax: number
  readonly #links = new Set<EngineLink>()
  readonly #buffers = new SharedBuffers()
  #steps: TailStep[] = []
  #events: LogEvent[] = []
  #lastEpoch: Epoch | undefined
  #number = 0
  #head: number | undefined
  #isFlushDue = false
  #ticks: NodeJS.Timeout | undefined

  constructor(engine: Engine, { onError, behindBytesMax = BEHIND_BYTES_MAX }: EngineHostOptions) {
    this.engine = engine
    this.onError = onError
    this.#behindBytesMax = behindBytesMax
  }

  /** Opens the engine. */
  async open(): Promise<void> {
    const { head } = await this.engine.open((range) => this.#told(range), {
      skip: (to) => this.#skip(to),
      undo: (to) => this.#undo(to),
    })
    this.#head ??= head
    this.#noteEpochs()
    this.#ticks = setInterval(() => this.flush(), TICK_MS).unref()
  }

  /** Serves a worker over a port, from its first message on; `control` is shared with it. */
  connect(port: MessagePort, control: Int32Array): EngineLink {
    const link = new EngineLink(this, { port, control, behindBytesMax: this.#behindBytesMax })
    this.#links.add(link)
    return link
  }

  /** Stores an event of the main thread's own. */
  async publish(event: CheckedEvent): Promise<void> {
    await this.engine.append([event])
  }

  /** Ends the engine; all workers must be gone, or have closed theirs. */
  async close(): Promise<void> {
    clearInterval(this.#ticks)
    await this.engine.close()
  }

  /** Everything up to here was told. */
  get head(): number {
    return this.#head ?? 0
  }

  /** @internal The number of the last message. */
  get number(): number {
    return this.#number
  }

  /** @internal A worker is gone. */
  detach(link: EngineLink): void {
    this.#links.delete(link)
  }

  /** @internal Something is to be said at the end of this turn. */
  schedule(): void {
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    setImmediate(() => this.flush())
  }

  /** @internal A buffer was read by one more worker. */
  readonly release: SharedBuffers['release'] = (buffer) => this.#buffers.release(buffer)

  #told({ events, to }: LogRange): void {
    this.#noteEpochs()
    this.#head = to
    this.published += events.length
    for (const event of events) this.publishedBytes += event.data.length
    if (this.#links.size === 0) return
    for (const event of events) this.#events.push(event)
    const last = this.#steps.at(-1)
    if (last?.kind === 'range') this.#steps.splice(-1, 1, { ...last, count: last.count + events.length, to })
    else this.#steps.push({ kind: 'range', count: events.length, to })
    this.schedule()
  }

  #skip(to: number): void {
    this.#noteEpochs()
    this.#head = to
    this.#step({ kind: 'skip', to, ends: [] })
  }

  #undo(to: number): void {
    this.#noteEpochs()
    this.#head = to
    this.#step({ kind: 'undo', to })
  }

  /** Before each step, for what the step says may need the names of terms that began. */
  #noteEpochs(): void {
    const { rows } = this.engine.bounds().epochs
    const last = rows.at(-1)
    if (last === this.#lastEpoch || last === undefined) return
    const known = this.#lastEpoch === undefined ? -1 : rows.findIndex(({ name }) => name === this.#lastEpoch?.name)
    this.#lastEpoch = last
    this.#step({ kind: 'epochs', epochs: rows.slice(known + 1) })
  }

  #step(step: TailStep): void {
    if (this.#links.size === 0) return
    this.#steps.push(step)
    this.schedule()
  }

  /** @internal Says it now. */
  flush(): void {
    this.#isFlushDue = false
    this.#noteEpochs()
    const steps = this.#steps
    const events = this.#events
    this.#steps = []
    this.#events = []
    this.#number = (this.#number + 1) | 0
    const size = sizeOf(events)
    const buffer = events.length === 0 ? undefined : this.#buffers.take(size)
    const packed = buffer === undefined ? undefined : packEvents(events, buffer.bytes)
    for (const link of this.#links) link.post({ number: this.#number, steps, events: packed, size, buffer })
    if (buffer !== undefined) this.release(buffer)
  }
}
