// One worker, as the main thread sees it: a thread that boots, serves, and may die or get stuck.

import { extname } from 'node:path'
import { MessageChannel, Worker as Thread } from 'node:worker_threads'
import type { Configuration } from '../server/configuration.ts'
import { oneLine } from '../server/lifetime.ts'
import { StartError } from '../server/start-error.ts'
import { NO_FIGURES, type Figures } from '../metrics/figures.ts'
import type { EngineHost } from './engine-host.ts'
import type { EngineLink } from './engine-link.ts'
import { Control, CONTROL_BYTES, type FromWorker, type ToWorker } from './messages.ts'

/** What one is made of. */
export interface WorkerParts {
  readonly host: EngineHost
  /** Open connections of all workers. */
  readonly connections: SharedArrayBuffer
  readonly place: number
}

/** Hears of what a worker says, and of its end. */
export interface WorkerListener {
  /** It asks what all count. */
  metrics(worker: Worker, id: number): void
  /** Somebody looks at the console. */
  wanted(): void
  complaint(line: string): void
  /** It is gone, and was not told to go. */
  died(worker: Worker, why: string): void
}

/** See the head of the file. */
export class Worker {
  /** The last that it reported. */
  figures: Figures = NO_FIGURES
  readonly #parts: WorkerParts
  readonly #listener: WorkerListener
  readonly #thread: Thread
  readonly #control = new Int32Array(new SharedArrayBuffer(CONTROL_BYTES))
  readonly #booted = Promise.withResolvers<void>()
  readonly #listening = Promise.withResolvers<number>()
  readonly #closed = Promise.withResolvers<void>()
  readonly #reports: ((figures: Figures) => void)[] = []
  #link: EngineLink | undefined
  #why = 'it ended'
  #isClosing = false
  #isServing = false
  #isGone = false
  #beats = -1
  #missedBeats = 0

  constructor(parts: WorkerParts, listener: WorkerListener) {
    this.#parts = parts
    this.#listener = listener
    // Sources are .ts, what is published is .js.
    const url = new URL(`./worker-thread${extname(import.meta.url)}`, import.meta.url)
    this.#thread = new Thread(url, { name: `hydrant worker ${parts.place + 1}` })
    this.#thread.on('message', (message: FromWorker) => this.#hear(message))
    this.#thread.on('error', (error: unknown) => (this.#why = oneLine(error)))
    this.#thread.on('exit', () => this.#gone())
    for (const { promise } of [this.#booted, this.#listening]) promise.catch(() => {}) // told to those who wait
  }

  /** Whether it listens. */
  get isServing(): boolean {
    return this.#isServing && !this.#isGone
  }

  /** Lets it serve; answers the port. Rejects with a StartError when it cannot. */
  async serve(configuration: Configuration): Promise<number> {
    await this.#booted.promise
    const { host, connections, place } = this.#parts
    const { port1, port2 } = new MessageChannel()
    this.#link = host.connect(port1, this.#control)
    const { capabilities } = host.engine
    const { buffer: control } = this.#control
    const start: ToWorker = { kind: 'start', configuration, engine: port2, capabilities, control, connections, place }
    this.#thread.postMessage(start, [port2])
    return this.#listening.promise
  }

  /** Asks what it has counted by now; a worker that does not say within so long is taken at its last word. */
  async report(withinMs: number): Promise<Figures> {
    if (this.#isGone) return this.figures
    const { promise, resolve } = Promise.withResolvers<Figures>()
    this.#reports.push(resolve)
    this.#say({ kind: 'report' })
    const late = setTimeout(() => resolve(this.figures), withinMs)
    const figures = await promise
    clearTimeout(late)
    return figures
  }

  /** Answers `metrics`. */
  answer(id: number, text: string): void {
    this.#say({ kind: 'metrics', id, text })
  }

  /** Tells it to close; resolves when it has, or is gone. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#say({ kind: 'close' })
    await this.#closed.promise
  }

  /** Ends it, whatever it does. `why`: what is told of it, if it was not told to go. */
  async terminate(why: string): Promise<void> {
    if (!this.#isGone) this.#why = why
    await this.#thread.terminate()
  }

  /** Looks whether its event loop has turned since the last time; answers how often in a row it had not. */
  missedBeats(): number {
    const beats = Atomics.load(this.#control, Control.beats)
    this.#missedBeats = beats === this.#beats ? this.#missedBeats + 1 : 0
    this.#beats = beats
    return this.#missedBeats
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case 'booted':
        return this.#booted.resolve()
      case 'listening':
        this.#isServing = true
        return this.#listening.resolve(message.port)
      case 'failed':
        return this.#listening.reject(new StartError(message.message))
      case 'report':
        this.figures = message.figures
        for (const resolve of this.#reports.splice(0)) resolve(message.figures)
        return
      case 'metrics':
        return this.#listener.metrics(this, message.id)
      case 'wanted':
        return this.#listener.wanted()
      case 'complaint':
        return this.#listener.complaint(message.line)
      case 'died':
        this.#why = message.why
        return
      case 'closed':
        return this.#closed.resolve()
    }
  }

  #gone(): void {
    this.#isGone = true
    this.#link?.drop()
    const error = new StartError(`a worker ended before it could serve: ${this.#why}`)
    this.#booted.reject(error)
    this.#listening.reject(error)
    this.#closed.resolve()
    for (const resolve of this.#reports.splice(0)) resolve(this.figures)
    if (!this.#isClosing) this.#listener.died(this, this.#why)
  }

  #say(message: ToWorker): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
    this.#thread.postMessage(message)
  }
}
