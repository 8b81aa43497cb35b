// The query of a subscription: which topics and types, from where, in which form.

import type { LagPolicy } from 'hydrant-client/wire'
import { parseId } from 'hydrant-client/wire'
import { HydrantError } from '../hub/errors.ts'
import { parseLast, parseSince, type StartRequest } from '../hub/start.ts'
import { quote } from '../hub/topic.ts'
import { didYouMean } from '../hub/nearest.ts'

/** A subscription as a URL says it. */
export interface SubscribeQuery {
  readonly topics: readonly string[]
  readonly types: readonly string[]
  readonly start: StartRequest
  readonly format: 'plain' | 'envelope'
  readonly lag: LagPolicy | undefined
  /** Events on a page of history. */
  readonly limit: number | undefined
}

const KEYS = ['topic', 'type', 'lastEventId', 'since', 'last', 'earliest', 'state', 'format', 'lag', 'limit']
const PATH_PREFIX = '/events'

/**
 * The topic of a path `/events/<topic>`, or undefined for `/events`. Throws `malformed-topic` for a broken
 * percent-encoding.
 */
export function topicOfPath(path: string): string | undefined {
  const rest = path.slice(PATH_PREFIX.length + 1)
  if (rest === '') return undefined
  try {
    return decodeURIComponent(rest)
  } catch {
    throw new HydrantError('malformed-topic', `The path ${quote(path)} has a broken percent-encoding.`)
  }
}

/** Whether a path is `/events` or below it. */
export function isEventsPath(path: string): boolean {
  return path === PATH_PREFIX || path.startsWith(`${PATH_PREFIX}/`)
}

/** Throws `unknown-query-key` for a key that is none of these, naming the nearest. */
export function checkKeys(query: URLSearchParams, known: readonly string[]): void {
  for (const key of query.keys()) {
    if (known.includes(key)) continue
    throw new HydrantError(
      'unknown-query-key',
      `${quote(key)} is not a query parameter here.${didYouMean(key, known)} Known: ${known.join(', ')}.`,
    )
  }
}

/** Reads path, query and `Last-Event-ID`. Throws a HydrantError that says what is wrong. */
export function parseSubscribe(
  path: string,
  query: URLSearchParams,
  lastEventIdHeader: string | undefined,
  nowMs: number,
): SubscribeQuery {
  checkKeys(query, KEYS)
  const topic = topicOfPath(path)
  const start: StartRequest = {
    lastEventId:
      lastEventIdHeader === undefined || lastEventIdHeader === ''
        ? lastEventIdOf(query)
        : lastEventIdHeader.slice(0, 255),
    sinceMs: mapOne(query, 'since', (text) => parseSince(text, nowMs)),
    last: mapOne(query, 'last', parseLast),
    earliest: mapOne(query, 'earliest', (text) => parseFlag('earliest', text)),
    state: mapOne(query, 'state', (text) => oneOf('state', text, ['latest'] as const)),
  }
  return {
    topics: [...(topic === undefined ? [] : [topic]), ...query.getAll('topic')],
    types: query.getAll('type'),
    start,
    format: mapOne(query, 'format', (text) => oneOf('format', text, ['plain', 'envelope'] as const)) ?? 'plain',
    lag: mapOne(query, 'lag', (text) => oneOf('lag', text, ['disconnect', 'skip', 'latest'] as const)),
    limit: mapOne(query, 'limit', parseLimit),
  }
}

/** The value of a key that stands at most once, read by `parse`. Throws `malformed-query` when it stands twice. */
export function mapOne<Value>(query: URLSearchParams, key: string, parse: (text: string) => Value): Value | undefined {
  const values = query.getAll(key)
  if (values.length > 1)
    throw new HydrantError('malformed-query', `${key} is given ${values.length} times; once is enough.`)
  const [value] = values
  return value === undefined ? undefined : parse(value)
}

function lastEventIdOf(query: URLSearchParams): string | undefined {
  return mapOne(query, 'lastEventId', (text) => {
    if (parseId(text) !== undefined) return text
    throw new HydrantError(
      'malformed-id',
      `lastEventId is ${quote(text)}; an id looks like 0123456789ab-42. Leave it out to start now.`,
    )
  })
}

/** Reads a flag: a key alone is true. Throws `malformed-query`. */
export function parseFlag(key: string, text: string): boolean {
  const word = oneOf(key, text, ['', 'true', 'false', '1', '0'] as const)
  return word !== 'false' && word !== '0'
}

function parseLimit(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new HydrantError('malformed-query', `limit is ${quote(text)}; it must be a whole number of events, at least 1.`)
}

function oneOf<Word extends string>(key: string, text: string, words: readonly Word[]): Word {
  const word = words.find((one) => one === text)
  if (word !== undefined) return word
  throw new HydrantError(
    'malformed-query',
    `${key} is ${quote(text)}; it must be one of: ${words.filter((one) => one !== '').join(', ')}.`,
  )
}
