// A call of the commit script: what it is given, and what it answers.

import { formatId } from 'hydrant-client/wire'
import { HydrantError } from '../hub/errors.ts'
import type { CheckedEvent } from '../hub/event.ts'
import type { Limits } from '../hub/limits.ts'
import { quote } from '../hub/topic.ts'
import type { Idempotency, IfLast } from './engine.ts'
import type { RedisArgs } from './redis-client.ts'
import { listOf, numberOf, packBody, slotOf, textOf } from './redis-layout.ts'

/** What stays the same over all calls of a node. */
export interface RedisSettings {
  readonly limits: Limits
  readonly hasHistory: boolean
  readonly logBytesMax: number
  readonly logEventsMax: number
  /** 0: no bound. */
  readonly logAgeMs: number
  /** Milliseconds since 1970; undefined: the server's clock, one for all nodes. */
  readonly nowMs: (() => number) | undefined
}

/** Where a node is in the log. */
export interface RedisPosition {
  readonly epoch: string
  readonly head: number
  /** The name of the next epoch, should one begin. */
  readonly next: string
}

/** A mark that is asked for. */
export interface MarkRequest {
  readonly channel: string
  /** 0 where an append asks. */
  readonly number: number
  readonly slots: readonly number[]
  readonly topics: readonly string[]
}

/** Where the log is after a call, and what became of the requests. */
export interface CommitReply {
  readonly epoch: string
  readonly head: number
  readonly floor: number
  readonly bytes: number
  readonly outcomes: readonly string[]
}

/** A request to append, packed. */
export interface PackedRequest {
  readonly bytes: Buffer
  readonly slots: readonly number[]
}

const REQUEST_HEAD_BYTES = 14
const EVENT_HEAD_BYTES = 5

/** The arguments of a call. */
export function commitArgs(
  { limits, hasHistory, logBytesMax, logEventsMax, logAgeMs, nowMs }: RedisSettings,
  { epoch, head, next }: RedisPosition,
  requests: readonly PackedRequest[],
  mark: MarkRequest | undefined,
): RedisArgs {
  const numbers = [logEventsMax, logBytesMax, logAgeMs, limits.trimmedTopicsMax, limits.epochsMax]
  return [
    nowMs === undefined ? '' : String(Math.trunc(nowMs())),
    epoch,
    String(head),
    next,
    hasHistory ? '1' : '0',
    ...[...numbers, limits.idempotencyMs, limits.idempotencyKeysMax].map(luaNumber),
    Buffer.concat(requests.map(({ bytes }) => bytes)),
    String(requests.length),
    mark?.channel ?? '',
    String(mark?.number ?? 0),
    Buffer.from(mark?.slots ?? []),
    ...(mark?.topics ?? []),
  ]
}

/** Reads the answer of a call. */
export function parseCommit(reply: unknown): CommitReply {
  const [epoch, head, floor, bytes, outcomes] = listOf(reply)
  return {
    epoch: textOf(epoch),
    head: numberOf(head),
    floor: numberOf(floor),
    bytes: numberOf(bytes),
    outcomes: listOf(outcomes).map(textOf),
  }
}

/** A request as the script takes it. Throws a HydrantError when its condition makes no sense. */
export function packRequest(
  batch: readonly CheckedEvent[],
  idempotency: Idempotency | undefined,
  ifLast: IfLast | undefined,
): PackedRequest {
  if (ifLast !== undefined && batch.some(({ topic }) => topic !== batch[0]?.topic))
    throw new HydrantError('malformed-event', 'ifLast is for events of one topic.')
  const texts = [idempotency?.key ?? '', idempotency?.fingerprint ?? '', ifLast ?? ''].map((text) => Buffer.from(text))
  const slots = new Set<number>()
  const parts: Buffer[] = []
  let bytes = 0
  for (const event of batch) {
    const slot = slotOf(event.topic)
    const body = packBody(event)
    const head = Buffer.allocUnsafe(EVENT_HEAD_BYTES)
    head[0] = slot
    head.writeUInt32BE(body.length, 1)
    slots.add(slot)
    parts.push(head, body)
    bytes += EVENT_HEAD_BYTES + body.length
  }
  const head = Buffer.allocUnsafe(REQUEST_HEAD_BYTES)
  for (const [at, text] of texts.entries()) head.writeUInt16BE(text.length, 2 * at)
  head.writeUInt32BE(batch.length, 6)
  head.writeUInt32BE(bytes, 10)
  return { bytes: Buffer.concat([head, ...texts, ...parts]), slots: [...slots] }
}

/** The ids of a request by its outcome. Throws a HydrantError when it was refused. */
export function idsOf(outcome: string | undefined, batch: readonly CheckedEvent[]): readonly string[] {
  const [word = '', ...rest] = (outcome ?? '').split(' ')
  const [detail = ''] = rest
  if (word.startsWith('+') || word.startsWith('='))
    return batch.map((_, at) => formatId(word.slice(1), Number(detail) + at))
  if (word === 'key') {
    throw new HydrantError(
      'idempotency-conflict',
      'This idempotency key stands for a request with another body. Use a new key for a new event.',
    )
  }
  if (word === 'ended')
    throw new HydrantError('topic-ended', `The topic ${quote(detail)} has ended; nothing can follow.`)
  if (word === 'last') {
    const topic = quote(batch[0]?.topic ?? '')
    throw new HydrantError('last-conflict', `The newest event of ${topic} is ${detail}, not what ifLast says.`)
  }
  throw new HydrantError('unavailable', 'Redis answered nothing that could be understood.')
}

function luaNumber(value: number): string {
  return Number.isFinite(value) ? String(value) : '1e300'
}
