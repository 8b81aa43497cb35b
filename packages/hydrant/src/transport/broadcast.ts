// A broadcast: the feed that all connections with an equal selection and format share.
//
// What it gained since its last flush is encoded and joined once, into one payload for everybody at the head:
//
//   after ──── first ════════ to        a flush brings the events (after, to], of which `first` is the first
//        └ cursors here get it ┘
//
// A cursor from `after` up to, not including, `first` has seen all before the flush and none of it. Any other live
// cursor joined later: at or beyond `to` it needs nothing, in between it reads the rest for itself.

import { CONTROL_TYPES } from 'hydrant-client/wire'
import type { SharedDeflate } from '../compression/shared-deflate.ts'
import type { LogEvent } from '../hub/event.ts'
import type { Feed } from '../hub/feed.ts'
import type { Selection } from '../hub/selection.ts'
import type { Window } from '../hub/window.ts'
import { encode, type Format } from './format.ts'
import { join, Payload, type Shared } from './payload.ts'
import type { Subscriber } from './subscriber.ts'

/** How far the start of a flush moves: a prime, so that it moves for every number of targets but itself. */
const ROTATION = 7_919

/** One payload on its way to everybody who was live when it was made. */
export interface Flush {
  readonly payload: Payload
  readonly after: number
  readonly first: number
  readonly targets: readonly Subscriber[]
  /** Where among the targets it started, so that nobody is always last. */
  readonly start: number
  /** How many targets it has dealt with. */
  done: number
}

/**
 * Why all of the live have to read for themselves: publishing outran the flushes by the whole window, or the tail
 * broke, which is no lag of theirs.
 */
export type Overrun = 'outrun' | 'broken'

/** What a broadcast is made of. */
export interface BroadcastParts {
  readonly key: string
  readonly selection: Selection
  readonly format: Format
  readonly window: Window
  readonly nowMs: number
  /** So many of the live must be able to read a shared stream for one to be made. */
  readonly shareConnectionsMin: number
  /** Called when there is something to flush. */
  readonly wake: (broadcast: Broadcast) => void
  /** Where everything selected has ended, Infinity while something may come. */
  readonly endOf: () => number
}

/** See the head of the file. */
export class Broadcast implements Feed {
  readonly key: string
  readonly selection: Selection
  readonly format: Format
  /** Subscribers at the head, in no order. */
  readonly live: Subscriber[] = []
  /** How many subscribers it has, live or not. */
  members = 0
  flush: Flush | undefined
  /** When something was last written to the live, by the monotonic clock. */
  wroteMs: number
  /** The newest offset whose id the live were sent. */
  named: number
  /** The offset at which everything selected has ended; Infinity while something may come. */
  endsAt: number
  /** Set when a sign of life is due. */
  needsHeartbeat = false
  /** Whether the last flush left something over because it was full: no reason to linger. */
  hasBacklog = false
  readonly #wake: (broadcast: Broadcast) => void
  readonly #endOf: () => number
  readonly #window: Window
  #pending: LogEvent[] = []
  #overrun: Overrun | undefined
  /** The newest selected offset that was flushed, or the head when the broadcast was made. */
  #flushed: number
  #rotation = 0
  readonly #shareConnectionsMin: number
  #deflate: SharedDeflate | undefined

  constructor(parts: BroadcastParts) {
    this.key = parts.key
    this.selection = parts.selection
    this.format = parts.format
    this.#window = parts.window
    this.#flushed = this.named = parts.window.head
    this.wroteMs = parts.nowMs
    this.#shareConnectionsMin = parts.shareConnectionsMin
    this.#wake = parts.wake
    this.#endOf = parts.endOf
    this.endsAt = parts.endOf()
  }

  /** Whether a flush would bring something. */
  get hasNews(): boolean {
    return this.#pending.length > 0 || this.#overrun !== undefined || this.needsHeartbeat
  }

  offer(event: LogEvent): void {
    if (event.type === CONTROL_TYPES.end) this.endsAt = this.#endOf()
    const [oldest] = this.#pending
    if (this.#overrun !== undefined || (oldest !== undefined && oldest.offset <= this.#window.floor)) {
      // Publishing outran us by the whole window. To hold on to what it let go would be a second window, unbounded:
      // everybody reads from the log instead, and is told what is gone.
      this.#giveUp(this.#overrun ?? 'outrun', event.offset)
    } else if (this.#pending.push(event) === 1) this.#wake(this)
  }

  skip(): void {
    this.endsAt = this.#endOf() // its end may be among what did not come
    this.#giveUp('broken', this.#window.head)
    this.#wake(this)
  }

  undo(to: number): void {
    this.endsAt = this.#endOf()
    if (this.flush !== undefined) this.#deflate?.restart()
    this.flush = undefined // who was not reached by it reads for itself, as do all others
    this.named = Math.min(this.named, to)
    this.#giveUp('broken', to)
    this.#wake(this)
  }

  /** A subscriber reached the head. */
  join(subscriber: Subscriber): void {
    subscriber.state = 'live'
    subscriber.place = this.live.push(subscriber) - 1
  }

  /** A live subscriber leaves. */
  leave(subscriber: Subscriber): void {
    const last = this.live.pop()
    if (last !== undefined && last !== subscriber) {
      this.live[subscriber.place] = last
      last.place = subscriber.place
    }
    subscriber.place = -1
  }

  /** Begins a flush of what is new, up to `bytesMax`; undefined when there is nobody or nothing to tell. */
  begin(bytesMax: number): Flush | undefined {
    const after = this.#flushed
    const first = this.#pending[0]
    if (first === undefined) {
      if (this.needsHeartbeat) this.#deflate = undefined // 300 KB that would not pay: it is quiet
      return undefined
    }
    if (this.live.length === 0) {
      this.#flushed = this.#pending.at(-1)?.offset ?? after // whoever comes next reads from its own cursor
      this.#pending = []
      this.hasBacklog = false
      return undefined
    }
    return this.#flushOf(this.#joinPending(bytesMax), after, first.offset)
  }

  /** Begins a flush that holds no event: a sign of life, or a fresher id. Too small and too rare to compress. */
  beginControl(bytes: Uint8Array, to: number): Flush | undefined {
    if (this.live.length === 0) return undefined
    return this.#flushOf(new Payload(bytes, to, 0), 0, Number.MAX_SAFE_INTEGER)
  }

  /** Whether the live have to read for themselves since the last call, and why: then nothing is pending. */
  takeOverrun(): Overrun | undefined {
    const overrun = this.#overrun
    this.#overrun = undefined
    return overrun
  }

  #giveUp(why: Overrun, flushed: number): void {
    this.#overrun = why
    this.hasBacklog = false
    this.#pending = []
    this.#flushed = flushed
  }

  #flushOf(payload: Payload, after: number, first: number): Flush {
    const targets = this.live.slice()
    this.#rotation = (this.#rotation + ROTATION) % targets.length
    return { payload, after, first, targets, start: this.#rotation, done: 0 }
  }

  /** Compresses a flush once for all, where enough can read it. */
  #share(parts: readonly Uint8Array[]): Shared | undefined {
    const { sharing } = this.format
    if (sharing === undefined || !this.#canEnoughShare()) {
      this.#deflate = undefined
      return undefined
    }
    this.#deflate ??= sharing.stream()
    const flush = this.#deflate.add(sharing.bodies(parts))
    return { place: flush.place, bytes: sharing.wire(flush, parts) }
  }

  /** Looked up anew each time, for a WebSocket can share only as long as it has one subscription. */
  #canEnoughShare(): boolean {
    let missing = this.#shareConnectionsMin
    for (let at = 0; missing > 0 && at < this.live.length; at += 1) {
      if (this.live[at]?.connection.canShare === true) missing -= 1
    }
    return missing === 0
  }

  #joinPending(bytesMax: number): Payload {
    const parts: Uint8Array[] = []
    let bytes = 0
    for (const event of this.#pending) {
      const part = encode(event, this.format, this.#window)
      if (bytes > 0 && bytes + part.length > bytesMax) break
      parts.push(part)
      bytes += part.length
    }
    this.#flushed = this.#pending[parts.length - 1]?.offset ?? this.#flushed
    this.#pending = this.#pending.slice(parts.length)
    this.hasBacklog = this.#pending.length > 0
    return new Payload(join(parts, bytes), this.#flushed, parts.length, this.#share(parts))
  }
}
