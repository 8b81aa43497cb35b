// What the main thread and its workers say to each other.
//
//   engine   over a channel of its own: what a hub asks of an engine, and the engine's tail
//   life     over the thread's own port: start, figures, end
//   control  over shared memory: what is looked at often, and must be seen when a thread is stuck or dead

import type { ProblemCode } from 'hydrant-client/wire'
import type { MessagePort } from 'node:worker_threads'
import type { EngineCapabilities, Idempotency, IfLast, Seek, Trouble } from '../engine/engine.ts'
import type { EventColumns } from '../engine/file-messages.ts'
import type { Epoch } from '../hub/epochs.ts'
import type { Figures } from '../metrics/figures.ts'
import type { Configuration } from '../server/configuration.ts'
import type { PackedEvents } from './event-codec.ts'

// ── engine ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A selection; null: all types. */
export interface PackedSelection {
  readonly topics: readonly string[]
  readonly types: readonly string[] | null
}

/** Topics that ended, and where. */
export type Ends = readonly (readonly [topic: string, offset: number])[]

/** What was read. */
export interface PackedHistory {
  readonly events: PackedEvents<ArrayBuffer>
  readonly to: number
  readonly gap: { readonly to: number; readonly certain: boolean; readonly count: number | undefined } | undefined
}

/** How much to read of what. */
export interface PackedRequest {
  readonly after: number
  readonly selection: PackedSelection
  readonly eventsMax: number
  readonly bytesMax: number
}

/** What a worker can ask, and what it is answered. */
export interface EngineCalls {
  /** From now on it gets the tail; the range that follows begins after the head. */
  open: { ask: object; answer: { readonly head: number; readonly floor: number; readonly epochs: readonly Epoch[] } }
  append: {
    ask: {
      readonly events: EventColumns
      readonly idempotency: Idempotency | undefined
      readonly ifLast: IfLast | undefined
    }
    answer: readonly string[]
  }
  read: { ask: { readonly request: PackedRequest & { readonly latest: boolean } }; answer: PackedHistory }
  state: { ask: { readonly request: PackedRequest & { readonly to: number } }; answer: PackedHistory }
  seek: { ask: { readonly seek: Seek; readonly selection: PackedSelection }; answer: number }
  synced: { ask: object; answer: undefined }
  /** One more follower; from where its selection is complete, and which of its topics have ended. */
  follow: {
    ask: { readonly selection: PackedSelection; readonly key: string }
    answer: { readonly from: number; readonly ends: Ends }
  }
  /** One less. */
  leave: { ask: { readonly key: string }; answer: undefined }
  close: { ask: object; answer: undefined }
}

/** The name of a call. */
export type EngineCall = keyof EngineCalls

/** A call on its way. */
export type EngineAsk = {
  [Call in EngineCall]: { readonly id: number; readonly call: Call } & EngineCalls[Call]['ask']
}[EngineCall]

/** What a worker asks in one turn of its event loop. */
export interface AskMessage {
  readonly asks: readonly EngineAsk[]
}

/** An answer on its way; the code is null when the engine failed for a reason of ours. */
export type EngineAnswer =
  | { readonly id: number; readonly value: EngineCalls[EngineCall]['answer'] }
  | { readonly id: number; readonly error: { readonly code: ProblemCode | null; readonly message: string } }

/** A step of the tail; the events of ranges stand one after the other in the bytes of the message. */
export type TailStep =
  | { readonly kind: 'range'; readonly count: number; readonly to: number }
  | { readonly kind: 'skip'; readonly to: number; readonly ends: Ends }
  | { readonly kind: 'undo'; readonly to: number }
  /** Terms of the log that began; such as are known already may be among them. */
  | { readonly kind: 'epochs'; readonly epochs: readonly Epoch[] }

/** What the main thread tells a worker in one turn of its event loop: the tail first, then answers. */
export interface TellMessage {
  /** Stored as {@link Control.read} when all of it was taken in. */
  readonly number: number
  readonly steps: readonly TailStep[]
  readonly events: PackedEvents | undefined
  readonly floor: number
  readonly trouble: Trouble | undefined
  readonly answers: readonly EngineAnswer[]
}

// ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a worker needs to serve. */
export interface WorkerStart {
  readonly kind: 'start'
  /** With the port and the limits of this worker. */
  readonly configuration: Configuration
  readonly engine: MessagePort
  readonly capabilities: EngineCapabilities
  readonly control: SharedArrayBuffer
  /** Open connections, one place for each worker. */
  readonly connections: SharedArrayBuffer
  /** Its place. */
  readonly place: number
}

/** To a worker. */
export type ToWorker =
  | WorkerStart
  | { readonly kind: 'report' }
  | { readonly kind: 'metrics'; readonly id: number; readonly text: string }
  | { readonly kind: 'close' }

/** From a worker. */
export type FromWorker =
  | { readonly kind: 'booted' }
  | { readonly kind: 'listening'; readonly port: number }
  /** It could not begin to serve, in words for the user. */
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'report'; readonly figures: Figures }
  | { readonly kind: 'metrics'; readonly id: number }
  /** Somebody looks at the console. */
  | { readonly kind: 'wanted' }
  | { readonly kind: 'complaint'; readonly line: string }
  /** Its last word. */
  | { readonly kind: 'died'; readonly why: string }
  | { readonly kind: 'closed' }

// ── control ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Places of 32-bit integers in the memory that a worker shares with the main thread. */
export const Control = {
  /** Grows as long as the worker's event loop turns. */
  beats: 0,
  /** The number of the last message of the engine that was taken in. */
  read: 1,
} as const

/** The size of it. */
export const CONTROL_BYTES: number = 2 * Int32Array.BYTES_PER_ELEMENT

/** Why a place that threads share looks odd: numbers of messages wrap around. */
export function isReached(read: number, number: number): boolean {
  return ((read - number) | 0) >= 0
}
