// An event as a message of NATS, and back. Topic and key are in the subject, data is the body, the rest is one header:
//
//   Hydrant: 4711 text price-update      the head that the publisher's node had reached, the kind of data, the type
//   Hydrant-Request: 171…923 5-8f-3c     of a request with an idempotency key: when it was made, and its fingerprint
//
// Messages without the header are events too: text, of the type `message`. Whoever speaks NATS can publish.

import { CONTROL_TYPES } from 'hydrant-client/wire'
import type { CheckedEvent } from '../hub/event.ts'
import type { Idempotency } from './engine.ts'
import { escapeKey, type Subject, type Subjects } from './nats-subject.ts'

/** Names of the headers. */
export const HEADERS = { event: 'Hydrant', request: 'Hydrant-Request', messageId: 'Nats-Msg-Id' } as const

/** A message of the stream. */
export interface NatsMessage {
  readonly subject: string
  /** Its place in the stream: the offset. */
  readonly seq: number
  /** How many messages its consumer had been sent with it; 0 when it came otherwise. */
  readonly consumerSeq: number
  /** When it was stored: nanoseconds since 1970, in decimal digits. */
  readonly storedNs: string
  /** A header, empty when there is none. */
  header(name: string): string
  readonly data: Uint8Array
}

/** What a message says. */
export interface ParsedMessage {
  readonly event: CheckedEvent
  /** Milliseconds since 1970. */
  readonly timeMs: number
  /** What the publisher's node had carried of the log when it published: ends of topics up to there it knew of. */
  readonly publisherHead: number
}

/** A request with an idempotency key. */
export interface StoredRequest {
  readonly madeMs: number
  readonly fingerprint: string
}

const PLAIN_TYPE = /^[\w.:/-]+$/
const NANOS_PER_MS_DIGITS = 6

/** The subject of an event. */
export function subjectOf(subjects: Subjects, { topic, key, type }: CheckedEvent): string {
  return type === CONTROL_TYPES.end ? subjects.end(topic) : subjects.event(topic, key)
}

/** The header of an event. */
export function eventHeader({ type, data }: CheckedEvent, publisherHead: number): string {
  const kind = typeof data === 'string' ? 'text' : 'bytes'
  if (type === 'message') return `${publisherHead} ${kind}`
  return `${publisherHead} ${kind} ${PLAIN_TYPE.test(type) ? type : escapeKey(type)}`
}

/** The header of a request with an idempotency key. */
export function requestHeader({ fingerprint }: Idempotency, nowMs: number): string {
  return `${nowMs} ${escapeKey(fingerprint)}`
}

/** Undefined when it was not made with a key, or by somebody else. */
export function parseRequest(text: string): StoredRequest | undefined {
  const [madeMs = '', fingerprint] = text.split(' ')
  return fingerprint === undefined ? undefined : { madeMs: Number(madeMs), fingerprint }
}

/** What a message of an event or of an end says. */
export function parseMessage(message: NatsMessage, subject: Exclude<Subject, { kind: 'term' }>): ParsedMessage {
  const [head = '', kind = 'text', type = 'message'] = message.header(HEADERS.event).split(' ')
  const data = kind === 'bytes' ? new Uint8Array(message.data) : TEXT.decode(message.data)
  return {
    event: {
      topic: subject.topic,
      type: subject.kind === 'end' ? CONTROL_TYPES.end : typeOf(type),
      key: subject.kind === 'end' ? undefined : subject.key,
      data,
    },
    timeMs: timeMsOf(message.storedNs),
    publisherHead: /^\d+$/.test(head) ? Number(head) : 0,
  }
}

/** Milliseconds since 1970, from nanoseconds in digits. */
export function timeMsOf(storedNs: string): number {
  return Number(storedNs.slice(0, -NANOS_PER_MS_DIGITS))
}

/** Nanoseconds in digits, from a time of RFC 3339 as NATS writes it, with up to nine digits of a second. */
export function storedNsOf(time: string): string {
  const [, second = '', fraction = ''] = /^([^.Z]+)(?:\.(\d{1,9}))?Z$/.exec(time) ?? []
  return `${Date.parse(`${second}Z`) / 1_000}${fraction.padEnd(9, '0')}`
}

const TEXT = new TextDecoder('utf-8', { ignoreBOM: true })

function typeOf(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text // written by somebody else: whatever it is, it stands for itself
  }
}
