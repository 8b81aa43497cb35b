// The engine: the port behind which the log lives. It alone decides the order of events.
//
//   publish ─► append ─► (ordered, stored) ─► tail ─► the hub's window and feeds
//                                             read ─► history that the window no longer has
//
// Implementations: memory.ts, file.ts, redis.ts, nats.ts. Every one of them passes contract.ts, for the capabilities
// that it claims.

import type { Epochs } from '../hub/epochs.ts'
import type { CheckedEvent, LogEvent } from '../hub/event.ts'
import type { Selection } from '../hub/selection.ts'
import type { Window } from '../hub/window.ts'

/** What an engine can promise beyond order. */
export interface EngineCapabilities {
  /** An acknowledged event survives the end of the process. */
  readonly durable: boolean
  /** Several processes can share the log. */
  readonly shared: boolean
  /** It knows of every trimmed event whether a selection wanted it, up to the bound on what it remembers. */
  readonly exactGaps: boolean
  /** Retention can differ by topic. */
  readonly topicRetention: boolean
  /** A batch is stored whole or not at all. */
  readonly atomicBatch: boolean
}

/** Some of the log: all selected events in (cursor, to] that are retained. */
export interface LogRange {
  readonly events: readonly LogEvent[]
  /**
   * How far the range reaches. Completeness is carried by this, not by the offsets: holes between them mean
   * nothing.
   */
  readonly to: number
}

/**
 * What is missing: selected events after the cursor are gone, the last of them at `to`, where that is known.
 *
 * It says nothing of what is retained: with retention by topic, events of one topic may stand before the last that is
 * gone of another. They are part of the range as all others are.
 */
export interface TrimmedGap {
  readonly to: number
  readonly certain: boolean
  readonly count: number | undefined
}

/** A range of history, possibly with events missing after its cursor, in it or beyond it. */
export interface History extends LogRange {
  readonly gap: TrimmedGap | undefined
}

/** Which history to read. */
export interface ReadRequest {
  /** Strictly after this offset. */
  readonly after: number
  readonly selection: Selection
  /** At most so many events. */
  readonly eventsMax: number
  /** At most about so many bytes of data, but at least one event. */
  readonly bytesMax: number
  /**
   * The reader follows the newest of each key: events that another one of the selection supersedes are left out, and
   * need not be reported when they are gone. Default false.
   */
  readonly latest?: boolean
}

/** Which part of the state to read. */
export interface StateRequest {
  /** Strictly after this offset. */
  readonly after: number
  /** The state as of this offset. */
  readonly to: number
  readonly selection: Selection
  readonly eventsMax: number
  readonly bytesMax: number
}

/** A place to start from that only the log can find. */
export type Seek = { readonly last: number } | { readonly sinceMs: number } | { readonly earliest: true }

/** Ends of the log. */
export interface LogBounds {
  /** Nothing at or below this offset is kept; with retention by topic, more may be gone above it. */
  readonly floor: number
  /** The newest offset, 0 when the log is empty. */
  readonly head: number
  /** The terms of the log: the table itself, which grows when a term begins. */
  readonly epochs: Epochs
}

/** A request to publish, stored once however often it is made. */
export interface Idempotency {
  /** The publisher's own name for the request. */
  readonly key: string
  /** Equal for equal bodies. */
  readonly fingerprint: string
}

/**
 * What the writer of a topic knows to be its newest event: an id, or `none` for a topic that never had one. Writers
 * who must not interleave append on this condition.
 */
export type IfLast = string

/**
 * Called with all that is new, in order; the first range begins right after the bounds that `open` answered. Of an
 * engine with a `following`, all that is new and followed.
 */
export type Tail = (range: LogRange) => void

/** Where a tail does not simply go on. Only engines whose log lives elsewhere call these. */
export interface TailBreaks {
  /**
   * The tail goes on after `to`. What lies between its last range and there did not come: who wants it reads it, and is
   * told by `read` what of it is gone.
   */
  skip(to: number): void
  /**
   * Everything after `to` was undone: it is no part of the log any more, though the tail brought it. The tail goes on
   * after `to`, with events of a new epoch. Called before the table of epochs changes, for the ids of what was undone
   * are still needed.
   */
  undo(to: number): void
}

/** Which selections the tail has to carry, of an engine that does not bring everything to everybody. */
export interface Following {
  /**
   * Counts one more follower. Resolves when the tail carries everything selected, and `endOf` knows of the topics
   * selected; rejects with `unavailable` when that cannot be reached, and then counts nothing.
   */
  add(selection: Selection): Promise<void>
  /** One less; what nobody follows any more stops coming, at once or a while later. */
  remove(selection: Selection): void
  /**
   * Everything selected after this offset came through the tail, or will; Infinity where it does not come at all. Never
   * more than the head while the selection is followed.
   */
  from(selection: Selection): number
}

/** What an engine suffers from at the moment. */
export interface Trouble {
  /** Since when, in milliseconds since 1970. */
  readonly sinceMs: number
  /** One sentence for whoever runs the server. */
  readonly reason: string
}

/**
 * The port.
 *
 * An implementation MUST
 * - call the tail with every event exactly once, in offset order, also with those that its own process appended, and
 *   only when they are stored as it promises;
 * - give a batch consecutive places in the order; without `atomicBatch` it is given batches of one event only, and
 *   keeps the order of the calls;
 * - answer `append` with the ids in the order of the batch, and reject with a HydrantError `unavailable` when the
 *   events are not stored, or when it cannot know;
 * - refuse, in one step with storing, a batch for a topic that has ended (`topic-ended`), and one whose `ifLast` is not
 *   the id of its topic's newest event, trimmed or not (`last-conflict`); a known idempotency key comes before both;
 * - never read beyond what its tail has carried, so that a reader that has read everything is where the tail is;
 * - while its log cannot be reached, reject `read`, `state` and `seek` with `unavailable`, say so by `trouble`, and
 * find
 *   it again by itself; what its tail missed meanwhile it brings then, or skips;
 * - judge in `read` whether selected events after the cursor were trimmed, and report them in the gap, never silently;
 *   and never report a gap where it knows that no selected event is gone.
 *
 * It MUST NOT call the tail after `close` has resolved, nor keep a reference to the arrays it is given.
 * A hub opens it once, and closes it once, also when `open` rejected.
 */
export interface Engine {
  readonly capabilities: EngineCapabilities
  /**
   * When the log lives in this process's memory, its store: the hub then reads it directly and makes no window of its
   * own. Only valid once `open` has resolved.
   */
  readonly window?: Window
  /** Where the tail carries only what is followed; undefined where it carries everything. */
  readonly following?: Following
  /** Takes up work. */
  open(tail: Tail, breaks?: TailBreaks): Promise<LogBounds>
  /** The ends of the log as they are now. Only valid once `open` has resolved. */
  bounds(): LogBounds
  /** The offset at which a topic ended, undefined while it goes on. At most `trimmedTopicsMax` ends are remembered. */
  endOf(topic: string): number | undefined
  /** Stores a batch and answers its ids. A retry with the same idempotency key answers the first ids. */
  append(batch: readonly CheckedEvent[], idempotency?: Idempotency, ifLast?: IfLast): Promise<readonly string[]>
  /**
   * Reads history. Answers a range with at least one event, or one that reaches further than the cursor, or the
   * head.
   */
  read(request: ReadRequest): Promise<History>
  /**
   * Reads state: of each topic and key the newest retained event of the selection at or before `to`, in log order, but
   * for keyed events with empty data, which delete their key. Events without a key count as one key. Events of types
   * that are not selected count for nothing. Answers like `read`.
   */
  state(request: StateRequest): Promise<LogRange>
  /** The offset after which a stream must start to contain what was asked for, and no more. */
  seek(seek: Seek, selection: Selection): Promise<number>
  /**
   * Resolves when the tail has brought, or skipped, all that the log had when this was called, of what is followed; and
   * when every epoch of then is in the table. Only of engines that are `shared`. Rejects with `unavailable`.
   */
  synced?(): Promise<void>
  /** What keeps it from working, of an engine that can lose its log for a while and find it again. */
  trouble?(): Trouble | undefined
  /** Ends. What is under way is finished or rejected. */
  close(): Promise<void>
}
