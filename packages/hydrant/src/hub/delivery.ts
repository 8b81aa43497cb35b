// What an in-process subscription yields: events, and notices in their midst. `if (delivery.gap) …` tells them apart.

import type { Gap } from 'hydrant-client/wire'

/** An event, as programs see it. */
export interface HubEvent<Value = unknown> {
  readonly id: string
  readonly topic: string
  readonly type: string
  readonly key: string | undefined
  /** Milliseconds since 1970. */
  readonly timeMs: number
  /** Text, or the bytes that were published as bytes. */
  readonly data: string | Uint8Array
  /** The JSON of the data, as a value; the data itself where it is none. Parsed anew each time it is asked for. */
  readonly value: Value
  readonly gap?: undefined
  readonly live?: undefined
  readonly snapshot?: undefined
}

/** Stands in the place of events that are missing. */
export interface GapNotice {
  /** The id to resume from. */
  readonly id: string
  readonly gap: Gap
  readonly live?: undefined
  readonly snapshot?: undefined
}

/** The state was given out; what follows is everything after it. Only with `state`. */
export interface LiveNotice {
  /** The id that the state is as of. */
  readonly id: string
  readonly live: true
  readonly gap?: undefined
  readonly snapshot?: undefined
}

/** What the program's own loader has loaded; what follows is everything after `id`. Only with `snapshot`. */
export interface SnapshotNotice<Loaded extends object> {
  /** The position that was taken before it was loaded. */
  readonly id: string
  readonly snapshot: Loaded
  readonly gap?: undefined
  readonly live?: undefined
}

/** What every subscription yields. */
export type Delivery<Value = unknown> = HubEvent<Value> | GapNotice

/** What a snapshot is wanted of. */
export interface SnapshotRequest {
  /** Topics and patterns. */
  readonly topics: readonly string[]
  /** Event types; undefined for all. */
  readonly types: readonly string[] | undefined
  /**
   * The position: everything after it will follow, nothing before. So what events up to here say must be in the
   * snapshot; what later ones say may be.
   */
  readonly id: string
  /** Fires when the subscription ends: nobody waits for the snapshot any more. */
  readonly signal: AbortSignal
}

/** The program's own loader. When it rejects, the subscription ends with its error. */
export type LoadSnapshot<Loaded extends object> = (selection: SnapshotRequest) => Loaded | Promise<Loaded>
