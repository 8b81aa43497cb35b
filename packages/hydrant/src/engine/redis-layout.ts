// How the log is laid out in Redis: which slot a topic has, and the bytes of events, requests, messages and marks.
//
//   body      flags (1: bytes, 2: has a key), lengths of topic, type and key (16 bits each), topic, type, key, data
//   message   epoch (12 letters), four doubles: the offset before the call, its last, its time, and the slot's offset
//             before; how many slots the call has (16 bits) and which, in the order of their messages; then for each
//             event of this slot: its place in the call, the length of its body (32 bits each), its body
//
// Topics come first in a body, so that who does not want one need not look at the rest.

import { LogEvent, type CheckedEvent } from '../hub/event.ts'
import type { Selection } from '../hub/selection.ts'

/** Slots of a log: topics by their hash. */
export const SLOTS = 256

/** All of them. */
export const ALL_SLOTS: readonly number[] = Array.from({ length: SLOTS }, (_, slot) => slot)

const HAS_BYTES = 1
const HAS_KEY = 2
const BODY_HEAD_BYTES = 7
const EPOCH_LETTERS = 12
const MESSAGE_HEAD_BYTES = EPOCH_LETTERS + 4 * 8 + 2

/** The slot of a topic: FNV-1a, folded. Part of the layout: nodes of different versions must agree. */
export function slotOf(topic: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < topic.length; at += 1) hash = Math.imul(hash ^ topic.charCodeAt(at), 0x01000193)
  return (hash ^ (hash >>> 8) ^ (hash >>> 16) ^ (hash >>> 24)) & (SLOTS - 1)
}

/** The slots of the topics that can be selected. */
export function slotsOf({ exactTopics }: Selection): readonly number[] {
  return exactTopics === undefined ? ALL_SLOTS : [...new Set(exactTopics.map(slotOf))]
}

/** The names of a log. All have one hash tag, and so one place in a cluster. */
export class RedisNames {
  readonly #prefix: string
  readonly log: string
  readonly order: string
  readonly trimmed: string
  readonly trimmedTopics: string
  readonly trimmedNewest: string
  readonly trimmedNewestTopics: string
  readonly ends: string

  constructor(prefix: string) {
    this.#prefix = `{${prefix}}:`
    this.log = `${this.#prefix}log`
    this.order = `${this.#prefix}order`
    this.trimmed = `${this.#prefix}trimmed`
    this.trimmedTopics = `${this.#prefix}trimmed:topics`
    this.trimmedNewest = `${this.#prefix}trimmed:newest`
    this.trimmedNewestTopics = `${this.#prefix}trimmed:newest:topics`
    this.ends = `${this.#prefix}ends`
  }

  /** The stream of a slot. */
  stream(slot: number): string {
    return `${this.#prefix}s${slot}`
  }

  /** The newest of each topic and key of a slot. */
  keys(slot: number): string {
    return `${this.#prefix}k${slot}`
  }

  /** The newest of each topic, key and type of a slot. */
  kinds(slot: number): string {
    return `${this.#prefix}y${slot}`
  }

  /** The channel of a slot. */
  channel(slot: number): string {
    return this.#prefix + slot
  }

  /** The channel of a node. */
  nodeChannel(node: string): string {
    return `${this.#prefix}n${node}`
  }

  /** Whose channel it is: a slot, or undefined for a node's. */
  slotOfChannel(channel: string): number | undefined {
    const slot = Number(channel.slice(this.#prefix.length))
    return Number.isInteger(slot) ? slot : undefined
  }
}

/** An event as it is stored. */
export function packBody({ topic, type, key, data }: CheckedEvent): Buffer {
  const [topicBytes, typeBytes] = [Buffer.byteLength(topic), Buffer.byteLength(type)]
  const keyBytes = key === undefined ? 0 : Buffer.byteLength(key)
  const dataBytes = typeof data === 'string' ? Buffer.byteLength(data) : data.length
  const body = Buffer.allocUnsafe(BODY_HEAD_BYTES + topicBytes + typeBytes + keyBytes + dataBytes)
  body[0] = (typeof data === 'string' ? 0 : HAS_BYTES) | (key === undefined ? 0 : HAS_KEY)
  body.writeUInt16BE(topicBytes, 1)
  body.writeUInt16BE(typeBytes, 3)
  body.writeUInt16BE(keyBytes, 5)
  let at = BODY_HEAD_BYTES
  at += body.write(topic, at)
  at += body.write(type, at)
  if (key !== undefined) at += body.write(key, at)
  if (typeof data === 'string') body.write(data, at)
  else body.set(data, at)
  return body
}

/** The topic of a body. */
export function topicOfBody(body: Buffer): string {
  return body.toString('latin1', BODY_HEAD_BYTES, BODY_HEAD_BYTES + body.readUInt16BE(1))
}

/** The event of a body. */
export function unpackBody(body: Buffer): CheckedEvent {
  const flags = body[0] ?? 0
  const typeAt = BODY_HEAD_BYTES + body.readUInt16BE(1)
  const keyAt = typeAt + body.readUInt16BE(3)
  const dataAt = keyAt + body.readUInt16BE(5)
  return {
    topic: body.toString('latin1', BODY_HEAD_BYTES, typeAt),
    type: body.toString('utf8', typeAt, keyAt),
    key: (flags & HAS_KEY) === 0 ? undefined : body.toString('utf8', keyAt, dataAt),
    // A copy: the rest of a large answer must not live as long as one event of it.
    data:
      (flags & HAS_BYTES) === 0 ? body.toString('utf8', dataAt, body.length) : Uint8Array.from(body.subarray(dataAt)),
  }
}

/** The events of one slot that one call of the script stored. */
export interface SlotMessage {
  readonly epoch: string
  /** The offset before the call, over all slots. */
  readonly base: number
  /** The last offset of the call, over all slots. */
  readonly to: number
  /** The slot's last offset before the call. */
  readonly before: number
  /** The slots of the call, in the order of their messages. */
  readonly slots: Buffer
  /** The slot's last offset. */
  readonly last: number
  readonly events: readonly LogEvent[]
}

/** Takes a message apart; of events whose topic is not wanted only as much as that takes. */
export function unpackMessage(message: Buffer, isWanted: (topic: string) => boolean): SlotMessage {
  const epoch = message.toString('latin1', 0, EPOCH_LETTERS)
  const base = message.readDoubleBE(EPOCH_LETTERS)
  const to = message.readDoubleBE(EPOCH_LETTERS + 8)
  const timeMs = message.readDoubleBE(EPOCH_LETTERS + 16)
  const before = message.readDoubleBE(EPOCH_LETTERS + 24)
  let at = MESSAGE_HEAD_BYTES + message.readUInt16BE(MESSAGE_HEAD_BYTES - 2)
  const slots = message.subarray(MESSAGE_HEAD_BYTES, at)
  const events: LogEvent[] = []
  let last = before
  while (at < message.length) {
    last = base + message.readUInt32BE(at)
    const end = at + 8 + message.readUInt32BE(at + 4)
    const body = message.subarray(at + 8, end)
    if (isWanted(topicOfBody(body))) events.push(new LogEvent(epoch, last, timeMs, unpackBody(body)))
    at = end
  }
  return { epoch, base, to, before, slots, last, events }
}

/** An entry of a slot's stream. */
export interface SlotEntry {
  readonly offset: number
  readonly body: Buffer
  readonly timeMs: number
  /** The slot's offset before. */
  readonly before: number
}

/** Reads an answer of XRANGE or XREVRANGE on a slot's stream. */
export function entriesOf(reply: unknown): SlotEntry[] {
  return listOf(reply).map((entry) => {
    const [id, fields] = listOf(entry)
    const [, body, , info] = listOf(fields)
    const [timeMs = 0, before = 0] = textOf(info).split(' ').map(Number)
    return { offset: Number.parseInt(textOf(id), 10), body: bytesOf(body), timeMs, before }
  })
}

/** A call of the script, as the log's order remembers it. */
export interface OrderEntry {
  /** The offset before its first. */
  readonly from: number
  readonly to: number
  /** The slot of each of its offsets. */
  readonly slots: Buffer
  readonly bytes: number
}

/** Reads an answer of XRANGE or XREVRANGE on the order. */
export function orderOf(reply: unknown): OrderEntry[] {
  return listOf(reply).map((entry) => {
    const [id, fields] = listOf(entry)
    const [, slots, , bytes] = listOf(fields)
    const to = Number.parseInt(textOf(id), 10)
    const slotBytes = bytesOf(slots)
    return { from: to - slotBytes.length, to, slots: slotBytes, bytes: numberOf(bytes) }
  })
}

/** A list of an answer; an answer of another shape is none of ours, and empty. */
export function listOf(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : []
}

/** A text of an answer, empty where there is none. */
export function textOf(reply: unknown): string {
  if (Buffer.isBuffer(reply)) return reply.toString('utf8', 0, reply.length)
  return typeof reply === 'string' || typeof reply === 'number' ? String(reply) : ''
}

/** A number of an answer, 0 where there is none. */
export function numberOf(reply: unknown): number {
  return Number(textOf(reply)) || 0
}

function bytesOf(reply: unknown): Buffer {
  return Buffer.isBuffer(reply) ? reply : Buffer.from(textOf(reply))
}
