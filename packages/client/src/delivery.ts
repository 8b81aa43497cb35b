// What a stream delivers: events and gaps, read from the wire and checked.

import { isRecord } from './error.ts'
import { parseId, type Gap } from './wire/index.ts'

/** An event, as programs see it. */
export interface StreamEvent {
  readonly id: string
  readonly topic: string
  /** `message` when the publisher gave none. */
  readonly type: string
  readonly key: string | undefined
  /** When the log took it, RFC 3339 in UTC. */
  readonly time: string
  /** Text, or the bytes that were published as bytes. */
  readonly data: string | Uint8Array
  readonly gap?: undefined
}

/** Stands in the place of events that are missing. */
export interface GapNotice {
  /** The id to resume from. */
  readonly id: string
  readonly gap: Gap
}

/** What an iterated stream yields: `if (delivery.gap) …` tells the two apart. */
export type Delivery = StreamEvent | GapNotice

/** Reads an envelope; `bytes` are the data of a binary frame. Undefined when it is not one. */
export function eventOf(envelope: unknown, bytes?: Uint8Array): StreamEvent | undefined {
  if (!isRecord(envelope)) return undefined
  const { id, topic, type, key, time } = envelope
  const data = bytes ?? dataOf(envelope)
  if (typeof id !== 'string' || typeof topic !== 'string' || typeof type !== 'string') return undefined
  if (typeof time !== 'string' || data === undefined || parseId(id) === undefined) return undefined
  return { id, topic, type, key: typeof key === 'string' ? key : undefined, time, data }
}

function dataOf(envelope: Readonly<Record<string, unknown>>): string | Uint8Array | undefined {
  const { data, dataBase64 } = envelope
  if (typeof dataBase64 === 'string') return bytesOf(dataBase64)
  return typeof data === 'string' ? data : undefined
}

function bytesOf(base64: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  } catch {
    return undefined // not base64: not an envelope
  }
}

/** Reads a gap. Undefined when it is not one. */
export function gapOf(value: unknown): Gap | undefined {
  if (!isGap(value) || parseId(value.to) === undefined) return undefined
  return value.id === undefined || parseId(value.id) !== undefined ? value : undefined
}

function isGap(value: unknown): value is Gap {
  return (
    isRecord(value) &&
    typeof value['from'] === 'string' &&
    typeof value['to'] === 'string' &&
    typeof value['reason'] === 'string' &&
    typeof value['certain'] === 'boolean' &&
    (value['id'] === undefined || typeof value['id'] === 'string')
  )
}

/** Reads JSON of the wire; undefined when it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // whoever asked checks the shape, and undefined has none
  }
}
