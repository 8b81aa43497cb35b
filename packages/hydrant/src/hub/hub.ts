// The hub: what a program holds. It publishes into the engine, and offers what the engine's tail brings to its feeds.
//
//   publish ─► checkEvent ─► engine.append ─► (tail) ─► window ─► router ─► feeds
//
// One way: nothing below calls back up but the tail, with a range of events.

import { CONTROL_TYPES, type LagPolicy } from 'hydrant-client/wire'
import type { Engine, LogRange } from '../engine/engine.ts'
import type { Clock } from './clock.ts'
import { Counters } from './counters.ts'
import { HydrantError } from './errors.ts'
import { checkEvent, type CheckedEvent, type EventInput } from './event.ts'
import type { Feed } from './feed.ts'
import { fingerprintOf } from './fingerprint.ts'
import { resolveLimits, type Limits } from './limits.ts'
import { Router } from './router.ts'
import { SchemaCheck, type InputOf, type OutputOf, type Schemas } from './schema.ts'
import { Selection } from './selection.ts'
import { publishFrom, type PublishFromOptions } from './source.ts'
import { findStart, isStartNamed, type Start, type StartRequest } from './start.ts'
import { Subscription } from './subscription.ts'
import { parseTopic, quote } from './topic.ts'
import { Window } from './window.ts'

/** Appends in one turn of the event loop, each of a batch of any size. */
const APPENDS_PER_TURN = 256

/** What a hub is made of. */
export interface HubParts<Of extends Schemas = Schemas> {
  readonly engine: Engine
  readonly clock: Clock
  readonly limits?: Partial<Limits>
  /** What happens to subscribers that cannot keep up and do not say themselves. Default `disconnect`. */
  readonly lag?: LagPolicy
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
export interface PublishOptions {
  /** A retry with the same key stores nothing and answers the first ids; with another body it is an error. */
  readonly idempotencyKey?: string | undefined
  /** Only if the topic's newest event has this id; `none`: only if it has none. Else it is refused, `last-conflict`. */
  readonly ifLast?: string | undefined
  /** The topics of these events end with them: subscribers are told, and nothing can be published after. */
  readonly ends?: boolean | undefined
}

/** Options of an in-process subscription. */
export interface SubscribeOptions extends Omit<StartRequest, 'state'> {
  /** Only events of these types. */
  readonly types?: readonly string[]
  /** How many events it may fall behind before it skips. Default: the limit `capacityEvents`. */
  readonly capacityEvents?: number
  /** Ends it. */
  readonly signal?: AbortSignal
}

/** One log and everybody who follows it. Usable at once: what needs the engine waits until it is open. */
export class Hub<Of extends Schemas = Schemas> {
  readonly limits: Limits
  readonly lag: LagPolicy
  readonly counters: Counters = new Counters()
  readonly engine: Engine
  readonly clock: Clock
  /** Resolves when the engine is open; rejects with its error when it cannot be. */
  readonly ready: Promise<void>
  #window: Window | undefined
  readonly #router = new Router()
  readonly #subscriptions = new Set<Subscription>()
  readonly #closers: (() => Promise<void>)[] = []
  readonly #onError: (error: unknown) => void
  readonly #schemas: SchemaCheck
  #closing: Promise<void> | undefined
  #turn: { appends: number; readonly ended: Promise<void> } | undefined

  constructor(parts: HubParts<Of>) {
    this.limits = resolveLimits(parts.limits)
    this.lag = parts.lag ?? 'disconnect'
    this.engine = parts.engine
    this.clock = parts.clock
    this.#onError = parts.onError ?? throwOutside
    this.#schemas = new SchemaCheck(parts.schemas ?? {})
    this.ready = this.#open()
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
    if (events.length > this.limits.batchEventsMax) {
      throw new HydrantError(
        'batch-too-large',
        `The batch has ${events.length} events; at most ${this.limits.batchEventsMax} may be.`,
      )
    }
    const batch: CheckedEvent[] = []
    for (const [at, event] of events.entries()) batch.push(await this.#checkInBatch(event, at, events.length))
    return batch.length === 0 ? [] : this.#append(batch, options)
  }

  /** @internal Publishes events that `check` has passed, all or none, without checking them again. */
  async publishChecked(batch: readonly CheckedEvent[]): Promise<readonly string[]> {
    return batch.length === 0 ? [] : this.#append(batch, {})
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
    options: SubscribeOptions = {},
  ): Subscription<OutputOf<Of, Topic>> {
    const selection = this.select(typeof topics === 'string' ? [topics] : topics, options.types)
    const source = {
      engine: this.engine,
      window: () => this.window,
      idAt: (offset: number) => this.idAt(offset),
      endOf: (of: Selection) => this.endOf(of),
      ended: () => {
        signal?.removeEventListener('abort', onAbort)
        this.#forget(subscription)
      },
    }
    const subscription = new Subscription<OutputOf<Of, Topic>>(
      source,
      selection,
      this.start(options, selection),
      options.capacityEvents ?? this.limits.capacityEvents,
    )
    this.#subscriptions.add(subscription)
    this.#router.add(subscription)
    const { signal } = options
    const onAbort = (): void => subscription.end()
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
    return this.#window !== undefined
  }

  /** The newest part of the log. Only valid once `ready` has resolved. */
  get window(): Window {
    if (this.#window === undefined) throw new HydrantError('unavailable', 'The log is not open yet.')
    return this.#window
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
    const isOver = !isStartNamed(request) && this.endOf(selection) !== undefined
    return findStart(this.engine, isOver ? { earliest: true } : request, selection)
  }

  /** @internal Tells of an error that nobody awaits. */
  report(error: unknown): void {
    this.#onError(error)
  }

  /** @internal Offers new events to a feed, from now on. */
  addFeed(feed: Feed): void {
    this.#router.add(feed)
  }

  /** @internal Stops. */
  removeFeed(feed: Feed): void {
    this.#router.remove(feed)
  }

  /** @internal Something that must end before the engine does. */
  onClose(closer: () => Promise<void>): void {
    this.#closers.push(closer)
  }

  async #open(): Promise<void> {
    const { head } = await this.engine.open((range) => this.#receive(range))
    this.#window = this.engine.window ?? new Window({ bytesMax: this.limits.windowBytes, after: head })
  }

  #receive(range: LogRange): void {
    if (this.engine.window === undefined) for (const event of range.events) this.window.append(event)
    for (const event of range.events) {
      this.counters.published += 1
      this.counters.publishedBytes += event.data.length
      this.#router.offer(event)
    }
  }

  async #append(batch: readonly CheckedEvent[], options: PublishOptions): Promise<readonly string[]> {
    const { idempotencyKey: key, ifLast, ends = false } = options
    if (key !== undefined && (key === '' || key.length > this.limits.nameBytesMax)) {
      throw new HydrantError(
        'malformed-idempotency-key',
        `The idempotency key ${quote(key)} must be 1 to ${this.limits.nameBytesMax} characters.`,
      )
    }
    if (this.#closing !== undefined)
      throw new HydrantError('shutting-down', 'The hub is closing; publish again to the next one.')
    await this.ready
    await this.#breathe()
    const all = ends ? [...batch, ...endsOf(batch)] : batch
    const idempotency = key === undefined ? undefined : { key, fingerprint: fingerprintOf(all) }
    const ids = await this.engine.append(all, idempotency, ifLast)
    return ids.slice(0, batch.length)
  }

  /**
   * Lets the event loop turn after every few appends. An engine that answers at once would otherwise let a loop of
   * `await hub.publish(…)` run for ever, while no socket is read or written.
   */
  #breathe(): Promise<void> | undefined {
    this.#turn ??= this.#newTurn()
    this.#turn.appends += 1
    return this.#turn.appends > APPENDS_PER_TURN ? this.#turn.ended : undefined
  }

  /** All who wait for a turn to end wait for the same promise, and so go on in their order. */
  #newTurn(): { appends: number; readonly ended: Promise<void> } {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.clock.defer(() => {
      this.#turn = undefined
      resolve()
    })
    return { appends: 0, ended: promise }
  }

  async #publish(event: EventInput, options: PublishOptions): Promise<string> {
    const [id] = await this.#append([await this.check(event)], options)
    if (id === undefined) throw new HydrantError('unavailable', 'The engine gave no id for the event.')
    return id
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

  #forget(subscription: Subscription): void {
    this.#subscriptions.delete(subscription)
    this.#router.remove(subscription)
  }

  async #close(): Promise<void> {
    for (const subscription of this.#subscriptions) subscription.end()
    const closers = Promise.allSettled(this.#closers.map((closer) => closer()))
    const deadline = Promise.withResolvers<void>()
    const cancel = this.clock.after(this.limits.closeMs, deadline.resolve)
    await Promise.race([closers, deadline.promise])
    cancel()
    await this.engine.close()
  }
}

function endOf(topic: string): CheckedEvent {
  return { topic, type: CONTROL_TYPES.end, key: undefined, data: '{}' }
}

function endsOf(batch: readonly CheckedEvent[]): CheckedEvent[] {
  return Array.from(new Set(batch.map((event) => event.topic)), endOf)
}

function throwOutside(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
