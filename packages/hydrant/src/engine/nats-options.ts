// Options of the NATS engine, as a program gives them or as an address says them:
//
//   nats://user:password@host:4222,other:4222?stream=EVENTS&prefix=hydrant.main&history=7d&replicas=3

import { readFileSync } from 'node:fs'
import { durationMs } from '../hub/duration.ts'
import type { Limits } from '../hub/limits.ts'
import { quote } from '../hub/topic.ts'

/** Options of the NATS engine. */
export interface NatsEngineOptions {
  /** `host:port` of one server, or of several of a cluster. Default `127.0.0.1:4222`. */
  readonly servers?: readonly string[]
  /** Name and password. */
  readonly user?: string
  readonly password?: string
  /** Instead of name and password. */
  readonly token?: string
  /** The text of a credentials file (`.creds`), instead of both. */
  readonly credentials?: string
  /** Only over TLS; files of certificates in PEM, where those of the system do not do. */
  readonly tls?: NatsTls
  /** The hub: part of the names below. Default `main`. */
  readonly hub?: string
  /** The stream; made when it is not there. Default `HYDRANT_<hub>`. */
  readonly stream?: string
  /** What every subject of the log begins with. Default `hydrant.<hub>`. */
  readonly prefix?: string
  /** Where JetStream is that of another domain. */
  readonly domain?: string
  /** What the stream keeps, when it is made; a stream that is there already keeps what it says itself. */
  readonly retention?: NatsRetention
  /** Copies of the stream in a cluster, when it is made. Default 1. */
  readonly replicas?: number
  /** `idempotencyMs`, `trimmedTopicsMax`, `epochsMax`, `scanEventsMax` are used. */
  readonly limits?: Partial<Limits>
  /** Milliseconds since 1970, for the age of idempotency keys. Default `Date.now`. */
  readonly nowMs?: () => number
  /** How long an answer of NATS is waited for, in milliseconds. Default 5,000. */
  readonly answerMs?: number
  /** How long `open` tries to reach NATS, in milliseconds. Default 10,000. */
  readonly openMs?: number
  /** Hears once when the log is lost, and once when it is back. Default: a process warning. */
  readonly onWarning?: (warning: Error) => void
}

/** Certificates. */
export interface NatsTls {
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
}

/** What a stream keeps. Its bounds hold for all topics together. */
export interface NatsRetention {
  /** Bytes, as NATS counts them. Default 1 GiB. */
  readonly logBytesMax?: number
  /** Default: no bound. */
  readonly logEventsMax?: number
  /** Milliseconds, at least 100. Default: no bound. */
  readonly logAgeMs?: number
}

const KEYS = ['stream', 'prefix', 'domain', 'history', 'replicas', 'token', 'credentials', 'ca', 'cert', 'key', 'hub']
const SCHEMES = ['nats://', 'tls://']

/** Whether a text is meant to be an address of NATS. */
export function isNatsUrl(text: string): boolean {
  return SCHEMES.some((scheme) => text.startsWith(scheme))
}

/**
 * Options from an address. `history` is how long events are kept, like `7d`; `credentials`, `ca`, `cert` and `key` name
 * files. Throws a RangeError that says what is wrong, and never repeats a password.
 */
export function natsOptionsOf(text: string): NatsEngineOptions {
  const scheme = SCHEMES.find((one) => text.startsWith(one))
  if (scheme === undefined)
    throw new RangeError(`An address of NATS begins with nats:// or tls://, not ${quote(text)}.`)
  const [authority = '', query = ''] = cut(text.slice(scheme.length), '?')
  const at = authority.lastIndexOf('@')
  const servers = authority
    .slice(at + 1)
    .replace(/\/$/, '')
    .split(',')
    .filter((server) => server !== '')
  const parameters = new URLSearchParams(query)
  const strange = [...parameters.keys()].find((key) => !KEYS.includes(key))
  if (strange !== undefined)
    throw new RangeError(`${quote(strange)} is no option of NATS; there are ${KEYS.join(', ')}.`)
  return {
    ...(servers.length === 0 ? {} : { servers }),
    ...loginOf(authority.slice(0, Math.max(at, 0))),
    ...namesOf(parameters),
    ...keptOf(parameters),
    ...secretsOf(parameters, scheme === 'tls://'),
  }
}

function loginOf(login: string): Pick<NatsEngineOptions, 'user' | 'password' | 'token'> {
  if (login === '') return {}
  const [user = '', password] = cut(login, ':').map(decoded)
  return password === undefined ? { token: user } : { user, password }
}

function namesOf(parameters: URLSearchParams): Partial<NatsEngineOptions> {
  const names: { -readonly [Name in 'stream' | 'prefix' | 'domain' | 'hub']?: string } = {}
  for (const name of ['stream', 'prefix', 'domain', 'hub'] as const) {
    const value = parameters.get(name)
    if (value !== null) names[name] = value
  }
  return names
}

function keptOf(parameters: URLSearchParams): Pick<NatsEngineOptions, 'retention' | 'replicas'> {
  const history = parameters.get('history')
  const logAgeMs = history === null ? undefined : durationMs(history)
  if (history !== null && logAgeMs === undefined)
    throw new RangeError(`history is how long NATS keeps events, like 12h or 7d, not ${quote(history)}.`)
  const replicas = parameters.get('replicas')
  if (replicas !== null && !/^[1-5]$/.test(replicas))
    throw new RangeError(`replicas is a number from 1 to 5, not ${quote(replicas)}.`)
  return {
    ...(logAgeMs === undefined ? {} : { retention: { logAgeMs } }),
    ...(replicas === null ? {} : { replicas: Number(replicas) }),
  }
}

function secretsOf(parameters: URLSearchParams, isTls: boolean): Partial<NatsEngineOptions> {
  const token = parameters.get('token')
  const credentials = parameters.get('credentials')
  const files: { -readonly [Name in keyof NatsTls]: NatsTls[Name] } = {}
  for (const [name, key] of [
    ['caFile', 'ca'],
    ['certFile', 'cert'],
    ['keyFile', 'key'],
  ] as const) {
    const value = parameters.get(key)
    if (value !== null) files[name] = value
  }
  return {
    ...(token === null ? {} : { token }),
    ...(credentials === null ? {} : { credentials: readFileSync(credentials, 'utf8') }),
    ...(isTls || Object.keys(files).length > 0 ? { tls: files } : {}),
  }
}

function cut(text: string, at: string): string[] {
  const place = text.indexOf(at)
  return place === -1 ? [text] : [text.slice(0, place), text.slice(place + 1)]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // a password with a bare percent sign
  }
}

/** Everything that the engine needs, with the defaults filled in. */
export type NatsSettings = Required<
  Pick<NatsEngineOptions, 'servers' | 'stream' | 'prefix' | 'retention' | 'replicas' | 'answerMs' | 'openMs'>
> &
  Pick<NatsEngineOptions, 'user' | 'password' | 'token' | 'credentials' | 'tls' | 'domain'> & {
    readonly idempotencyMs: number
  }

/** Fills in the defaults. Throws a RangeError for names that NATS cannot take. */
export function natsSettings(options: NatsEngineOptions, idempotencyMs: number): NatsSettings {
  const { hub = 'main', servers = [], retention = {}, replicas = 1, answerMs = 5_000, openMs = 10_000 } = options
  if (!/^[A-Za-z0-9_-]+$/.test(hub)) throw new RangeError(`The hub ${quote(hub)} must be letters, digits, - and _.`)
  const { stream = `HYDRANT_${hub}`, prefix = `hydrant.${hub}` } = options
  if (!/^[A-Za-z0-9_-]+$/.test(stream))
    throw new RangeError(`The stream ${quote(stream)} must be letters, digits, - and _.`)
  if (!/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(prefix))
    throw new RangeError(
      `The prefix ${quote(prefix)} must be words of letters, digits, - and _, with dots between them.`,
    )
  return {
    ...options,
    servers: servers.length === 0 ? ['127.0.0.1:4222'] : servers,
    stream,
    prefix,
    retention,
    replicas,
    answerMs,
    openMs,
    idempotencyMs,
  }
}
