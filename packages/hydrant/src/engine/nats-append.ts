// Appending: one event, one message, acknowledged by NATS, carried by the tail, then answered.
//
//   plain             sent at once, many under way: NATS keeps the order in which they are sent
//   ends, ifLast      nothing else is under way while they are; what comes meanwhile waits, in its order
//
// NATS can make an append depend on the newest message of the stream, not on that of a topic with all its keys. So
// `ifLast` is looked up, and the message stored only if nothing at all came in between, else looked up again. What
// ended is told by the tail: see nats-ends.ts.

import { CONTROL_TYPES } from 'hydrant-client/wire'
import { HydrantError, InvariantError } from '../hub/errors.ts'
import type { CheckedEvent } from '../hub/event.ts'
import type { Limits } from '../hub/limits.ts'
import { quote } from '../hub/topic.ts'
import type { Idempotency, IfLast } from './engine.ts'
import { isUnknownRequest, isWrongLast, unavailable } from './nats-errors.ts'
import type { Stored } from './nats-acks.ts'
import type { NatsLink, Publication } from './nats-link.ts'
import type { NatsLog } from './nats-log.ts'
import { eventHeader, HEADERS, parseRequest, requestHeader, subjectOf } from './nats-message.ts'
import { escapeKey } from './nats-subject.ts'

/** Data that is under way at once; beyond it, publishers are told to come again. */
const UNDER_WAY_BYTES_MAX = 67_108_864
const UNDER_WAY_MAX = 65_536
/** What a message has beside its data: its headers. */
const OVERHEAD_BYTES = 4_096
/** How often `ifLast` is looked up again when others write in between. */
const CONDITION_TRIES_MAX = 100
/** How often a key is found to be of a request that is too old. */
const KEY_TRIES_MAX = 100

/** What appending needs of the engine. */
export interface NatsAppendParts {
  readonly log: NatsLog
  readonly limits: Limits
  readonly nowMs: () => number
  /** The connection; throws `unavailable` when there is none. */
  link(): NatsLink
}

/** See the head of the file. */
export class NatsAppend {
  readonly #parts: NatsAppendParts
  /** Resolves when everything that has to come first is done; undefined when nothing has. */
  #turn: Promise<unknown> | undefined
  readonly #underWay = new Set<Promise<unknown>>()
  #bytes = 0
  /** Requests with a key that are under way. */
  readonly #requests = new Map<string, { readonly fingerprint: string; readonly id: Promise<string> }>()
  /** Looks at what the tail does not bring, by topic, which begin at the end of this turn. */
  readonly #looks = new Map<string, Promise<void>>()

  constructor(parts: NatsAppendParts) {
    this.#parts = parts
  }

  /** Stores one event; answers its id. */
  append(event: CheckedEvent, idempotency: Idempotency | undefined, ifLast: IfLast | undefined): Promise<string> {
    if (idempotency === undefined) return this.#inTurn(event, undefined, ifLast)
    const known = this.#requests.get(idempotency.key)
    if (known !== undefined) {
      return known.fingerprint === idempotency.fingerprint ? known.id : Promise.reject(keyConflict())
    }
    const id = this.#inTurn(event, idempotency, ifLast)
    this.#requests.set(idempotency.key, { fingerprint: idempotency.fingerprint, id })
    const forget = (): void => void this.#requests.delete(idempotency.key)
    id.then(forget, forget)
    return id
  }

  #inTurn(event: CheckedEvent, idempotency: Idempotency | undefined, ifLast: IfLast | undefined): Promise<string> {
    const bytes = event.data.length * (typeof event.data === 'string' ? 3 : 1)
    if (this.#bytes + bytes > UNDER_WAY_BYTES_MAX || this.#underWay.size >= UNDER_WAY_MAX) {
      return Promise.reject(unavailable('More is waiting to be stored than NATS keeps up with. Try again.'))
    }
    const isAlone = event.type === CONTROL_TYPES.end || ifLast !== undefined
    const appended = isAlone ? this.#alone(event, idempotency, ifLast) : this.#beside(event, idempotency)
    this.#bytes += bytes
    this.#underWay.add(appended)
    const settled = (): void => {
      this.#bytes -= bytes
      this.#underWay.delete(appended)
    }
    appended.then(settled, settled)
    return appended
  }

  #alone(event: CheckedEvent, idempotency: Idempotency | undefined, ifLast: IfLast | undefined): Promise<string> {
    const before = [...this.#underWay, ...(this.#turn === undefined ? [] : [this.#turn])]
    const appended = Promise.allSettled(before).then(() =>
      ifLast === undefined ? this.#store(event, idempotency) : this.#storeIfLast(event, idempotency, ifLast),
    )
    this.#takeTurn(appended)
    return appended
  }

  #beside(event: CheckedEvent, idempotency: Idempotency | undefined): Promise<string> {
    if (this.#turn === undefined) return this.#store(event, idempotency)
    let appended: Promise<string> | undefined
    const sent = this.#turn.then(() => void (appended = this.#store(event, idempotency)))
    this.#takeTurn(sent)
    return sent.then(() => appended ?? Promise.reject(new InvariantError('an append had its turn and was not sent')))
  }

  #takeTurn(done: Promise<unknown>): void {
    const turn: Promise<void> = done
      .catch(() => {}) // told to its caller
      .then(() => {
        if (this.#turn === turn) this.#turn = undefined
        return undefined
      })
    this.#turn = turn
  }

  async #store(
    event: CheckedEvent,
    idempotency: Idempotency | undefined,
    condition: Pick<Publication, 'expectedLast'> = {},
  ): Promise<string> {
    const { log } = this.#parts
    const link = this.#parts.link()
    checkSize(event, link.payloadBytesMax)
    if (log.ends.of(event.topic) !== undefined) return this.#refuseUnlessKnown(event, idempotency, topicEnded(event))
    const publisherHead = log.head
    const stored = await this.#publish(link, event, idempotency, condition)
    if (stored.isDuplicate) return this.#idOf(stored.seq)
    log.acked = Math.max(log.acked, stored.seq)
    await this.#settled(link, event, stored.seq)
    if (!log.ends.isVoid(event.topic, stored.seq, publisherHead)) return this.#idOf(stored.seq)
    link.erase(stored.seq).catch(() => {}) // everybody leaves it out, whether it is there or not
    throw topicEnded(event)
  }

  /** Only if the topic's newest event has this id. */
  async #storeIfLast(event: CheckedEvent, idempotency: Idempotency | undefined, ifLast: IfLast): Promise<string> {
    const { log } = this.#parts
    for (let tries = 0; tries < CONDITION_TRIES_MAX; tries += 1) {
      const link = this.#parts.link()
      if (log.ends.of(event.topic) !== undefined) return this.#refuseUnlessKnown(event, idempotency, topicEnded(event))
      const state = await link.streamState()
      const last = state?.last ?? 0
      const newest = await link.lastOf(log.subjects.filter(event.topic))
      if (newest !== undefined && newest.seq > last) continue
      const lastId = newest === undefined ? 'none' : this.#idOf(newest.seq)
      if (lastId !== ifLast) return this.#refuseUnlessKnown(event, idempotency, lastConflict(event, lastId, ifLast))
      try {
        return await this.#store(event, idempotency, { expectedLast: last })
      } catch (error) {
        if (!isWrongLast(error)) throw error
      }
    }
    throw unavailable('Others write to the log faster than a condition on it can be checked. Try again.')
  }

  /** A known key comes before what would be refused. */
  async #refuseUnlessKnown(
    event: CheckedEvent,
    idempotency: Idempotency | undefined,
    error: HydrantError,
  ): Promise<string> {
    if (idempotency === undefined) throw error
    try {
      const { seq } = await this.#publish(this.#parts.link(), event, idempotency, { isQuestion: true })
      return this.#idOf(seq)
    } catch (other) {
      throw isUnknownRequest(other) ? error : other
    }
  }

  /**
   * NATS remembers a key as long as its stream says. Where that is longer than we promise, the first request's time
   * becomes part of the key, for everybody alike.
   */
  async #publish(
    link: NatsLink,
    event: CheckedEvent,
    idempotency: Idempotency | undefined,
    condition: Pick<Publication, 'expectedLast' | 'isQuestion'>,
  ): Promise<Stored> {
    const { log, limits, nowMs } = this.#parts
    const { data } = event
    const rows: (readonly [string, string])[] = [[HEADERS.event, eventHeader(event, log.head)]]
    const subject = subjectOf(log.subjects, event)
    if (idempotency === undefined) return link.publish({ subject, data, headers: rows, ...condition })
    rows.push([HEADERS.request, requestHeader(idempotency, nowMs())])
    let messageId = escapeKey(idempotency.key)
    for (let tries = 0; tries < KEY_TRIES_MAX; tries += 1) {
      const headers = [...rows, [HEADERS.messageId, messageId] as const]
      const stored = await link.publish({ subject, data, headers, ...condition })
      if (!stored.isDuplicate) return stored
      const message = await link.messageAt(stored.seq) // may be trimmed: then nothing more is known than its place
      const request = message === undefined ? undefined : parseRequest(message.header(HEADERS.request))
      if (request === undefined || nowMs() - request.madeMs < limits.idempotencyMs) {
        if (request === undefined || request.fingerprint === escapeKey(idempotency.fingerprint)) return stored
        throw keyConflict()
      }
      messageId = `${escapeKey(idempotency.key)}.${request.madeMs}`
    }
    throw unavailable('The idempotency key was used too often.')
  }

  /**
   * What the event depends on is known: everything before it, or, where the tail does not bring it, its topic's end.
   */
  async #settled(link: NatsLink, event: CheckedEvent, seq: number): Promise<void> {
    const { log } = this.#parts
    if (log.followed.coversSubject(subjectOf(log.subjects, event))) return log.reached(seq)
    const due = this.#looks.get(event.topic)
    if (due !== undefined) return due
    const look = new Promise(setImmediate).then(() => {
      this.#looks.delete(event.topic)
      return this.#look(link, event.topic)
    })
    this.#looks.set(event.topic, look)
    return look
  }

  /** Waits until the tail has brought the newest end of a topic and the newest term, which it always does. */
  async #look(link: NatsLink, topic: string): Promise<void> {
    const { log } = this.#parts
    const [end, term] = await Promise.all([link.lastOf(log.subjects.end(topic)), link.lastOf(log.subjects.term)])
    await log.reached(Math.max(end?.seq ?? 0, term?.seq ?? 0))
  }

  #idOf(seq: number): string {
    return this.#parts.log.bounds.epochs.idAt(seq)
  }
}

function checkSize({ data, topic }: CheckedEvent, payloadBytesMax: number): void {
  const bytes = typeof data === 'string' ? Buffer.byteLength(data) : data.length
  if (bytes + OVERHEAD_BYTES <= payloadBytesMax) return
  throw new HydrantError(
    'event-too-large',
    `The event of ${quote(topic)} has ${bytes} bytes; NATS takes ${payloadBytesMax}, headers included (max_payload).`,
  )
}

function topicEnded({ topic }: CheckedEvent): HydrantError {
  return new HydrantError('topic-ended', `The topic ${quote(topic)} has ended; nothing can follow.`)
}

function lastConflict({ topic }: CheckedEvent, lastId: string, ifLast: IfLast): HydrantError {
  return new HydrantError('last-conflict', `The newest event of ${quote(topic)} is ${lastId}, not ${quote(ifLast)}.`)
}

function keyConflict(): HydrantError {
  return new HydrantError(
    'idempotency-conflict',
    'This idempotency key stands for a request with another body. Use a new key for a new event.',
  )
}
