// What a program can ask of a stream.

import type { Clock } from './clock.ts'
import type { HeadersOf } from './sse-source.ts'
import type { Handlers } from './stream.ts'
import type { LagPolicy } from './wire/index.ts'

/** Options of `connect`. */
export interface ConnectOptions extends Handlers {
  /** Topics and patterns: `stocks/AAPL`, `stocks/*`, `stocks/**`. A WebSocket without any only publishes. */
  readonly topics: readonly string[]
  /** Only events of these types. Default: all. */
  readonly types?: readonly string[] | undefined
  /** Default `sse`, which passes more proxies and can be slowed down; a WebSocket publishes with less delay. */
  readonly transport?: 'sse' | 'websocket' | undefined
  /** Goes on strictly after this id, for example a `stream.lastEventId` of yesterday. Beats the next three. */
  readonly lastEventId?: string | undefined
  /** Starts with what is retained from a time on: a duration back from now (`90s`, `2h`), or an RFC 3339 time. */
  readonly since?: string | undefined
  /** Starts with the last so many events that are retained. */
  readonly last?: number | undefined
  /** Starts with everything that is retained. Default: only what is published from now on. */
  readonly earliest?: boolean | undefined
  /** Starts with the newest event of each topic and key; also when what was missed is gone. Then everything after. */
  readonly state?: 'latest' | undefined
  /** What happens when the stream falls so far behind that its next events are gone. Default: the server's. */
  readonly lag?: LagPolicy | undefined
  /** Headers of each request; asked anew each time, so that a token can be a fresh one. SSE only. */
  readonly headers?: HeadersOf | undefined
  /** Closes the stream. */
  readonly signal?: AbortSignal | undefined
  /** A connection that says nothing for so long is taken for dead. Default 45,000: three heartbeats of the server. */
  readonly silenceMs?: number | undefined
  /** The longest first wait before connecting again, until the server names its own. Default 2,000. */
  readonly backoffMs?: number | undefined
  /** The longest wait, unless the server asks for more. Default 30,000. */
  readonly backoffMsMax?: number | undefined
  /** What an iterated stream holds for the program, about, in bytes. Default 4 MiB. */
  readonly queueBytesMax?: number | undefined
  /** Default: the global one. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Default: the global one. */
  readonly WebSocket?: typeof globalThis.WebSocket | undefined
  /** Default: real time. */
  readonly clock?: Clock | undefined
  /** Numbers from 0 up to, not including, 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined
}
