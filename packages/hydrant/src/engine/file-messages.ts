// What the engine and its two threads say to each other. Events travel as arrays of columns, not as an object for each:
// copying between threads costs by the object.

import type { CheckedEvent } from '../hub/event.ts'
import type { Epoch } from '../hub/epochs.ts'
import type { Limits } from '../hub/limits.ts'
import type { ProblemCode } from 'hydrant-client/wire'
import type { Idempotency, IfLast, Seek } from './engine.ts'
import type { Retention } from './file-retention.ts'

/** Events by column. */
export interface EventColumns {
  readonly topics: string[]
  /** Null for `message`. */
  readonly types: (string | null)[]
  readonly keys: (string | null)[]
  readonly data: (string | Uint8Array)[]
}

/** What goes into one transaction: the events of several requests, one request after the other. */
export interface EventGroup {
  /** The time of all of them, never before the last one's. */
  readonly timeMs: number
  /** How many events each request has. */
  readonly counts: number[]
  readonly idempotency: (Idempotency | null)[]
  /** On which condition: the id of the topic's newest event, or `none`. */
  readonly ifLast: (IfLast | null)[]
  readonly events: EventColumns
}

/** What became of one request: its first offset, which the others follow, and whether it was stored now. */
export interface Stored {
  readonly first: number
  /** Otherwise it was known by its key. */
  readonly isNew: boolean
}

/** A request that nothing was stored of. */
export interface Refused {
  readonly code: ProblemCode
  readonly message: string
}

/** What became known when a log that had failed was opened anew. */
export interface Reopened {
  /** The terms that began. */
  readonly epochs: readonly Epoch[]
  /** A group that failed in doubt is on disk after all. */
  readonly found: Committed | undefined
}

/** A transaction that is on disk. */
export interface Committed {
  /** In the order of the requests. */
  readonly outcomes: readonly (Stored | Refused)[]
  readonly head: number
  readonly floor: number
  /** Whether retention took anything out, and whether it has more to take out. */
  readonly hasTrimmed: boolean
  readonly isTrimDue: boolean
  /** When the log had to be opened anew before or after it. */
  readonly reopened: Reopened | undefined
}

/** The same as it travels: of a request that was stored now, its first offset alone. Copying costs by the object. */
export interface PackedCommitted extends Omit<Committed, 'outcomes'> {
  readonly outcomes: readonly (number | Stored | Refused)[]
  /** How long the transaction took. */
  readonly tookMs: number
}

/** A log, opened for writing. */
export interface Opened {
  readonly head: number
  readonly floor: number
  /** The time of its newest event, or when it was last trimmed. */
  readonly timeMs: number
  readonly epochs: readonly Epoch[]
  /** Topics that ended, and where. */
  readonly ends: readonly (readonly [topic: string, offset: number])[]
  /** What was found amiss and declared; undefined when all was well. */
  readonly warning: string | undefined
}

/** What to read. */
export interface HistoryRequest {
  readonly after: number
  readonly topics: readonly string[]
  readonly isExact: boolean
  readonly types: readonly string[] | undefined
  /** Whether superseded events do not matter. */
  readonly latest: boolean
  readonly eventsMax: number
  readonly bytesMax: number
}

/** Which part of the state to read. */
export interface StateQuestion extends Omit<HistoryRequest, 'latest'> {
  /** The state as of this offset. */
  readonly to: number
}

/** What was read. */
export interface PackedHistory {
  readonly gap: { readonly to: number; readonly certain: boolean } | undefined
  readonly to: number
  readonly offsets: readonly number[]
  readonly times: readonly number[]
  readonly events: EventColumns
}

/** Of which log a thread takes care, and how. */
export interface ThreadData {
  readonly role: 'writer' | 'reader'
  readonly folder: string
  readonly limits: Limits
  readonly retention: Retention
  /** One 64-bit integer: the newest offset that the tail was told of. */
  readonly told: SharedArrayBuffer
}

/** What a thread can be asked, and what it answers. */
export interface ThreadCalls {
  open: { ask: { readonly nowMs: number }; answer: Opened }
  append: { ask: { readonly group: EventGroup }; answer: PackedCommitted }
  trim: { ask: { readonly nowMs: number }; answer: Committed }
  read: { ask: { readonly request: HistoryRequest }; answer: PackedHistory }
  state: { ask: { readonly request: StateQuestion }; answer: PackedHistory }
  seek: {
    ask: { readonly seek: Seek; readonly selection: Pick<HistoryRequest, 'topics' | 'isExact' | 'types'> }
    answer: number
  }
  close: { ask: object; answer: undefined }
}

/** The name of a call. */
export type ThreadCall = keyof ThreadCalls

/** A call on its way to a thread. */
export type ThreadAsk = {
  [Call in ThreadCall]: { readonly id: number; readonly call: Call } & ThreadCalls[Call]['ask']
}[ThreadCall]

/** An error on its way back. */
export interface ThreadError {
  readonly code: ProblemCode
  readonly message: string
  /** When the log had to be opened anew. */
  readonly reopened: Reopened | undefined
  /** Whether nobody knows yet if the group is on disk: opening anew will tell. */
  readonly isInDoubt: boolean
}

/** An answer on its way back. */
export type ThreadAnswer =
  | { readonly id: number; readonly value: ThreadCalls[ThreadCall]['answer'] }
  | { readonly id: number; readonly error: ThreadError }

/** Makes it ready to travel. */
export function packCommitted(committed: Committed, tookMs: number): PackedCommitted {
  const outcomes = committed.outcomes.map((one) => ('isNew' in one && one.isNew ? one.first : one))
  return { ...committed, outcomes, tookMs }
}

/** Makes it what it was. */
export function unpackCommitted(packed: PackedCommitted): Committed {
  const outcomes = packed.outcomes.map((one) => (typeof one === 'number' ? { first: one, isNew: true } : one))
  return { ...packed, outcomes }
}

/** No events yet. */
export function emptyColumns(): EventColumns {
  return { topics: [], types: [], keys: [], data: [] }
}

/** Adds an event to columns that travel. */
export function addEvent(columns: EventColumns, event: CheckedEvent): void {
  columns.topics.push(event.topic)
  columns.types.push(event.type === 'message' ? null : event.type)
  columns.keys.push(event.key ?? null)
  columns.data.push(typeof event.data === 'string' ? event.data : tight(event.data))
}

/** The event at a place. */
export function eventAt({ topics, types, keys, data }: EventColumns, at: number): CheckedEvent {
  return {
    topic: topics[at] ?? '',
    type: types[at] ?? 'message',
    key: keys[at] ?? undefined,
    data: data[at] ?? '',
  }
}

/** A part of a larger buffer travels with all of it: copy the part. */
function tight(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)
}
