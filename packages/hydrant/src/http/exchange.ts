// One request and its answer, the same for `node:http` and for fetch: node.ts and fetch.ts translate.

import { HydrantError, problemOf } from '../hub/errors.ts'
import type { Connection } from '../transport/connection.ts'
import type { Coding, StreamFormat, StreamKind } from '../transport/sse.ts'

/** A request, reduced to what the rooms behind need. */
export interface HttpRequest {
  readonly method: string
  /** Without the base path and the query: `/events/stocks/AAPL`. Still percent-encoded. */
  readonly path: string
  readonly query: URLSearchParams
  /** A header by its lower-case name; several of one name are joined by a comma. */
  header(name: string): string | undefined
  /** The body as it comes; reading slowly slows the client down. Ends with an error when the client vanishes. */
  readonly body: AsyncIterable<Uint8Array>
}

/** An answer that is said at once. */
export interface Reply {
  readonly kind: 'reply'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The request's body was left unread: the connection cannot be used again. */
  readonly closes: boolean
}

/** An answer that goes on until somebody ends it. */
export interface StreamReply {
  readonly kind: 'stream'
  readonly headers: Readonly<Record<string, string>>
  readonly stream: StreamKind
  readonly coding: Coding
  /** Called with the connection once the head was sent. */
  begin(connection: Connection, format: StreamFormat): void
}

/** What a request is answered with. */
export type Answer = Reply | StreamReply

/** A JSON answer. */
export function jsonReply(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  return {
    kind: 'reply',
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: `${JSON.stringify(body)}\n`,
    closes: false,
  }
}

/** A text answer. */
export function textReply(status: number, body: string, contentType = 'text/plain; charset=utf-8'): Reply {
  return { kind: 'reply', status, headers: { 'content-type': contentType }, body, closes: false }
}

/** A problem as problem+json (RFC 9457); temporary ones say when to try again. */
export function problemReply(error: unknown): Reply {
  const problem = problemOf(error)
  const progress = error instanceof PublishStopped ? error.progress : undefined
  const headers: Record<string, string> = { 'content-type': 'application/problem+json', 'cache-control': 'no-store' }
  if (problem.status === 503 || problem.status === 429) headers['retry-after'] = '1'
  if (error instanceof MethodNotAllowed) headers['allow'] = error.allow
  return {
    kind: 'reply',
    status: problem.status,
    headers,
    body: `${JSON.stringify({ ...problem, ...progress })}\n`,
    closes: problem.status === 413 || progress !== undefined,
  }
}

/** A body of many events ended early: everything before the fault is published. */
export class PublishStopped extends HydrantError {
  readonly progress: PublishProgress

  constructor(fault: HydrantError, progress: PublishProgress) {
    super(fault.code, fault.message, { cause: fault })
    this.progress = progress
  }
}

/** How far an NDJSON stream came. */
export interface PublishProgress {
  published: number
  lastId?: string
}

/** The method is not one of those that a path takes. */
export class MethodNotAllowed extends HydrantError {
  readonly allow: string

  constructor(method: string, allow: string) {
    super('method-not-allowed', `${method} is not possible here; ${allow} are.`)
    this.allow = allow
  }
}
