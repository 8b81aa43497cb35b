// The Redis engine: a log that many nodes share. `new RedisEngine({ url: 'redis://localhost:6379' })`.
//
//   append ─► writer ─► one call of the script ─► streams, and a message for each slot ─► every node's tail
//   read, state, seek ─► the streams
//   each second, and for each new follower: a look ─► a mark in the node's own channel ─► is anything missing?
//
// Two connections, however many clients: one for commands, one that messages come by. What is where in Redis is said in
// redis-commit-script.ts, how what is lost is found again in redis-tail.ts.

import { randomBytes } from 'node:crypto'
import type { SecureContextOptions } from 'node:tls'
import { CONTROL_TYPES } from 'hydrant-client/wire'
import { Epochs, type Epoch } from '../hub/epochs.ts'
import { HydrantError } from '../hub/errors.ts'
import type { CheckedEvent, LogEvent } from '../hub/event.ts'
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
import { mintEpoch } from './memory.ts'
import { COMMIT } from './redis-commit-script.ts'
import { commitArgs, parseCommit, type CommitReply, type PackedRequest, type RedisSettings } from './redis-commit.ts'
import { RedisConnection, unavailable } from './redis-connection.ts'
import { RedisHealer } from './redis-healer.ts'
import { RedisInterest } from './redis-interest.ts'
import { RedisNames } from './redis-layout.ts'
import { RedisLooks } from './redis-looks.ts'
import type { RedisMark } from './redis-mark.ts'
import { RedisOutage } from './redis-outage.ts'
import { EpochChanged } from './redis-pages.ts'
import { RedisReader } from './redis-reader.ts'
import { RedisTail } from './redis-tail.ts'
import { parseRedisUrl } from './redis-url.ts'
import { RedisWriter } from './redis-writer.ts'

/** What a log in Redis keeps, of all topics together. */
export interface RedisRetention {
  /** Bytes of all events, about what they take in Redis. Default 256 MiB. */
  readonly logBytesMax?: number
  /** The newest so many events. Default: no bound. */
  readonly logEventsMax?: number
  /** Milliseconds. Default: no bound. */
  readonly logAgeMs?: number
}

/** Options of {@link RedisEngine}. */
export interface RedisEngineOptions {
  /** Where Redis is: see redis-url.ts for the forms. */
  readonly url: string
  /** TLS beyond what the system trusts, for `rediss:`: `ca`, `cert`, `key`. */
  readonly tls?: SecureContextOptions
  /** `trimmedTopicsMax`, `idempotencyKeysMax`, `idempotencyMs`, `epochsMax` are used. All nodes must have the same. */
  readonly limits?: Partial<Limits>
  /** What is kept. All nodes must have the same. */
  readonly retention?: RedisRetention
  /** Milliseconds since 1970. Default: the clock of the Redis server, which is one for all nodes. */
  readonly nowMs?: () => number
  /** How long Redis may take to answer before it counts as gone. Default 5,000 ms. */
  readonly timeoutMs?: number
  /** Hears once that Redis cannot be reached, and once that it can again. Default: a process warning. */
  readonly onWarning?: (warning: Error) => void
}

const LOG_BYTES_MAX = 268_435_456
const TIMEOUT_MS = 5_000
const TICK_MS = 1_000
/** An event's size before any is known. */
const EVENT_BYTES = 512
/** How often a reading begins again that met a new epoch. */
const READINGS_MAX = 4

/** See the head of the file. */
export class RedisEngine implements Engine {
  readonly capabilities: EngineCapabilities
  readonly following: Following
  readonly #settings: RedisSettings
  readonly #names: RedisNames
  readonly #channel: string
  readonly #commands: RedisConnection
  readonly #messages: RedisConnection
  readonly #interest = new RedisInterest()
  readonly #looks: RedisLooks
  readonly #tail: RedisTail
  readonly #writer: RedisWriter
  readonly #reader: RedisReader
  readonly #outage: RedisOutage
  /** Slots whose messages come. */
  #subscribed = new Set<number>()
  readonly #ends = new Map<string, number>()
  /** What the next epoch is called if this node is the one to begin it. */
  #next = mintEpoch()
  #terms: readonly Epoch[] = []
  #epochs: Epochs
  #floor = 0
  #eventBytes = EVENT_BYTES
  #tell: Tail = () => {}
  #breaks: TailBreaks = { skip: () => {}, undo: () => {} }
  #opening: Promise<LogBounds> | undefined
  #closing: Promise<void> | undefined
  #isOpen = false
  #ticks: NodeJS.Timeout | undefined

  /** Throws a RangeError when the address, the retention or the limits make no sense; connects only on `open`. */
  constructor(options: RedisEngineOptions) {
    const { url, tls = {}, retention = {}, nowMs, timeoutMs = TIMEOUT_MS } = options
    const address = parseRedisUrl(url)
    const { logBytesMax = LOG_BYTES_MAX, logEventsMax = Infinity, logAgeMs = Infinity } = retention
    for (const [name, value] of Object.entries({ logBytesMax, logEventsMax, logAgeMs, timeoutMs }))
      if (!(value >= 1)) throw new RangeError(`${name} must be at least 1, not ${value}`)
    const { hasHistory, username, password, isSecure } = address
    const limits = resolveLimits(options.limits)
    const ageMs = logAgeMs === Infinity ? 0 : logAgeMs
    this.#settings = { limits, hasHistory, logBytesMax, logEventsMax, logAgeMs: ageMs, nowMs }
    this.capabilities = {
      durable: hasHistory,
      shared: true,
      exactGaps: hasHistory,
      topicRetention: false,
      atomicBatch: true,
    }
    this.#epochs = new Epochs([], limits.epochsMax)
    const names = (this.#names = new RedisNames(address.prefix))
    this.#channel = names.nodeChannel(randomBytes(9).toString('base64url'))
    this.#outage = new RedisOutage(address, options.onWarning ?? ((warning) => process.emitWarning(warning)))
    const login = { username, password, tls: isSecure ? tls : undefined }
    const shared = { address, login, key: names.log, timeoutMs }
    this.#commands = new RedisConnection({
      ...shared,
      onUp: async () => this.#looks.ask(),
      onDown: (reason) => this.#lost(reason),
    })
    this.#messages = new RedisConnection({
      ...shared,
      onUp: async () => this.#listen(),
      onDown: (reason) => this.#silent(reason),
      onMessage: (channel, message) => this.#take(channel, message),
    })
    this.#looks = this.following = new RedisLooks({
      interest: this.#interest,
      follows: (slot) => this.#tail.follows(slot),
      subscribe: async (slots) => this.#subscribe(slots),
      askMark: async (request) => void (await this.#commit([], { ...request, channel: this.#channel })),
      joined: (slots, mark) => this.#joined(slots, mark),
      ended: (topic, offset) => this.#end(topic, offset),
      silent: () => this.#messages.renew('no message came'),
      timeoutMs,
    })
    this.#reader = new RedisReader(this.#commands, names, () => this.#place())
    const healer = new RedisHealer({
      reader: this.#reader,
      hasHistory,
      tail: () => this.#tail,
      terms: () => this.#terms,
      wants: (topic) => this.#interest.wants(topic),
      undo: (to) => this.#undo(to),
      skip: (to) => this.#skip(to),
      begin: (terms) => this.#begin(terms),
      deliver: (events, to) => this.#deliver(events, to),
      eventBytes: () => this.#eventBytes,
    })
    this.#tail = new RedisTail({
      wants: (topic) => this.#interest.wants(topic),
      deliver: (events, to) => this.#deliver(events, to),
      askMark: () => this.#looks.ask(),
      heal: (mark) => void healer.heal(mark),
      reached: (mark) => this.#reached(mark),
    })
    this.#writer = new RedisWriter({
      commit: async (requests) => this.#append(requests),
      reach: (reply) => (reply.epoch === this.#tail.epoch ? this.#tail.reach(reply.head) : undefined),
      ended: (topic, offset) => this.#end(topic, offset),
    })
  }

  open(tail: Tail, breaks?: TailBreaks): Promise<LogBounds> {
    this.#tell = tail
    if (breaks !== undefined) this.#breaks = breaks
    this.#opening ??= this.#open()
    return this.#opening
  }

  bounds(): LogBounds {
    const { head } = this.#tail
    return { floor: this.#settings.hasHistory ? Math.min(this.#floor, head) : head, head, epochs: this.#epochs }
  }

  endOf(topic: string): number | undefined {
    return this.#ends.get(topic)
  }

  append(batch: readonly CheckedEvent[], idempotency?: Idempotency, ifLast?: IfLast): Promise<readonly string[]> {
    return this.#writer.append(batch, idempotency, ifLast)
  }

  async read(request: ReadRequest): Promise<History> {
    if (this.#settings.hasHistory) return this.#whenSettled(async () => this.#reader.read(request))
    // A relay keeps nothing: whoever is behind has missed what it has missed.
    const { head } = this.#tail
    const gap = request.after < head ? { to: head, certain: false, count: undefined } : undefined
    return { events: [], to: head, gap }
  }

  async state(request: StateRequest): Promise<LogRange> {
    if (!this.#settings.hasHistory) return { events: [], to: request.to }
    return this.#whenSettled(async () => this.#reader.state(request))
  }

  async seek(seek: Seek, selection: Selection): Promise<number> {
    if (!this.#settings.hasHistory) return this.#tail.head
    return this.#whenSettled(async () => this.#reader.seek(seek, selection))
  }

  synced(): Promise<void> {
    return this.#looks.look()
  }

  trouble(): Trouble | undefined {
    return this.#outage.trouble
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #open(): Promise<LogBounds> {
    try {
      await this.#commands.open()
      await this.#messages.open()
      await this.#looks.look()
    } catch (error) {
      if (error instanceof HydrantError) throw error
      throw unavailable(error instanceof Error ? error.message : String(error), error)
    }
    this.#isOpen = true
    this.#ticks = setInterval(() => this.#looks.ask(), TICK_MS).unref()
    return this.bounds()
  }

  async #close(): Promise<void> {
    // Also what is stored last is told of, if that does not take long.
    await this.#writer.close()
    const isWhole = this.#isOpen && this.#outage.trouble === undefined
    if (isWhole) await this.#looks.look().catch(() => {}) // then it is not told of
    this.#tell = () => {}
    clearInterval(this.#ticks)
    this.#outage.close()
    this.#tail.close()
    this.#looks.close()
    await Promise.all([this.#commands.close(), this.#messages.close()])
  }

  // ── appending ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Where the tail does not carry all that is stored, a mark tells it how far the log has come. */
  async #append(requests: readonly PackedRequest[]): Promise<CommitReply> {
    const isCarried = requests.every(({ slots }) => slots.every((slot) => this.#tail.follows(slot)))
    return this.#commit(requests, isCarried ? undefined : { channel: this.#channel, number: 0, slots: [], topics: [] })
  }

  async #commit(requests: readonly PackedRequest[], mark: Parameters<typeof commitArgs>[3]): Promise<CommitReply> {
    const { epoch, head } = this.#tail
    const args = commitArgs(this.#settings, { epoch, head, next: this.#next }, requests, mark)
    const reply = parseCommit(await this.#commands.run(COMMIT, this.#names.log, args))
    if (reply.epoch === this.#next) this.#next = mintEpoch()
    this.#note(reply)
    return reply
  }

  // ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Reads, and again when a new epoch has begun, once the tail is in it. */
  async #whenSettled<Answer>(read: () => Promise<Answer>): Promise<Answer> {
    for (let reading = 1; ; reading += 1) {
      try {
        return await read()
      } catch (error) {
        if (!(error instanceof EpochChanged)) throw error
        if (reading === READINGS_MAX) throw unavailable(error.message, error)
        await this.#looks.look()
      }
    }
  }

  #place(): ReturnType<ConstructorParameters<typeof RedisReader>[2]> {
    const { floor, head } = this.bounds()
    return { epoch: this.#tail.epoch, head, floor, terms: this.#terms, eventBytes: this.#eventBytes }
  }

  // ── the tail ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #take(channel: string, message: Buffer): void {
    if (channel === this.#channel) return this.#tail.mark(this.#looks.parse(message.toString()))
    const slot = this.#names.slotOfChannel(channel)
    if (slot !== undefined) this.#tail.message(slot, message)
  }

  #deliver(events: readonly LogEvent[], to: number): void {
    for (const event of events) if (event.type === CONTROL_TYPES.end) this.#end(event.topic, event.offset)
    if (this.#isOpen) this.#tell({ events, to })
  }

  #reached(mark: RedisMark): void {
    this.#note(mark)
    this.#looks.reached(mark)
    if (this.#commands.isUp && this.#messages.isUp && !this.#tail.isHeld) this.#outage.end()
  }

  #skip(to: number): void {
    this.#interest.raise(to)
    this.#breaks.skip(to)
  }

  #undo(to: number): void {
    this.#interest.lower(to)
    for (const [topic, offset] of this.#ends) if (offset > to) this.#ends.delete(topic)
    this.#floor = 0
    this.#breaks.undo(to)
  }

  /** The table only grows, but for a log that was put in the place of another. */
  #begin(terms: readonly Epoch[]): void {
    const isLonger = this.#terms.every((term, at) => term.name === terms[at]?.name && term.first === terms[at].first)
    if (isLonger && this.#terms.length > 0) for (const term of terms.slice(this.#terms.length)) this.#epochs.begin(term)
    else this.#epochs = new Epochs(terms, this.#settings.limits.epochsMax)
    this.#terms = terms
  }

  /** What a call or a mark says of the log, unless it is of an epoch that the tail is not in. */
  #note({ epoch, head, floor, bytes }: Pick<RedisMark, 'epoch' | 'head' | 'floor' | 'bytes'>): void {
    if (epoch !== this.#tail.epoch) return
    this.#floor = Math.max(this.#floor, floor)
    if (head > floor && bytes > 0) this.#eventBytes = bytes / (head - floor)
  }

  #end(topic: string, offset: number): void {
    if (offset === 0) return
    this.#ends.delete(topic)
    this.#ends.set(topic, offset)
    if (this.#ends.size <= this.#settings.limits.trimmedTopicsMax) return
    for (const oldest of this.#ends.keys()) {
      this.#ends.delete(oldest)
      return
    }
  }

  // ── connections ────────────────────────────────────────────────────────────────────────────────────────────────────

  async #listen(): Promise<void> {
    const slots = this.#interest.slots()
    await this.#messages.subscribe([this.#channel, ...slots.map((slot) => this.#names.channel(slot))])
    this.#subscribed = new Set(slots)
    this.#looks.ask()
  }

  async #subscribe(slots: readonly number[]): Promise<void> {
    const wanted = new Set(slots)
    const [less, more] = [
      [...this.#subscribed].filter((slot) => !wanted.has(slot)),
      slots.filter((slot) => !this.#subscribed.has(slot)),
    ]
    for (const slot of less) {
      this.#subscribed.delete(slot)
      this.#tail.leave(slot)
    }
    await this.#messages.unsubscribe(less.map((slot) => this.#names.channel(slot)))
    await this.#messages.subscribe(more.map((slot) => this.#names.channel(slot)))
    for (const slot of more) this.#subscribed.add(slot)
  }

  #joined(slots: readonly number[], mark: RedisMark): void {
    for (const slot of slots) if (!this.#tail.follows(slot)) this.#tail.follow(slot, mark.heads.get(slot) ?? 0)
  }

  #lost(reason: string): void {
    if (this.#isOpen) this.#outage.begin(reason)
    this.#looks.fail(unavailable(reason))
    this.#messages.doubt()
  }

  #silent(reason: string): void {
    this.#subscribed.clear()
    this.#tail.suspend()
    this.#lost(reason)
  }
}
