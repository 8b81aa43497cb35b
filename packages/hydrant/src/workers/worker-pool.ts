// All workers of a server: they share its port, and the main thread's log. The main thread has no client; it orders,
// stores, tells the workers, and sees to it that there are as many as there should be.
//
// Locked by test/workers/worker-pool.test.ts and test/fault/workers.test.ts.

import { Machine } from '../console/machine.ts'
import type { Engine } from '../engine/engine.ts'
import { checkEvent } from '../hub/event.ts'
import { LIMITS, type LimitName, type Limits } from '../hub/limits.ts'
import { addFigures, NO_FIGURES, pastFigures, type Figures } from '../metrics/figures.ts'
import { figuresText } from '../metrics/metrics.ts'
import type { Configuration } from '../server/configuration.ts'
import { engineOf, folderOf } from '../server/engine.ts'
import { marginMs, originOf } from '../server/server.ts'
import { logErrorOf } from '../server/start-error.ts'
import { systemClock } from '../system-clock.ts'
import { EngineHost } from './engine-host.ts'
import { PortClaim } from './port-claim.ts'
import { SharedCount, sharedPlaces } from './shared-count.ts'
import { Worker, type WorkerListener } from './worker.ts'

/** How workers are watched. */
export interface PoolTiming {
  /** How often it is looked whether their event loops turn. */
  readonly watchMs: number
  /** A worker is stuck, and ended, when it did not turn between so many looks. */
  readonly missedBeatsMax: number
  /** A worker that died is replaced after so long; each time in a row after twice as long. */
  readonly replaceMs: number
  readonly replaceMsMax: number
  /** One that has served for so long starts a new row. */
  readonly settledMs: number
}

/** The defaults: a stuck worker is ended after 5 s. The main thread's own clock may have stood still as well. */
export const POOL_TIMING: PoolTiming = {
  watchMs: 1_000,
  missedBeatsMax: 5,
  replaceMs: 100,
  replaceMsMax: 5_000,
  settledMs: 10_000,
}

/** How a pool is opened. */
export interface PoolOptions {
  /** Hears of errors of the main thread that nobody could be told of. */
  readonly onError: (error: unknown) => void
  /** Hears of workers that end, and of a log out of reach. */
  readonly onWarning: (warning: Error) => void
  readonly timing?: Partial<PoolTiming>
  /** Default: the one that the configuration names. */
  readonly engine?: Engine
}

/** A place for a worker, and who is in it. */
interface Post {
  readonly place: number
  worker: Worker
  /** Deaths in a row. */
  deaths: number
  servesSinceMs: number
  replacing: NodeJS.Timeout | undefined
}

/** Limits of what a worker holds in memory: each has its part. */
const PARTED: readonly LimitName[] = ['windowBytes', 'pinnedBytesMax', 'publishWaitBytesMax']
/** A worker that is busy for so long is taken at its last word when all are asked what they count. */
const REPORT_MS = 1_000

/** See the head of the file. */
export class WorkerPool implements WorkerListener {
  readonly #configuration: Configuration
  readonly #options: PoolOptions
  readonly #timing: PoolTiming
  readonly #host: EngineHost
  readonly #connections: SharedArrayBuffer
  readonly #posts: Post[] = []
  readonly #machine: Machine
  #claim: PortClaim | undefined
  #port = 0
  #past: Figures = NO_FIGURES
  #asked: Promise<string> | undefined
  #watch: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  /** Opens the log and lets `configuration.workers` threads listen. Rejects with a StartError when it cannot. */
  static async open(configuration: Configuration, options: PoolOptions): Promise<WorkerPool> {
    PortClaim.check()
    const engine = options.engine ?? (await engineOf(configuration, options.onWarning))
    const pool = new WorkerPool(configuration, options, engine)
    try {
      await pool.#open()
      return pool
    } catch (error) {
      await pool.close().catch(() => {}) // why it did not open says more
      throw error
    }
  }

  private constructor(configuration: Configuration, options: PoolOptions, engine: Engine) {
    this.#configuration = configuration
    this.#options = options
    this.#timing = { ...POOL_TIMING, ...options.timing }
    this.#host = new EngineHost(engine, options)
    this.#connections = sharedPlaces(configuration.workers)
    this.#machine = this.#newMachine()
  }

  /** Where it is reached: `http://127.0.0.1:3000`. */
  get origin(): string {
    return originOf(this.#configuration.host, this.#port)
  }

  /** Where its events are, without `/events`: the origin and the base path. */
  get url(): string {
    return `${this.origin}${this.#configuration.basePath}`
  }

  /** The port that all listen on, also when any would do. */
  get port(): number {
    return this.#port
  }

  /** The workers that are there now. */
  get workers(): readonly Worker[] {
    return this.#posts.map(({ worker }) => worker)
  }

  /** What all count, together. */
  async figures(): Promise<Figures> {
    await Promise.all(this.workers.map((worker) => worker.report(REPORT_MS)))
    return this.#lastFigures()
  }

  /**
   * Ends everything: every worker as a server ends, then the log. Resolves when all is ended, and always within
   * `closeMs`. Rejects when the log could not be closed.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  // ── what workers say ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Those who ask at the same moment get the same answer. */
  metrics(worker: Worker, id: number): void {
    this.#asked ??= this.figures().then((figures) => {
      this.#asked = undefined
      return figuresText(figures)
    })
    void this.#asked.then((text) => worker.answer(id, text))
  }

  wanted(): void {
    this.#machine.wanted()
  }

  complaint(line: string): void {
    this.#options.onWarning(new Error(line))
  }

  died(worker: Worker, why: string): void {
    const post = this.#posts.find((one) => one.worker === worker)
    if (post === undefined) return
    this.#past = addFigures(this.#past, pastFigures(worker.figures))
    worker.figures = NO_FIGURES
    new SharedCount(this.#connections, post.place).clear()
    if (this.#closing !== undefined) return
    const { replaceMs, replaceMsMax, settledMs } = this.#timing
    if (performance.now() - post.servesSinceMs > settledMs) post.deaths = 0
    const delayMs = Math.min(replaceMs * 2 ** post.deaths, replaceMsMax)
    post.deaths += 1
    const words = `worker ${post.place + 1} has ended, and is replaced in ${delayMs} ms: ${why}`
    this.#options.onWarning(new Error(words))
    post.replacing = setTimeout(() => void this.#replace(post), delayMs)
  }

  // ── life ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #open(): Promise<void> {
    const { host, port, workers, engine } = this.#configuration
    try {
      await this.#host.open()
    } catch (error) {
      throw logErrorOf(error, this.#options.engine === undefined ? folderOf(engine) : undefined)
    }
    this.#claim = await PortClaim.take(host, port)
    this.#port = port
    for (let place = 0; place < workers; place += 1) {
      const worker = this.#newWorker(place)
      this.#posts.push({ place, worker, deaths: 0, servesSinceMs: Infinity, replacing: undefined })
    }
    const [first, ...others] = this.#posts
    if (first !== undefined) this.#port = await this.#serve(first) // it finds a port, if any would do
    await Promise.all(others.map((post) => this.#serve(post)))
    this.#watch = setInterval(() => this.#lookAtAll(), this.#timing.watchMs).unref()
  }

  #newWorker(place: number): Worker {
    return new Worker({ host: this.#host, connections: this.#connections, place }, this)
  }

  async #serve(post: Post): Promise<number> {
    const { workers, limits } = this.#configuration
    const port = await post.worker.serve({
      ...this.#configuration,
      port: this.#port,
      limits: limitsOfWorker(limits, workers),
    })
    post.servesSinceMs = performance.now()
    return port
  }

  async #replace(post: Post): Promise<void> {
    post.worker = this.#newWorker(post.place)
    post.servesSinceMs = Infinity
    try {
      await this.#serve(post)
    } catch (error) {
      // A thread that is gone was told of already; one that cannot listen ends here, and is replaced as well.
      await post.worker.terminate(error instanceof Error ? error.message : String(error))
    }
  }

  #lookAtAll(): void {
    for (const { worker } of this.#posts) {
      if (worker.missedBeats() < this.#timing.missedBeatsMax) continue
      void worker.terminate('it was stuck: its event loop did not turn')
    }
  }

  async #close(): Promise<void> {
    const { closeMs } = this.#configuration.limits
    clearInterval(this.#watch)
    this.#machine.close()
    for (const { replacing } of this.#posts) clearTimeout(replacing)
    let deadline: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => (deadline = setTimeout(resolve, closeMs - marginMs(closeMs) / 2)))
    await Promise.race([Promise.all(this.workers.map((worker) => worker.close())), late])
    clearTimeout(deadline)
    await Promise.all(this.workers.map((worker) => worker.terminate('it was too late')))
    this.#claim?.release()
    await this.#host.close()
  }

  #lastFigures(): Figures {
    const sum = this.workers.reduce((all, { figures }) => addFigures(all, figures), this.#past)
    const { published, publishedBytes } = this.#host // every worker is told of every event
    return { ...sum, published, publishedBytes, isTroubled: this.#host.engine.trouble?.() !== undefined }
  }

  /** The console's samples are of the process, so they are made here, of what the workers reported last. */
  #newMachine(): Machine {
    const { limits } = this.#configuration
    const isClosing = (): boolean => this.#closing !== undefined
    const counters = (): Figures => this.#lastFigures()
    return new Machine({
      clock: systemClock,
      get isClosing() {
        return isClosing()
      },
      get counters() {
        return counters()
      },
      publish: (event) => this.#host.publish(checkEvent(event, limits)),
    })
  }
}

/** All together hold no more than one server would; what counts connections counts those of all. */
export function limitsOfWorker(limits: Limits, workers: number): Limits {
  const parts = PARTED.map((name) => [name, Math.max(LIMITS[name].min, Math.floor(limits[name] / workers))] as const)
  return { ...limits, ...Object.fromEntries(parts) }
}
