// What a client of the subprotocol may say, checked: from JSON of a stranger to a message of ours.

import type { LagPolicy } from 'hydrant-client/wire'
import { parseId } from 'hydrant-client/wire'
import { HydrantError } from '../hub/errors.ts'
import type { EventInput } from '../hub/event.ts'
import { parseSince, type StartRequest } from '../hub/start.ts'
import { quote } from '../hub/topic.ts'
import { parseBase64 } from './envelope.ts'

/** A wish to subscribe. */
export interface ParsedSubscribe {
  readonly kind: 'subscribe'
  readonly sub: number
  readonly topics: readonly string[]
  readonly types: readonly string[]
  readonly start: StartRequest
  readonly lag: LagPolicy | undefined
}

/** A wish to publish. */
export interface ParsedPublish {
  readonly kind: 'publish'
  readonly event: EventInput
  readonly ack: number | undefined
  readonly idempotencyKey: string | undefined
  readonly ifLast: string | undefined
}

/** A wish to end a topic. */
export interface ParsedEnd {
  readonly kind: 'end'
  readonly topic: string
  readonly ack: number | undefined
  readonly idempotencyKey: string | undefined
}

/** A message of a client. */
export type ParsedMessage =
  | ParsedSubscribe
  | ParsedPublish
  | ParsedEnd
  | { readonly kind: 'unsubscribe'; readonly sub: number }
  | { readonly kind: 'ping'; readonly ping: number }

/** What a message may say beside its verb when it publishes. */
const FOR_PUBLISH = ['ack', 'idempotencyKey', 'ifLast']
const VERBS = ['subscribe', 'unsubscribe', 'publish', 'end', 'ping']

type Fields = Readonly<Record<string, unknown>>

/**
 * Reads a message; `bytes` are the data of a binary frame. Throws a HydrantError `malformed-message` or
 * `malformed-id`.
 */
export function parseClientMessage(message: unknown, bytes: Uint8Array | undefined, nowMs: number): ParsedMessage {
  const fields = fieldsOf(message, [...VERBS, ...FOR_PUBLISH], 'The message')
  const [verb, ...more] = Object.keys(fields).filter((field) => VERBS.includes(field))
  if (verb === undefined || more.length > 0)
    throw malformed('The message must do one thing: subscribe, unsubscribe, publish, end or ping')
  if (verb === 'publish') return parsePublish(fields, bytes)
  if (verb === 'end' && bytes === undefined && fields['ifLast'] === undefined) return parseEnd(fields)
  if (bytes !== undefined || FOR_PUBLISH.some((field) => fields[field] !== undefined)) {
    throw malformed('Binary frames, ack, idempotencyKey and ifLast are for publish')
  }
  if (verb === 'ping') return { kind: 'ping', ping: numberOf(fields['ping'], 'ping') }
  if (verb === 'subscribe') return parseSubscribe(fields['subscribe'], nowMs)
  const { sub } = fieldsOf(fields['unsubscribe'], ['sub'], 'unsubscribe')
  return { kind: 'unsubscribe', sub: numberOf(sub, 'sub') }
}

function parseSubscribe(value: unknown, nowMs: number): ParsedSubscribe {
  const known = ['sub', 'topics', 'types', 'lastEventId', 'since', 'last', 'earliest', 'state', 'lag']
  const fields = fieldsOf(value, known, 'subscribe')
  const since = textOf(fields['since'], 'since')
  const lastEventId = textOf(fields['lastEventId'], 'lastEventId')
  if (lastEventId !== undefined && parseId(lastEventId) === undefined) {
    throw new HydrantError('malformed-id', `lastEventId is ${quote(lastEventId)}; an id looks like 0123456789ab-42.`)
  }
  return {
    kind: 'subscribe',
    sub: numberOf(fields['sub'], 'sub'),
    topics: textsOf(fields['topics'], 'topics') ?? [],
    types: textsOf(fields['types'], 'types') ?? [],
    start: {
      lastEventId,
      sinceMs: since === undefined ? undefined : parseSince(since, nowMs),
      last: fields['last'] === undefined ? undefined : numberOf(fields['last'], 'last'),
      earliest: flagOf(fields['earliest'], 'earliest'),
      state: stateOf(fields['state']),
    },
    lag: lagOf(fields['lag']),
  }
}

function parsePublish(fields: Fields, bytes: Uint8Array | undefined): ParsedPublish {
  const event = fieldsOf(fields['publish'], ['topic', 'type', 'key', 'data', 'dataBase64'], 'publish')
  const topic = textOf(event['topic'], 'topic')
  if (topic === undefined) throw malformed('publish names no topic')
  const text = textOf(event['data'], 'data')
  const base64 = textOf(event['dataBase64'], 'dataBase64')
  if ([bytes, text, base64].filter((one) => one !== undefined).length > 1) throw malformed('publish has its data twice')
  const data = bytes === undefined ? (base64 === undefined ? text : parseBase64(base64)) : Uint8Array.from(bytes)
  return {
    kind: 'publish',
    event: { topic, type: textOf(event['type'], 'type'), key: textOf(event['key'], 'key'), data },
    ack: fields['ack'] === undefined ? undefined : numberOf(fields['ack'], 'ack'),
    idempotencyKey: textOf(fields['idempotencyKey'], 'idempotencyKey'),
    ifLast: textOf(fields['ifLast'], 'ifLast'),
  }
}

function parseEnd(fields: Fields): ParsedEnd {
  const topic = textOf(fieldsOf(fields['end'], ['topic'], 'end')['topic'], 'topic')
  if (topic === undefined) throw malformed('end names no topic')
  return {
    kind: 'end',
    topic,
    ack: fields['ack'] === undefined ? undefined : numberOf(fields['ack'], 'ack'),
    idempotencyKey: textOf(fields['idempotencyKey'], 'idempotencyKey'),
  }
}

function fieldsOf(value: unknown, known: readonly string[], what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(`${what} must be a JSON object`)
  for (const field of Object.keys(value))
    if (!known.includes(field)) throw malformed(`${what} has the unknown field ${quote(field)}`)
  return { ...value }
}

function textOf(value: unknown, name: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  throw malformed(`${name} must be a string`)
}

function textsOf(value: unknown, name: string): readonly string[] | undefined {
  if (value === undefined) return undefined
  if (Array.isArray(value) && value.every((one): one is string => typeof one === 'string')) return value
  throw malformed(`${name} must be an array of strings`)
}

function numberOf(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value
  throw malformed(`${name} must be a whole number from 0 to 2147483647`)
}

function flagOf(value: unknown, name: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value
  throw malformed(`${name} must be true or false`)
}

function lagOf(value: unknown): LagPolicy | undefined {
  if (value === undefined || value === 'disconnect' || value === 'skip' || value === 'latest') return value
  throw malformed('lag must be "disconnect", "skip" or "latest"')
}

function stateOf(value: unknown): 'latest' | undefined {
  if (value === undefined || value === 'latest') return value
  throw malformed('state must be "latest"')
}

function malformed(fault: string): HydrantError {
  return new HydrantError('malformed-message', `${fault}.`)
}
