// A connection to NATS, and what the engine says over it: the only file that knows the driver.
//
// A link does not reconnect. When it is lost everything under way on it fails at once, nothing is held back to be sent
// later, and the engine makes another: so nothing is published before the log was looked at anew.

import {
  DeliverPolicy,
  JetStreamApiError,
  jetstreamManager,
  PubHeaders,
  type ConsumerConfig,
  type JetStreamManager,
  type MsgRequest,
  type StreamConfig,
} from '@nats-io/jetstream'
import {
  connect,
  createInbox,
  credsAuthenticator,
  headers,
  type Msg,
  type NatsConnection,
  type Subscription,
} from '@nats-io/transport-node'
import { NatsAcks, type Stored } from './nats-acks.ts'
import { NatsLost, NatsRefusal, REFUSALS } from './nats-errors.ts'
import { storedNsOf, type NatsMessage } from './nats-message.ts'
import type { NatsSettings } from './nats-options.ts'

/** A stream as it is now. */
export interface StreamState {
  /** When it was made: another stream of the same name has another. */
  readonly created: string
  /** Nothing before this is kept; one more than `last` when nothing is. */
  readonly first: number
  readonly last: number
}

/** A message to store. */
export interface Publication {
  readonly subject: string
  readonly data: string | Uint8Array
  readonly headers: readonly (readonly [string, string])[]
  /** Only when this is the newest of the stream. */
  readonly expectedLast?: number
  /** Only when this is the newest of its subject; 0: when its subject has none. */
  readonly expectedSubjectLast?: number
  /** Not at all: only to learn whether its message id is known. */
  readonly isQuestion?: boolean
}

/** Where a consumer begins. */
export type ConsumerStart = { readonly seq: number } | { readonly timeMs: number } | 'last-per-subject'

/** What a consumer brings. */
export interface ConsumerRequest {
  readonly start: ConsumerStart
  /** Subjects; undefined for everything. More than one only where `hasManyFilters`. */
  readonly filters: readonly string[] | undefined
  readonly headersOnly?: boolean
  /** Where it sends to by itself; undefined when it is pulled. */
  readonly inbox?: string
  /** How long it lives when nobody asks for it. */
  readonly idleMs: number
}

/** A consumer as it was made. */
export interface ConsumerState {
  readonly name: string
  /** It begins right after this place. */
  readonly sentTo: number
}

/** How often NATS is asked whether it is there, so that a connection that is cut without a word is noticed. */
const PING_MS = 5_000
/** How often a consumer that has nothing to send says that it is there. */
export const HEARTBEAT_MS = 2_000

const NANOS_PER_MS = 1_000_000
const ACK = '$JS.ACK.'
/** Of no message: keys are escaped. */
const NO_MESSAGE_ID = '$ none'

/** See the head of the file. */
export class NatsLink {
  /** One run of a server: it has another after a restart. */
  readonly run: string
  /** Resolves with a sentence when the connection is gone, whoever ended it. */
  readonly closed: Promise<string>
  /** Whether a consumer can have several filters: since NATS 2.10. */
  readonly hasManyFilters: boolean
  readonly payloadBytesMax: number
  readonly stream: string
  readonly #settings: NatsSettings
  readonly #connection: NatsConnection
  readonly #acks: NatsAcks
  readonly #manager: JetStreamManager

  private constructor(settings: NatsSettings, connection: NatsConnection, manager: JetStreamManager) {
    this.#settings = settings
    this.#connection = connection
    this.#manager = manager
    this.stream = settings.stream
    this.run = connection.info?.server_id ?? ''
    this.payloadBytesMax = connection.info?.max_payload ?? 0
    this.hasManyFilters = isAtLeast(connection.info?.version ?? '', [2, 10])
    this.closed = connection.closed().then((error) => `NATS closed the connection${wordsOf(error)}.`)
    const inbox = createInbox()
    this.#acks = new NatsAcks(inbox, settings.answerMs)
    this.listen(`${inbox}.*`, (answer) => this.#acks.take(answer))
    void this.closed.then((reason) => this.#acks.end(reason))
    this.#swallowStatus().catch(() => {}) // it ends with the connection, whose end is told by `closed`
  }

  /** Connects. Rejects with NatsLost. */
  static async connect(settings: NatsSettings): Promise<NatsLink> {
    const { servers, user, password, token, credentials, tls, answerMs } = settings
    try {
      const connection = await connect({
        servers: [...servers],
        name: 'hydrant',
        reconnect: false,
        ignoreClusterUpdates: true,
        noAsyncTraces: true,
        timeout: answerMs,
        pingInterval: PING_MS,
        maxPingOut: 2,
        ...(user === undefined ? {} : { user }),
        ...(password === undefined ? {} : { pass: password }),
        ...(token === undefined ? {} : { token }),
        ...(credentials === undefined
          ? {}
          : { authenticator: credsAuthenticator(new TextEncoder().encode(credentials)) }),
        ...(tls === undefined ? {} : { tls }),
      })
      const manager = await jetstreamManager(connection, { ...apiOf(settings), checkAPI: false })
      return new NatsLink(settings, connection, manager)
    } catch (error) {
      throw new NatsLost(`NATS at ${servers.join(', ')} cannot be reached${wordsOf(error)}.`, { cause: error })
    }
  }

  /** Undefined when there is no such stream. */
  async streamState(): Promise<StreamState | undefined> {
    try {
      const { created, state } = await ask(() => this.#manager.streams.info(this.stream))
      return { created, first: Math.max(1, state.first_seq), last: state.last_seq }
    } catch (error) {
      if (error instanceof NatsRefusal && error.code === REFUSALS.streamNotFound) return undefined
      throw error
    }
  }

  /** Makes the stream; nothing happens when it is there, made the same way. */
  async makeStream(subject: string): Promise<void> {
    const { retention, replicas, idempotencyMs } = this.#settings
    const ageMs = retention.logAgeMs ?? 0
    const config: Partial<StreamConfig> & { name: string } = {
      name: this.stream,
      subjects: [subject],
      max_bytes: retention.logBytesMax ?? 1_073_741_824,
      max_msgs: retention.logEventsMax ?? -1,
      max_age: ageMs * NANOS_PER_MS,
      duplicate_window: (ageMs === 0 ? idempotencyMs : Math.min(idempotencyMs, ageMs)) * NANOS_PER_MS,
      num_replicas: replicas,
    }
    await ask(() => this.#manager.streams.add(config))
  }

  /** The newest message of a subject, undefined when none is kept. */
  async lastOf(subject: string): Promise<NatsMessage | undefined> {
    return this.#message({ last_by_subj: subject })
  }

  /** The first message of a subject at or after a place; undefined when there is none. */
  async nextOf(subject: string, seq: number): Promise<NatsMessage | undefined> {
    const query = { seq, next_by_subj: subject } // the driver's types know it of direct requests only
    return this.#message(query)
  }

  /** Where the newest message stands that one of these subjects matches; 0 when none is kept. */
  async lastSeqOf(subjects: readonly string[]): Promise<number> {
    const messages = await Promise.all(subjects.map((subject) => this.lastOf(subject)))
    return Math.max(...messages.map((message) => message?.seq ?? 0))
  }

  /** A message by its place, undefined when it is not kept. */
  async messageAt(seq: number): Promise<NatsMessage | undefined> {
    return this.#message({ seq })
  }

  /** Takes a message out of the stream. */
  async erase(seq: number): Promise<void> {
    await ask(() => this.#manager.streams.deleteMessage(this.stream, seq, false))
  }

  /** Stores a message. What is called first is sent first. */
  publish({ subject, data, headers: rows, ...condition }: Publication): Promise<Stored> {
    const sent = headers()
    for (const [name, value] of rows) sent.set(name, value)
    for (const [name, value] of conditionOf(condition)) sent.set(name, value)
    return this.#acks.ask((reply) => this.#connection.publish(subject, data, { reply, headers: sent }))
  }

  async makeConsumer(request: ConsumerRequest): Promise<ConsumerState> {
    const { name, delivered } = await ask(() => this.#manager.consumers.add(this.stream, configOf(request)))
    return { name, sentTo: delivered.stream_seq }
  }

  /** Takes a consumer away; what goes wrong is no matter, for it ends by itself when nobody asks for it. */
  dropConsumer(name: string): void {
    if (!this.#connection.isClosed()) this.#manager.consumers.delete(this.stream, name).catch(() => {}) // see above
  }

  /** A subject for answers. */
  inbox(): string {
    return createInbox()
  }

  /** Listens to a subject. The answer stops it. */
  listen(inbox: string, on: (message: Msg) => void): () => void {
    const subscription: Subscription = this.#connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error === null) on(message)
      },
    })
    return () => subscription.unsubscribe()
  }

  /** Says something without asking for an answer. */
  say(subject: string, text: string, reply?: string): void {
    if (this.#connection.isClosed()) return
    this.#connection.publish(subject, text, reply === undefined ? {} : { reply })
  }

  /** The subject at which a consumer is asked for messages. */
  pullSubject(consumer: string): string {
    const { domain } = this.#settings
    return `$JS.${domain === undefined ? '' : `${domain}.`}API.CONSUMER.MSG.NEXT.${this.stream}.${consumer}`
  }

  /** Ends it; what is under way fails. */
  async close(): Promise<void> {
    await this.#connection.close().catch(() => {}) // it was gone already
  }

  async #message(query: MsgRequest): Promise<NatsMessage | undefined> {
    const stored = await ask(() => this.#manager.streams.getMessage(this.stream, query))
    if (stored === null) return undefined
    return {
      subject: stored.subject,
      seq: stored.seq,
      consumerSeq: 0,
      storedNs: storedNsOf(stored.timestamp),
      header: (name) => stored.header.get(name),
      data: stored.data,
    }
  }

  /** Somebody has to listen, or the driver keeps them all. */
  async #swallowStatus(): Promise<void> {
    for await (const _ of this.#connection.status()) continue
  }
}

/** A message as a consumer sends it; undefined for what it says of itself. */
export function deliveredMessage(message: Msg): NatsMessage | undefined {
  const { reply = '' } = message
  if (!reply.startsWith(ACK)) return undefined
  const tokens = reply.split('.')
  const at = tokens.length > 9 ? 4 : 2 // newer servers may name a domain and an account first
  return {
    subject: message.subject,
    seq: Number(tokens[at + 3]),
    consumerSeq: Number(tokens[at + 4]),
    storedNs: tokens[at + 5] ?? '',
    header: (name) => message.headers?.get(name) ?? '',
    data: message.data,
  }
}

/** NATS looks for known message ids after all conditions but that of the last message id. */
function* conditionOf({
  expectedLast,
  expectedSubjectLast,
  isQuestion = false,
}: Pick<Publication, 'expectedLast' | 'expectedSubjectLast' | 'isQuestion'>): Generator<[string, string]> {
  if (expectedLast !== undefined) yield [PubHeaders.ExpectedLastSeqHdr, String(expectedLast)]
  if (expectedSubjectLast !== undefined) yield [PubHeaders.ExpectedLastSubjectSequenceHdr, String(expectedSubjectLast)]
  if (isQuestion) yield [PubHeaders.ExpectedLastMsgIdHdr, NO_MESSAGE_ID]
}

function configOf({ start, filters, headersOnly = false, inbox, idleMs }: ConsumerRequest): Partial<ConsumerConfig> {
  return {
    ...startOf(start),
    ack_policy: 'none',
    max_deliver: 1,
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: idleMs * NANOS_PER_MS,
    ...(headersOnly ? { headers_only: true } : {}),
    ...filterOf(filters),
    ...(inbox === undefined
      ? {}
      : { deliver_subject: inbox, flow_control: true, idle_heartbeat: HEARTBEAT_MS * NANOS_PER_MS }),
  }
}

function startOf(start: ConsumerStart): Partial<ConsumerConfig> {
  if (start === 'last-per-subject') return { deliver_policy: DeliverPolicy.LastPerSubject }
  if ('seq' in start) return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: start.seq }
  return { deliver_policy: DeliverPolicy.StartTime, opt_start_time: new Date(start.timeMs).toISOString() }
}

function filterOf(filters: readonly string[] | undefined): Partial<ConsumerConfig> {
  const [only, ...others] = filters ?? []
  if (only === undefined) return {}
  return others.length === 0 ? { filter_subject: only } : { filter_subjects: [only, ...others] }
}

function apiOf({ domain, answerMs }: NatsSettings): { domain?: string; timeout: number } {
  return { timeout: answerMs, ...(domain === undefined ? {} : { domain }) }
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [isMajor = 0, isMinor = 0] = version.split('.').map(Number)
  return isMajor > major || (isMajor === major && isMinor >= minor)
}

async function ask<Answer>(question: () => Promise<Answer>): Promise<Answer> {
  try {
    return await question()
  } catch (error) {
    if (error instanceof JetStreamApiError) throw new NatsRefusal(error.code, error.message)
    throw new NatsLost(`NATS does not answer${wordsOf(error)}.`, { cause: error })
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? `: ${error.message.toLowerCase()}` : ''
}
