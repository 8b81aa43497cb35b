// The NATS engine: the log is a JetStream stream, shared by every process that opens it.
// `new NatsEngine(natsOptionsOf('nats://localhost:4222'))`.
//
//   append ─► a message of the stream, acknowledged ─► the tail of every process ─► the callers' promises
//   read, seek, state ─► consumers of their own
//
// A connection that is lost is not mended: another is made, the log is looked at anew (nats-look.ts), and the tail goes
// on where it was. Meanwhile everything is refused as unavailable, and nothing waits. Locked by
// test/engine/nats.test.ts (the contract of engines) and test/fault/nats-*.test.ts.

import type { CheckedEvent } from '../hub/event.ts'
import { InvariantError } from '../hub/errors.ts'
import { resolveLimits, type Limits } from '../hub/limits.ts'
import type { Selection } from '../hub/selection.ts'
import type {
  Engine,
  EngineCapabilities,
  Following,
  History,
  Idempotency,
  IfLast,
  LogBounds,
  LogRange,
  ReadRequest,
  Seek,
  StateRequest,
  Tail,
  TailBreaks,
  Trouble,
} from './engine.ts'
import { NatsAppend } from './nats-append.ts'
import { callersErrorOf, NatsLost, NatsRefusal, unavailable } from './nats-errors.ts'
import { NatsHistory } from './nats-history.ts'
import { NatsLink, type StreamState } from './nats-link.ts'
import { NatsLog } from './nats-log.ts'
import { keepRecord, lookAtLog } from './nats-look.ts'
import { natsSettings, type NatsEngineOptions, type NatsSettings } from './nats-options.ts'
import { NatsState } from './nats-state.ts'
import { Subjects } from './nats-subject.ts'
import { NatsTailing } from './nats-tailing.ts'

export { isNatsUrl, natsOptionsOf } from './nats-options.ts'
export type { NatsEngineOptions, NatsRetention, NatsTls } from './nats-options.ts'

/** How often the ends of the stream are looked at. */
const TICK_MS = 1_000
/** Pauses between tries to connect: they double, and half of each is random. */
const PAUSE_MS = 50
const PAUSE_MS_MAX = 2_000

/** See the head of the file. */
export class NatsEngine implements Engine {
  readonly capabilities: EngineCapabilities = {
    durable: true,
    shared: true,
    exactGaps: false,
    topicRetention: false,
    atomicBatch: false,
  }
  readonly following: Following = {
    add: (selection) => this.#follow(selection),
    remove: (selection) => this.#tailing.remove(selection),
    from: (selection) => this.#log.followed.from(selection),
  }
  readonly #settings: NatsSettings
  readonly #limits: Limits
  readonly #warn: (warning: Error) => void
  readonly #log: NatsLog
  readonly #append: NatsAppend
  readonly #history: NatsHistory
  readonly #state: NatsState
  readonly #tailing: NatsTailing
  #link: NatsLink | undefined
  #trouble: Trouble | undefined
  #opening: Promise<LogBounds> | undefined
  #closing: Promise<void> | undefined
  #isClosing = false
  readonly #closed: PromiseWithResolvers<void> = Promise.withResolvers()
  #lose: (reason: string) => void = () => {}
  #ticks: NodeJS.Timeout | undefined
  #refresh: Promise<void> | undefined
  #running: Promise<void> | undefined

  /** Throws a RangeError when an option makes no sense; connects to nothing before `open`. */
  constructor(options: NatsEngineOptions = {}) {
    this.#limits = resolveLimits(options.limits)
    this.#settings = natsSettings(options, this.#limits.idempotencyMs)
    this.#warn = options.onWarning ?? ((warning) => process.emitWarning(warning))
    this.#log = new NatsLog(new Subjects(this.#settings.prefix), this.#limits)
    const { answerMs } = this.#settings
    this.#history = new NatsHistory(this.#log, answerMs, this.#limits.scanEventsMax)
    this.#state = new NatsState(this.#log, answerMs)
    this.#tailing = new NatsTailing(this.#log, (reason) => this.#lose(reason))
    this.#append = new NatsAppend({
      log: this.#log,
      limits: this.#limits,
      nowMs: options.nowMs ?? Date.now,
      link: () => this.#connected(),
    })
  }

  open(tail: Tail, breaks?: TailBreaks): Promise<LogBounds> {
    this.#log.tell(tail, breaks)
    this.#opening ??= this.#open()
    return this.#opening
  }

  bounds(): LogBounds {
    return this.#log.bounds
  }

  endOf(topic: string): number | undefined {
    return this.#log.ends.of(topic)
  }

  async append(batch: readonly CheckedEvent[], idempotency?: Idempotency, ifLast?: IfLast): Promise<readonly string[]> {
    const [event, ...others] = batch
    if (event === undefined) return []
    if (others.length > 0) throw new InvariantError('the NATS engine takes no batches: see its capabilities')
    return this.#asking(async () => [await this.#append.append(event, idempotency, ifLast)])
  }

  read(request: ReadRequest): Promise<History> {
    return this.#asking(async (link) => {
      if (!this.#log.followed.covers(request.selection)) await this.#tailing.advance()
      return this.#history.read(link, request, async () => void (await this.#look()))
    })
  }

  state(request: StateRequest): Promise<LogRange> {
    return this.#asking((link) => this.#state.read(link, request))
  }

  seek(seek: Seek, selection: Selection): Promise<number> {
    return this.#asking(async (link) => {
      if (!this.#log.followed.covers(selection)) await this.#tailing.advance()
      await this.#look()
      return this.#history.seek(link, seek, selection)
    })
  }

  synced(): Promise<void> {
    return this.#asking(() => this.#tailing.advance())
  }

  trouble(): Trouble | undefined {
    return this.#trouble
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  // ── opening and closing ────────────────────────────────────────────────────────────────────────────────────────────

  /** NATS may start at the same time as we do: it is tried for a while. */
  async #open(): Promise<LogBounds> {
    const endMs = performance.now() + this.#settings.openMs
    for (let tries = 0; ; tries += 1) {
      try {
        const link = await this.#connect()
        this.#running = this.#run(link)
        return this.bounds()
      } catch (error) {
        const isHopeless = error instanceof NatsRefusal // what NATS refuses now it will refuse again
        if (isHopeless || this.#isClosing || performance.now() >= endMs) throw callersErrorOf(error)
        await this.#pause(tries)
      }
    }
  }

  async #close(): Promise<void> {
    this.#isClosing = true
    this.#closed.resolve()
    this.#lose('The log was closed.')
    await this.#opening?.catch(() => {}) // its caller was told
    this.#lose('The log was closed.') // it may have connected meanwhile
    await this.#running
    this.#log.tell(() => {}, undefined)
  }

  // ── the connection ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Connects, looks at the log and starts the tail. */
  async #connect(): Promise<NatsLink> {
    const link = await NatsLink.connect(this.#settings)
    try {
      await lookAtLog(link, this.#log, this.#limits.epochsMax)
      await this.#tailing.start(link)
      return link
    } catch (error) {
      this.#tailing.stop()
      await link.close()
      throw error
    }
  }

  /** Until the engine is closed: uses a connection until it is lost, then makes another. */
  async #run(first: NatsLink): Promise<void> {
    let link: NatsLink | undefined = first
    for (;;) {
      await this.#use(link)
      if (this.#isClosing) return
      link = await this.#reconnect()
      if (link === undefined) return
      this.#recover()
    }
  }

  /** Resolves when the connection is of no use any more. */
  async #use(link: NatsLink): Promise<void> {
    const lost = Promise.withResolvers<string>()
    const lose = (reason: string): void => {
      if (this.#link !== link) return
      this.#link = undefined
      if (!this.#isClosing) this.#suffer(reason) // at once: whoever is refused finds out why
      lost.resolve(reason)
    }
    this.#lose = lose
    this.#link = link
    void link.closed.then(lose)
    if (this.#isClosing) lose('The log was closed.')
    this.#ticks = setInterval(() => void this.#tick(link), TICK_MS).unref()
    const reason = await lost.promise
    clearInterval(this.#ticks)
    this.#lose = () => {}
    this.#tailing.stop()
    this.#history.forget()
    this.#state.forget()
    this.#log.failWaiting(reason)
    await link.close()
  }

  async #reconnect(): Promise<NatsLink | undefined> {
    for (let tries = 0; ; tries += 1) {
      await this.#pause(tries)
      if (this.#isClosing) return undefined
      try {
        return await this.#connect()
      } catch (error) {
        if (this.#trouble !== undefined && error instanceof Error)
          this.#trouble = { ...this.#trouble, reason: error.message }
      }
    }
  }

  /** Everybody's pause is another, or all would come back at once. */
  async #pause(tries: number): Promise<void> {
    const pauseMs = Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** tries) * (0.5 + Math.random() / 2)
    let timer: NodeJS.Timeout | undefined
    const passed = new Promise<void>((resolve) => (timer = setTimeout(resolve, pauseMs)))
    await Promise.race([passed, this.#closed.promise])
    clearTimeout(timer)
  }

  #suffer(reason: string): void {
    this.#trouble = { sinceMs: Date.now(), reason }
    this.#warn(new Error(`The log cannot be used: ${reason} Publishing is refused until it can.`))
  }

  #recover(): void {
    const sinceMs = this.#trouble?.sinceMs ?? Date.now()
    this.#trouble = undefined
    this.#warn(new Error(`The log can be used again, after ${((Date.now() - sinceMs) / 1_000).toFixed(1)} s.`))
  }

  // ── asking ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #connected(): NatsLink {
    if (this.#link !== undefined) return this.#link
    throw unavailable(this.#trouble?.reason ?? 'The log is not open.')
  }

  async #asking<Answer>(ask: (link: NatsLink) => Promise<Answer>): Promise<Answer> {
    const link = this.#connected()
    try {
      return await ask(link)
    } catch (error) {
      // A connection on which an answer did not come is given up: nobody knows what of it still works.
      if (error instanceof NatsLost && this.#link === link) this.#lose(error.message)
      throw callersErrorOf(error)
    }
  }

  async #follow(selection: Selection): Promise<void> {
    await this.#asking(() => this.#tailing.add(selection))
  }

  /** Brings the floor up to date. Who comes while it is asked for asks again: the answer may be older than the wish. */
  async #look(): Promise<StreamState> {
    const link = this.#connected()
    const { head } = this.#log // the tail may bring what is stored after the answer was made, and before it comes
    const state = await link.streamState()
    if (state === undefined || state.created !== this.#log.created || state.last < head) {
      this.#lose('The stream is not what it was.')
      throw unavailable('The stream is not what it was.')
    }
    if (state.first > 1) this.#log.setFloor(state.first - 1, state.first - 1)
    return state
  }

  async #tick(link: NatsLink): Promise<void> {
    if (this.#refresh !== undefined) return
    this.#refresh = this.#keepUp(link).catch((error: unknown) => {
      if (this.#link === link) this.#lose(error instanceof Error ? error.message : 'NATS does not answer.')
    })
    await this.#refresh
    this.#refresh = undefined
  }

  async #keepUp(link: NatsLink): Promise<void> {
    const state = await this.#look()
    await this.#tailing.keepUp(state)
    await keepRecord(link, this.#log, state)
  }
}
