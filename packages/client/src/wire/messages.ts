// The messages of the WebSocket subprotocol `hydrant.v1`: JSON objects with one leading key (PROTOCOL.md, 6).

import type { Problem } from './codes.ts'
import type { Envelope, Gap } from './envelope.ts'

/** The name that client and server agree on in `Sec-WebSocket-Protocol`. */
export const SUBPROTOCOL = 'hydrant.v1'

/** Where a subscription starts, and what it takes. The same words as the query of `GET /events`. */
export interface SubscribeRequest {
  /** The client's own number for this subscription, 0 to 2^31 - 1. */
  readonly sub: number
  /** Topics and patterns. */
  readonly topics: readonly string[]
  readonly types?: readonly string[]
  /** Strictly after this id. Beats the others. */
  readonly lastEventId?: string
  /** A duration (`90s`, `2h`) or an RFC 3339 time. */
  readonly since?: string
  /** The last N events. */
  readonly last?: number
  readonly earliest?: boolean
  /** The newest event of each topic and key, then `{"live": id}`, then everything after that id. */
  readonly state?: 'latest'
  readonly lag?: LagPolicy
}

/**
 * What happens to a subscriber whose next events are gone.
 *
 * - `disconnect`: the connection ends; the client comes back with its id and is told what it missed.
 * - `skip`: a gap, then what is published next.
 * - `latest`: while it is behind, it gets of each topic and key only the newest event; what those supersede is no gap.
 */
export type LagPolicy = 'disconnect' | 'skip' | 'latest'

/** An event to publish. Text in `data`, or bytes in `dataBase64`; neither is an event without text. */
export interface PublishRequest {
  readonly topic: string
  readonly type?: string
  readonly key?: string
  readonly data?: string
  readonly dataBase64?: string
}

/**
 * What a client may send. `ack` numbers a publish, so that its answer can be told from others'.
 *
 * `ping` asks for a sign of life, and is answered by `pong` with its number, 0 to 2^31 - 1: a web page sees nothing of
 * WebSocket's own pings, and could not tell a quiet connection from a dead one.
 */
export type ClientMessage =
  | { readonly subscribe: SubscribeRequest }
  | { readonly unsubscribe: { readonly sub: number } }
  | {
      readonly publish: PublishRequest
      readonly ack?: number
      readonly idempotencyKey?: string
      /** Only if the topic's newest event has this id; `none` for a topic without events. */
      readonly ifLast?: string
    }
  | { readonly end: { readonly topic: string }; readonly ack?: number; readonly idempotencyKey?: string }
  | { readonly ping: number }

/**
 * What a server may send. Events are bare envelopes, and belong to the subscription that the last `{"sub": n}` named.
 */
export type ServerMessage =
  | Envelope
  | { readonly sub: number }
  | { readonly subscribed: { readonly sub: number; readonly id: string } }
  | { readonly unsubscribed: { readonly sub: number } }
  | { readonly published: { readonly ack?: number; readonly ids: readonly string[] } }
  | { readonly error: Problem; readonly sub?: number; readonly ack?: number }
  | { readonly gap: Gap }
  | { readonly position: string }
  /** The state was sent; what follows is live. */
  | { readonly live: string }
  /** Every topic of the subscription has ended, and everything was sent: the number is free again. */
  | { readonly ended: { readonly sub: number } }
  | { readonly pong: number }

/**
 * Joins a header and bytes into the one binary frame of the protocol: a 16-bit big-endian length of the JSON header,
 * the header, the bytes.
 *
 * Throws a RangeError when the header is longer than 65,535 bytes.
 */
export function formatBinary(header: object, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(header))
  if (json.length > 0xffff) throw new RangeError(`a header of ${json.length} bytes does not fit a binary frame (65535)`)
  const frame = new Uint8Array(2 + json.length + bytes.length)
  new DataView(frame.buffer).setUint16(0, json.length)
  frame.set(json, 2)
  frame.set(bytes, 2 + json.length)
  return frame
}

/** Takes a binary frame apart; undefined when it is too short or its header is not JSON. */
export function parseBinary(frame: Uint8Array): { readonly header: unknown; readonly bytes: Uint8Array } | undefined {
  if (frame.length < 2) return undefined
  const end = 2 + new DataView(frame.buffer, frame.byteOffset).getUint16(0)
  if (frame.length < end) return undefined
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(frame.subarray(2, end))
    return { header: JSON.parse(text), bytes: frame.subarray(end) }
  } catch {
    return undefined // what is not UTF-8 or not JSON is not a frame of ours
  }
}
