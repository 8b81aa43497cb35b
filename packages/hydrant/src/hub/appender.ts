// Appending: the last step of every publish, from checked events to the ids that the engine gave them.
//
// Where the log cannot be reached, a publish fails at once, or waits for it as long as its publisher asked. What waits
// is bounded in time and in bytes. Locked by test/hub/appender.test.ts.

import { CONTROL_TYPES } from 'hydrant-client/wire'
import type { Engine, Idempotency } from '../engine/engine.ts'
import type { Clock } from './clock.ts'
import { HydrantError } from './errors.ts'
import type { CheckedEvent } from './event.ts'
import { fingerprintOf } from './fingerprint.ts'
import type { Limits } from './limits.ts'
import { quote } from './topic.ts'

/** Appends in one turn of the event loop, each of a batch of any size. */
const APPENDS_PER_TURN = 256

/** Between two looks at a log that could not be reached; up to twice as long, at random. */
const RETRY_MS = 100

/** How events are to be stored. */
export interface AppendOptions {
  /** A retry with the same key stores nothing and answers the first ids; with another body it is an error. */
  readonly idempotencyKey?: string | undefined
  /** Only if the topic's newest event has this id; `none`: only if it has none. Else it is refused, `last-conflict`. */
  readonly ifLast?: string | undefined
  /** The topics of these events end with them: subscribers are told, and nothing can be published after. */
  readonly ends?: boolean | undefined
  /**
   * How long to wait for a log that cannot be reached at the moment, in milliseconds; at most `publishWaitMs`.
   * Default 0: it is refused at once, `unavailable`.
   */
  readonly waitMs?: number | undefined
}

/** What became of one event of several that are stored each for itself. */
export type Stored = { readonly id: string } | { readonly error: HydrantError }

/** What appending needs. */
export interface AppenderParts {
  readonly engine: Engine
  readonly clock: Clock
  readonly limits: Limits
}

/** See the head of the file. */
export class Appender {
  readonly #engine: Engine
  readonly #clock: Clock
  readonly #limits: Limits
  #turn: { appends: number; readonly ended: Promise<void> } | undefined
  #waitingBytes = 0

  constructor({ engine, clock, limits }: AppenderParts) {
    this.#engine = engine
    this.#clock = clock
    this.#limits = limits
  }

  /** Stores all or none, in this order. Rejects with a HydrantError. */
  async append(batch: readonly CheckedEvent[], options: AppendOptions): Promise<readonly string[]> {
    checkKey(options, this.#limits)
    const { ends = false } = options
    const all = ends ? [...batch, ...endsOf(batch)] : batch
    const { capabilities } = this.#engine
    if (all.length > 1 && !capabilities.atomicBatch) {
      throw new HydrantError(
        'not-atomic',
        'This engine cannot store several events as one. Publish them one by one, or with atomic=false.',
      )
    }
    const ids = await this.#appendOne(all, options)
    return ids.slice(0, batch.length)
  }

  /** Stores each for itself, in this order, and answers for each. Idempotency keys and `ifLast` are for all or none. */
  async each(batch: readonly CheckedEvent[], options: Pick<AppendOptions, 'waitMs'>): Promise<readonly Stored[]> {
    return Promise.all(batch.map((event) => this.#appendOne([event], options).then(storedOf, failedOf)))
  }

  async #appendOne(batch: readonly CheckedEvent[], options: AppendOptions): Promise<readonly string[]> {
    const { idempotencyKey: key, ifLast, waitMs = 0 } = options
    await this.#breathe()
    if (key === undefined && waitMs <= 0) return this.#engine.append(batch, undefined, ifLast)
    // One that waits is tried again under a key: a try whose answer was lost may have stored it.
    const idempotency = { key: key ?? crypto.randomUUID(), fingerprint: fingerprintOf(batch) }
    if (waitMs <= 0) return this.#engine.append(batch, idempotency, ifLast)
    return this.#appendWaiting(batch, idempotency, options)
  }

  /** Tries until the log can be reached, or the time is over. */
  async #appendWaiting(
    batch: readonly CheckedEvent[],
    idempotency: Idempotency,
    { ifLast, waitMs = 0 }: AppendOptions,
  ): Promise<readonly string[]> {
    const untilMs = this.#clock.monotonicMs() + Math.min(waitMs, this.#limits.publishWaitMs)
    const bytes = batch.reduce((sum, event) => sum + event.data.length, 0)
    for (;;) {
      try {
        return await this.#engine.append(batch, idempotency, ifLast)
      } catch (error) {
        const isOver = this.#clock.monotonicMs() >= untilMs
        if (!(error instanceof HydrantError) || error.code !== 'unavailable' || isOver) throw error
        if (this.#waitingBytes + bytes > this.#limits.publishWaitBytesMax) throw error
      }
      this.#waitingBytes += bytes
      await this.#recovery(untilMs)
      this.#waitingBytes -= bytes
    }
  }

  /** Resolves when there is hope, or no time left. */
  async #recovery(untilMs: number): Promise<void> {
    do {
      const delayMs = RETRY_MS * (1 + Math.random())
      await new Promise<void>((resolve) => this.#clock.after(delayMs, resolve))
    } while (this.#engine.trouble?.() !== undefined && this.#clock.monotonicMs() < untilMs)
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
    this.#clock.defer(() => {
      this.#turn = undefined
      resolve()
    })
    return { appends: 0, ended: promise }
  }
}

/** The last event of a topic. */
export function endOf(topic: string): CheckedEvent {
  return { topic, type: CONTROL_TYPES.end, key: undefined, data: '{}' }
}

function endsOf(batch: readonly CheckedEvent[]): CheckedEvent[] {
  return Array.from(new Set(batch.map((event) => event.topic)), endOf)
}

function checkKey({ idempotencyKey: key }: AppendOptions, limits: Limits): void {
  if (key === undefined || (key !== '' && key.length <= limits.nameBytesMax)) return
  throw new HydrantError(
    'malformed-idempotency-key',
    `The idempotency key ${quote(key)} must be 1 to ${limits.nameBytesMax} characters.`,
  )
}

function storedOf([id]: readonly string[]): Stored {
  if (id === undefined) return failedOf(undefined)
  return { id }
}

function failedOf(error: unknown): Stored {
  if (error instanceof HydrantError) return { error }
  return { error: new HydrantError('internal-error', 'The engine failed.', { cause: error }) }
}
