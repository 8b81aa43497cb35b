// The engine: the port behind which the log lives. It alone decides the order of events.
//
//   publish ─► append ─► (ordered, stored) ─► tail ─► the hub's window and feeds
//                                             read ─► history that the window no longer has
//
// Implementations: memory.ts. Every one of them passes contract.ts, for the capabilities that it claims.

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

/** Some of the log: all selected events in (cursor, to], except those that the gap speaks of. */
export interface LogRange {
  readonly events: readonly LogEvent[]
  /**
   * How far the range reaches. Completeness is carried by this, not by the offsets: holes between them mean
   * nothing.
   */
  readonly to: number
}

/** What is missing at the start of a range: selected events in (cursor, to] are gone. */
export interface TrimmedGap {
  readonly to: number
  readonly certain: boolean
  readonly count: number | undefined
}

/** A range of history, possibly with events missing before it. */
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
  /** The reader follows the newest of each key: superseded events that are gone need not be reported. Default false. */
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

/** Called with all that is new, in order; the first range begins right after the bounds that `open` answered. */
export type Tail = (range: LogRange) => void

/**
 * The port.
 *
 * An implementation MUST
 * - call the tail with every event exactly once, in offset order, also with those that its own process appended, and
 *   only when they are stored as it promises;
 * - give a batch consecutive places in the order, unless it lacks `atomicBatch`;
 * - answer `append` with the ids in the order of the batch, and reject with a HydrantError `unavailable` when the
 *   events are not stored, or when it cannot know;
 * - refuse, in one step with storing, a batch for a topic that has ended (`topic-ended`), and one whose `ifLast` is not
 *   the id of its topic's newest event, trimmed or not (`last-conflict`); a known idempotency key comes before both;
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
  /** Takes up work. */
  open(tail: Tail): Promise<LogBounds>
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
   * Reads state: of each topic and key the newest retained event at or before `to`, in log order, but for keyed events
   * with empty data, which delete their key. Events without a key count as one key. Answers like `read`.
   */
  state(request: StateRequest): Promise<LogRange>
  /** The offset after which a stream must start to contain what was asked for, and no more. */
  seek(seek: Seek, selection: Selection): Promise<number>
  /** Ends. What is under way is finished or rejected. */
  close(): Promise<void>
}
