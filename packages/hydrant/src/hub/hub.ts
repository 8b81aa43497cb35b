// The hub: what a program holds. It publishes into the engine, and offers what the engine's tail brings to its feeds.
//
//   publish ─► checkEvent ─► engine.append ─► (tail) ─► window ─► router ─► feeds
//
// One way: nothing below calls back up but the tail, with a range of events.

import type { Gap, LagPolicy } from 'hydrant-client/wire'
import type { Engine } from '../engine/engine.ts'
import { Appender, endOf, type AppendOptions, type Stored } from './appender.ts'
import type { Clock } from './clock.ts'
import { Counters } from './counters.ts'
import type { LiveNotice, LoadSnapshot, SnapshotNotice } from './delivery.ts'
import { HydrantError } from './errors.ts'
import { checkEvent, type CheckedEvent, type EventInput } from './event.ts'
import type { Feed } from './feed.ts'
import { Intake } from './intake.ts'
import { judgeLagBy, type LagPolicies } from './lag.ts'
import { resolveLimits, type Limits } from './limits.ts'
import { SchemaCheck, type InputOf, type OutputOf, type Schemas } from './schema.ts'
import { Selection } from './selection.ts'
import { publishFrom, type PublishFromOptions } from './source.ts'
import { findStart, isStartNamed, type Start, type StartRequest } from './start.ts'
import { Subscription, type Beginning, type SubscriptionSource } from './subscription.ts'
import { parseTopic } from './topic.ts'
import type { Window } from './window.ts'

type AnySubscription = Subscription<unknown, LiveNotice | SnapshotNotice<object>>

/** What a hub is made of. */
export interface HubParts<Of extends Schemas = Schemas> {
  readonly engine: Engine
  readonly clock: Clock
  readonly limits?: Partial<Limits>
  /** What happens to subscribers that cannot keep up and do not say themselves, by topic. Default `disconnect`. */
  readonly lag?: LagPolicies
  /** What the data of topics must be, by topic or pattern. Default: anything. */
  readonly schemas?: Of
  /**
   * Hears of errors that have no caller to be told. Default: they are thrown outside of everything, which ends
   * the process.
   */
  readonly onError?: (error: unknown) => void
}

/** An event of a topic, with the data that its schema takes. */
export type TypedInput<Of extends Schemas, Topic extends string> = EventInput<InputOf<Of, Topic>> & {
  readonly topic: Topic
}

/** Options of a publish. */
export type PublishOptions = AppendOptions

/** Options of an in-process subscription. */
export interface SubscribeOptions extends Omit<StartRequest, 'state'> {
  /** Only events of these types. */
  readonly types?: readonly string[]
  /** How many events it may fall behind before it skips. Default: the limit `capacityEvents`. */
  readonly capacityEvents?: number
  /** Ends it. */
  readonly signal?: AbortSignal
  readonly state?: undefined
  readonly snapshot?: undefined
}

/** Options of a subscription that begins with the newest event of each topic and key, and again after each gap. */
export interface SubscribeStateOptions extends Omit<SubscribeOptions, 'state'> {
  readonly state: 'latest'
}

/** Options of a subscription that begins with what the program itself loads, and again after each gap. */
export interface SubscribeSnapshotOptions<Loaded extends object> extends Omit<SubscribeOptions, 'snapshot'> {
  readonly snapshot: LoadSnapshot<Loaded>
}

/** One log and everybody who follows it. Usable at once: what needs the engine waits until it is open. */
export class Hub<Of extends Schemas = Schemas> {
  readonly limits: Limits
  /** What happens to a subscriber of a selection that cannot keep up, when it does not say itself. */
  readonly lagOf: (selection: Selection) => LagPolicy
  readonly counters: Counters = new Counters()
  readonly engine: Engine
  readonly clock: Clock
  /** Resolves when the engine is open; rejects with its error when it cannot be. */
  readonly ready: Promise<void>
  readonly #appender: Appender
  readonly #intake: Intake
  readonly #subscriptions = new Set<AnySubscription>()
  readonly #closers: (() => Promise<void>)[] = []
  readonly #onError: (error: unknown) => void
  readonly #schemas: SchemaCheck
  #closing: Promise<void> | undefined

  constructor(parts: HubParts<Of>) {
    this.limits = resolveLimits(parts.limits)
    this.lagOf = judgeLagBy(parts.lag ?? 'disconnect')
    this.engine = parts.engine
    this.clock = parts.clock
    this.#onError = parts.onError ?? throwOutside
    this.#schemas = new SchemaCheck(parts.schemas ?? {})
    this.#appender = new Appender(this)
    this.#intake = new Intake(this)
    this.ready = this.#intake.open()
    this.ready.catch(() => {}) // told to everyone who awaits it
  }

  /** Publishes one event; answers its id once the engine has stored it. Rejects with a HydrantError. */
  async publish<Topic extends string>(event: TypedInput<Of, Topic>, options: PublishOptions = {}): Promise<string> {
    return this.#publish(event, options)
  }

  /**
   * Publishes all or none, in this order; answers the ids. Rejects with a HydrantError that says which event is
   * wrong.
   */
  async publishBatch<Topic extends string>(
    events: readonly TypedInput<Of, Topic>[],
    options: PublishOptions = {},
  ): Promise<readonly string[]> {
    const batch = await this.#checkBatch(events)
    return batch.length === 0 ? [] : this.#append(batch, options)
  }

  /**
   * Publishes each event for itself, in this order, and answers for each: an id, or the error that kept it out. For
   * engines that cannot store several as one, and for publishers to whom that does not matter. Rejects when an event is
   * malformed, before any is stored.
   */
  async publishEach<Topic extends string>(
    events: readonly TypedInput<Of, Topic>[],
    options: Pick<PublishOptions, 'waitMs'> = {},
  ): Promise<readonly Stored[]> {
    const batch = await this.#checkBatch(events)
    await this.#isOpenForPublishing()
    return this.#appender.each(batch, options)
  }

  /**
   * @internal Publishes events that `check` has passed, without checking them again: as one where the engine can do
   * that, else each for itself.
   */
  async publishChecked(batch: readonly CheckedEvent[], options: PublishOptions): Promise<readonly Stored[]> {
    if (batch.length === 0) return []
    if (this.engine.capabilities.atomicBatch) return (await this.#append(batch, options)).map((id) => ({ id }))
    await this.#isOpenForPublishing()
    return this.#appender.each(batch, options)
  }

  /**
   * Ends a topic: appends `hydrant:end`, the last event it will ever have, and answers its id. Who follows only topics
   * that have ended is disconnected after their ends; who comes later gets what is retained, and the end.
   */
  async end(topic: string, options: Omit<PublishOptions, 'ends'> = {}): Promise<string> {
    const [id] = await this.#append([endOf(parseTopic(topic))], options)
    if (id === undefined) throw new HydrantError('unavailable', 'The engine gave no id for the end.')
    return id
  }

  /** The offset at which everything selected has ended; undefined while something may come. */
  endOf(selection: Selection): number | undefined {
    let last = 0
    for (const topic of selection.exactTopics ?? []) last = Math.max(last, this.engine.endOf(topic) ?? Infinity)
    return last > 0 && last < Infinity ? last : undefined
  }

  /** Checks an event without publishing it, against the limits and its schema. Rejects with a HydrantError. */
  async check(event: EventInput): Promise<CheckedEvent> {
    const checked = checkEvent(event, this.limits)
    if (!this.#schemas.isEmpty) await this.#schemas.check(checked)
    return checked
  }

  /** Publishes every item of a source, with backpressure into it; answers how many. See {@link publishFrom}. */
  publishFrom(source: AsyncIterable<unknown> | Iterable<unknown>, options: PublishFromOptions): Promise<number> {
    return publishFrom(source, options, (event) => this.#publish(event, {}), this.clock)
  }

  /** Follows topics and patterns in this process. Throws a HydrantError when a name is malformed. */
  subscribe<Topic extends string>(
    topics: Topic | readonly Topic[],
    options?: SubscribeOptions,
  ): Subscription<OutputOf<Of, Topic>>
  /** The same, beginning with the state: its events, then a {@link LiveNotice}, then everything after. */
  subscribe<Topic extends string>(
    topics: Topic | readonly Topic[],
    options: SubscribeStateOptions,
  ): Subscription<OutputOf<Of, Topic>, LiveNotice>
  /** The same, beginning with a {@link SnapshotNotice} of what the loader loads, then everything after its position. */
  subscribe<Topic extends string, Loaded extends object>(
    topics: Topic | readonly Topic[],
    options: SubscribeSnapshotOptions<Loaded>,
  ): Subscription<OutputOf<Of, Topic>, SnapshotNotice<Loaded>>
  subscribe<Topic extends string>(
    topics: Topic | readonly Topic[],
    options: SubscribeOptions | SubscribeStateOptions | SubscribeSnapshotOptions<object> = {},
  ): Subscription<OutputOf<Of, Topic>, LiveNotice | SnapshotNotice<object>> {
    const selection = this.select(typeof topics === 'string' ? [topics] : topics, options.types)
    const { signal, capacityEvents: capacity = this.limits.capacityEvents } = options
    const onAbort = (): void => subscription.end()
    const source: SubscriptionSource = {
      engine: this.engine,
      window: () => this.window,
      floorOf: (of) => this.floorOf(of),
      undone: () => this.undone,
      undoneGap: (of, cursor, to) => this.undoneGap(of, cursor, to),
      idAt: (offset) => this.idAt(offset),
      endOf: (of) => this.endOf(of),
      ended: () => {
        signal?.removeEventListener('abort', onAbort)
        this.#forget(subscription)
      },
    }
    const beginning = this.#beginningOf(options, selection)
    const request: StartRequest =
      beginning === undefined ? { ...options, state: undefined } : { ...options, state: 'latest' }
    const start = this.start(request, selection)
    const subscription = new Subscription<OutputOf<Of, Topic>, LiveNotice | SnapshotNotice<object>>({
      source,
      selection,
      start,
      capacity,
      beginning,
    })
    this.#subscriptions.add(subscription)
    this.#intake.addFeed(subscription)
    signal?.addEventListener('abort', onAbort)
    if (this.#closing !== undefined || signal?.aborted === true) subscription.end()
    return subscription
  }

  /**
   * Ends every subscription and connection, then the engine. Resolves when all is closed, at the latest after
   * `closeMs`.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Whether `close` was called. */
  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  /** Whether the engine is open. */
  get isOpen(): boolean {
    return this.#intake.window !== undefined
  }

  /** The newest part of the log. Only valid once `ready` has resolved. */
  get window(): Window {
    const { window } = this.#intake
    if (window === undefined) throw new HydrantError('unavailable', 'The log is not open yet.')
    return window
  }

  /** The id of a position in the log, also of one that no event has. */
  idAt(offset: number): string {
    return this.engine.bounds().epochs.idAt(offset)
  }

  /** Checks and normalizes what a subscriber asks for. */
  select(topics: Iterable<string>, types?: Iterable<string>): Selection {
    return Selection.of(topics, types, this.limits.topicsMax)
  }

  /** Finds where a stream starts. */
  async start(request: StartRequest, selection: Selection): Promise<Start> {
    await this.ready
    await this.#intake.follow(selection)
    for (;;) {
      const { undone } = this
      const isOver = !isStartNamed(request) && this.endOf(selection) !== undefined
      const start = await findStart(this.engine, isOver ? { earliest: true } : request, selection)
      if (undone === this.undone) return start
    }
  }

  /** @internal Tells of an error that nobody awaits. */
  report(error: unknown): void {
    this.#onError(error)
  }

  /** @internal Offers new events to a feed, from now on. */
  addFeed(feed: Feed): void {
    this.#intake.addFeed(feed)
  }

  /** @internal Stops. */
  removeFeed(feed: Feed): void {
    this.#intake.removeFeed(feed)
  }

  /** @internal Every selected event after this offset is in the window. */
  floorOf(selection: Selection): number {
    return this.#intake.floorOf(selection)
  }

  /** @internal See {@link Intake.undone}. */
  get undone(): number {
    return this.#intake.undone
  }

  /** @internal See {@link Intake.undoneGap}. */
  undoneGap(selection: Selection, cursor: number, to: number): Gap | undefined {
    return this.#intake.undoneGap(selection, cursor, to)
  }

  /** @internal See {@link Intake.onUndo}. */
  onUndo(listener: (to: number) => void): void {
    this.#intake.onUndo(listener)
  }

  /** @internal Something that must end before the engine does. */
  onClose(closer: () => Promise<void>): void {
    this.#closers.push(closer)
  }

  async #append(batch: readonly CheckedEvent[], options: PublishOptions): Promise<readonly string[]> {
    await this.#isOpenForPublishing()
    return this.#appender.append(batch, options)
  }

  async #isOpenForPublishing(): Promise<void> {
    if (this.#closing !== undefined)
      throw new HydrantError('shutting-down', 'The hub is closing; publish again to the next one.')
    await this.ready
  }

  async #publish(event: EventInput, options: PublishOptions): Promise<string> {
    const [id] = await this.#append([await this.check(event)], options)
    if (id === undefined) throw new HydrantError('unavailable', 'The engine gave no id for the event.')
    return id
  }

  async #checkBatch(events: readonly EventInput[]): Promise<readonly CheckedEvent[]> {
    if (events.length > this.limits.batchEventsMax) {
      throw new HydrantError(
        'batch-too-large',
        `The batch has ${events.length} events; at most ${this.limits.batchEventsMax} may be.`,
      )
    }
    const batch: CheckedEvent[] = []
    for (const [at, event] of events.entries()) batch.push(await this.#checkInBatch(event, at, events.length))
    return batch
  }

  async #checkInBatch(event: EventInput, at: number, of: number): Promise<CheckedEvent> {
    try {
      return await this.check(event)
    } catch (error) {
      throw error instanceof HydrantError && of > 1
        ? new HydrantError(error.code, `Event ${at}: ${error.message}`)
        : error
    }
  }

  #beginningOf(
    { state, snapshot: load }: SubscribeOptions | SubscribeStateOptions | SubscribeSnapshotOptions<object>,
    selection: Selection,
  ): Beginning<LiveNotice | SnapshotNotice<object>> | undefined {
    if (load !== undefined) {
      const { topics } = selection
      const types = selection.types === undefined ? undefined : [...selection.types]
      return {
        hasState: false,
        notice: async (position, signal) => {
          const id = this.idAt(position)
          return { id, snapshot: await load({ topics, types, id, signal }) }
        },
      }
    }
    if (state === undefined) return undefined
    return { hasState: true, notice: (position) => ({ id: this.idAt(position), live: true }) }
  }

  #forget(subscription: AnySubscription): void {
    this.#subscriptions.delete(subscription)
    this.#intake.removeFeed(subscription)
  }

  async #close(): Promise<void> {
    for (const subscription of this.#subscriptions) subscription.end()
    const closers = Promise.allSettled(this.#closers.map((closer) => closer()))
    const deadline = Promise.withResolvers<void>()
    const cancel = this.clock.after(this.limits.closeMs, deadline.resolve)
    await Promise.race([closers, deadline.promise])
    cancel()
    this.#intake.close()
    await this.engine.close()
  }
}

function throwOutside(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
