// The stream: what a program holds. Over any number of connections it delivers each event once and in order, or says
// that events are missing.
//
//   connecting ─► open ─► waiting ─► connecting …        (any of them) ─► closed
//
// Two cursors: up to where events have come, from which connections resume; and up to where they were handed over,
// which programs see. They differ by what the queue of an iterated stream holds.

import type { Backoff } from './backoff.ts'
import type { Clock } from './clock.ts'
import { Cursor } from './cursor.ts'
import type { Delivery, StreamEvent } from './delivery.ts'
import { StreamError } from './error.ts'
import { Link, type LinkOwner } from './link.ts'
import type { Publisher, PublishEvent } from './publisher.ts'
import { Queue } from './queue.ts'
import type { Source, Wanted } from './source.ts'
import { stateAfter, type End, type StreamState, type Why } from './state.ts'
import { onWake } from './wake.ts'
import type { Gap } from './wire/index.ts'

/** Hears of what a stream brings. What a handler throws is reported as uncaught, and does not disturb the stream. */
export interface Handlers {
  /** Without it the stream is to be iterated. */
  readonly onEvent?: ((event: StreamEvent) => void) | undefined
  /** Events are missing. An iterated stream has it in its place, too. */
  readonly onGap?: ((gap: Gap) => void) | undefined
  /** Called at each change, not for the first state. */
  readonly onState?: ((state: StreamState) => void) | undefined
}

/** What a stream is made of. */
export interface StreamParts {
  readonly source: Source
  /** With where to start, for as long as there is no id to resume from. */
  readonly wanted: Wanted
  readonly publisher: Publisher
  readonly clock: Clock
  readonly random: () => number
  readonly backoff: Backoff
  readonly silenceMs: number
  readonly queueBytesMax: number
  readonly signal: AbortSignal | undefined
  readonly handlers: Handlers
}

/** A followed stream. Made by `connect`; it connects by itself, for as long as it is not closed. */
export class Stream implements AsyncIterable<Delivery> {
  readonly #parts: StreamParts
  readonly #received: Cursor
  readonly #queue: Queue | undefined
  readonly #owner: LinkOwner
  readonly #stopWake: () => void
  #handed: string | undefined
  #state: StreamState = { status: 'connecting' }
  #link: Link | undefined
  #failures = 0
  #baseMs: number
  #duplicates = 0
  #cancelWait = (): void => {}
  readonly #abort = (): void => this.close()

  constructor(parts: StreamParts) {
    this.#parts = parts
    const { lastEventId } = parts.wanted
    this.#received = new Cursor(lastEventId)
    this.#handed = lastEventId
    this.#baseMs = parts.backoff.baseMs
    if (parts.handlers.onEvent === undefined) this.#queue = new Queue(parts.queueBytesMax, (id) => (this.#handed = id))
    this.#owner = this.#makeOwner()
    this.#stopWake = onWake(() => this.#wake())
    parts.signal?.addEventListener('abort', this.#abort)
    if (parts.signal?.aborted === true) this.close()
    // Handlers may want the stream: they are called when `connect` has returned it.
    queueMicrotask(() => this.#connect())
  }

  /** What it does at the moment. */
  get state(): StreamState {
    return this.#state
  }

  /** The id up to which everything was handed over: what to keep, to go on from there another day. */
  get lastEventId(): string | undefined {
    return this.#handed
  }

  /** How many events came again and were dropped. 0, unless something between here and the log is wrong. */
  get duplicates(): number {
    return this.#duplicates
  }

  /**
   * Publishes an event; answers its id once the log has stored it. Retries, under one idempotency key, what may work
   * at the next try. Rejects with a {@link StreamError}.
   */
  publish(event: PublishEvent): Promise<string> {
    return this.#parts.publisher.publish(event)
  }

  /** Ends it for good. A publish that is not acknowledged rejects. */
  close(): void {
    this.#queue?.clear()
    this.#close({ code: 'asked', detail: 'The program closed the stream.' })
  }

  /**
   * Events and gaps in their order. What is not taken waits, up to `queueBytesMax`: then SSE is no longer read, and a
   * WebSocket is closed, to come back from where it was. Leaving the loop closes the stream. Ends when it is closed,
   * and throws a {@link StreamError} when the server refused it. All iterators share one queue.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Delivery, undefined> {
    const queue = this.#queue
    if (queue === undefined) throw new TypeError('A stream with onEvent cannot be iterated: leave onEvent out.')
    const iterator: AsyncIterableIterator<Delivery, undefined> = {
      next: () => queue.next(),
      return: () => {
        this.close()
        return Promise.resolve({ done: true, value: undefined })
      },
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  // ── connections ────────────────────────────────────────────────────────────────────────────────────────────────────

  #connect(): void {
    this.#cancelWait()
    if (this.#isClosed) return
    this.#become({ status: 'connecting' })
    if (this.#isClosed) return // by its handler
    const { source, clock, silenceMs, wanted } = this.#parts
    const { topics, types, lag, state } = wanted
    const lastEventId = this.#received.id
    const resumed = lastEventId === undefined ? wanted : { topics, types, lag, state, lastEventId }
    this.#link = new Link(this.#owner, source, resumed, clock, silenceMs)
  }

  #makeOwner(): LinkOwner {
    return {
      opened: () => this.#become({ status: 'open' }),
      begins: (id) => this.#begins(id),
      delivery: (delivery) => this.#take(delivery),
      position: (id) => this.#position(id),
      retry: (retryMs) => (this.#baseMs = retryMs),
      room: () => this.#queue?.room(),
      ended: (end, wasUseful) => this.#ended(end, wasUseful),
    }
  }

  #ended(end: End, wasUseful: boolean): void {
    const { backoff, clock, random } = this.#parts
    this.#link = undefined
    this.#failures = wasUseful ? 0 : this.#failures + 1
    const next = stateAfter(end, {
      failures: this.#failures,
      backoff: { baseMs: this.#baseMs, maxMs: backoff.maxMs },
      nowMs: clock.nowMs(),
      random: random(),
    })
    if (next.status === 'closed') return this.#close(next.why)
    if (next.status === 'waiting') this.#wait(next.untilMs)
    this.#become(next)
  }

  #wait(untilMs: number | undefined): void {
    if (untilMs !== undefined) {
      const { clock } = this.#parts
      this.#cancelWait = clock.after(Math.max(0, untilMs - clock.nowMs()), () => this.#connect())
      return
    }
    void this.#connectWithRoom()
  }

  async #connectWithRoom(): Promise<void> {
    await this.#queue?.room()
    this.#connect()
  }

  #wake(): void {
    this.#link?.check()
    if (this.#state.status === 'waiting' && this.#state.untilMs !== undefined) this.#connect()
  }

  #close(why: Why): void {
    if (this.#isClosed) return
    this.#stopWake()
    this.#parts.signal?.removeEventListener('abort', this.#abort)
    this.#cancelWait()
    this.#link?.close()
    this.#link = undefined
    this.#parts.publisher.close()
    const isRefused = why.code === 'refused'
    this.#queue?.end(isRefused ? new StreamError(why.problem?.code ?? 'malformed', why.detail, why.problem) : undefined)
    this.#become({ status: 'closed', why })
  }

  get #isClosed(): boolean {
    return this.#state.status === 'closed'
  }

  #become(state: StreamState): void {
    if (state.status === this.#state.status && state.status === 'connecting') return
    this.#state = state
    const { onState } = this.#parts.handlers
    if (onState !== undefined) call(() => onState(state))
  }

  // ── deliveries ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A stream that had an id and is told where it starts was not resumed: what lies between is unknown. */
  #begins(id: string): void {
    const from = this.#received.id
    if (from === undefined) this.#position(id)
    else if (from !== id) this.#take({ id, gap: { from, to: id, reason: 'epoch', certain: false } })
  }

  #take(delivery: Delivery): void {
    if (delivery.gap !== undefined) this.#received.moveTo(delivery.id)
    else if (!this.#received.advance(delivery.id)) {
      this.#duplicates += 1
      return
    }
    this.#deliver(delivery)
  }

  #position(id: string): void {
    if (!this.#received.advance(id)) return
    if (this.#queue === undefined) this.#handed = id
    else this.#queue.position(id)
  }

  #deliver(delivery: Delivery): void {
    const { onEvent, onGap } = this.#parts.handlers
    const { gap } = delivery
    if (gap !== undefined && onGap !== undefined) call(() => onGap(gap))
    else if (gap === undefined && onEvent !== undefined) call(() => onEvent(delivery))
    if (this.#queue === undefined) this.#handed = delivery.id
    else this.#queue.push(delivery)
  }
}

/** Calls a handler of the program. */
function call(handler: () => void): void {
  try {
    handler()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
