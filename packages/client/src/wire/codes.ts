// Every error that crosses the wire, in one table: problem types for HTTP, close codes for WebSocket.
// A code is stable: programs may compare it. Titles may get better. PROTOCOL.md, 8.

/** Says what a caller can do about it: its HTTP status and one sentence. */
export interface ProblemType {
  readonly status: number
  readonly title: string
}

/**
 * Problems by their code. `type` in problem+json is `urn:hydrant:<code>` (RFC 9457), and an error envelope on a
 * WebSocket carries the same code.
 */
export const PROBLEMS = {
  'malformed-topic': { status: 400, title: 'The topic is not a valid name' },
  'malformed-pattern': { status: 400, title: 'The topic pattern is not valid' },
  'malformed-id': { status: 400, title: 'The event id is not one of ours' },
  'malformed-type': { status: 400, title: 'The event type cannot be used' },
  'reserved-type': { status: 400, title: 'The event type is reserved' },
  'malformed-key': { status: 400, title: 'The event key cannot be used' },
  'malformed-json': { status: 400, title: 'The body is not valid JSON' },
  'malformed-utf8': { status: 400, title: 'The body is not valid UTF-8' },
  'malformed-event': { status: 400, title: 'The event lacks something or has too much' },
  'malformed-cloudevent': { status: 400, title: 'The CloudEvent lacks something or has a wrong attribute' },
  'malformed-query': { status: 400, title: 'A query parameter has a value that cannot be used' },
  'unknown-query-key': { status: 400, title: 'A query parameter is not known' },
  'conflicting-start': { status: 400, title: 'Only one of since, last, earliest can say where the stream starts' },
  'no-topic': { status: 400, title: 'No topic is named' },
  'too-many-topics': { status: 400, title: 'Too many topics are selected' },
  'malformed-idempotency-key': { status: 400, title: 'The idempotency key cannot be used' },
  'malformed-message': { status: 400, title: 'The WebSocket message is not one of the protocol' },
  'malformed-upgrade': { status: 400, title: 'The upgrade is not a valid WebSocket handshake' },
  'malformed-body': { status: 400, title: 'The body did not arrive whole' },
  'invalid-data': { status: 422, title: 'The data does not fit the schema of its topic' },
  'forbidden-origin': { status: 403, title: 'This web origin may not do that here' },
  'not-found': { status: 404, title: 'There is nothing at this path' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed here' },
  'not-acceptable': { status: 406, title: 'None of the accepted media types can be given' },
  'topic-ended': { status: 409, title: 'The topic has ended' },
  'last-conflict': { status: 409, title: 'The newest event of the topic is another one' },
  'event-too-large': { status: 413, title: 'The event is larger than allowed' },
  'batch-too-large': { status: 413, title: 'The batch is larger than allowed' },
  'unsupported-media-type': { status: 415, title: 'The body has a media type that cannot be published' },
  'idempotency-conflict': { status: 422, title: 'The idempotency key was used before with another body' },
  'too-many-subscriptions': { status: 429, title: 'The connection has too many subscriptions' },
  'rate-exceeded': { status: 429, title: 'The connection sends too many messages' },
  'not-atomic': { status: 501, title: 'The engine cannot store several events as one' },
  'internal-error': { status: 500, title: 'Something of our own went wrong' },
  unavailable: { status: 503, title: 'The log cannot take events at the moment' },
  'too-many-connections': { status: 503, title: 'The server has as many connections as it may' },
  'shutting-down': { status: 503, title: 'The server is shutting down' },
} as const

/** A stable name of something that can go wrong. */
export type ProblemCode = keyof typeof PROBLEMS

/** An error as it crosses the wire: problem+json (RFC 9457) and the `error` of a WebSocket envelope. */
export interface Problem {
  /** `urn:hydrant:<code>`. */
  readonly type: string
  readonly code: ProblemCode
  readonly title: string
  readonly status: number
  /** What is wrong with this request, and what to do. */
  readonly detail: string
}

/** Builds the wire form of an error. */
export function formatProblem(code: ProblemCode, detail: string): Problem {
  const { status, title }: ProblemType = PROBLEMS[code]
  return { type: `urn:hydrant:${code}`, code, title, status, detail }
}

/**
 * Why a WebSocket was closed. The range tells a client whether to come back: 1001 and 4000-4499 yes (with its id),
 * 1000 and 4500-4999 no. Codes of RFC 6455 that `ws` sends for broken frames (1002, 1007, 1009) mean no.
 */
export const CLOSE_CODES = {
  /** All is said; the close was asked for. */
  done: 1000,
  /** The server shuts down or is replaced. Come back. */
  'going-away': 1001,
  /** A frame was larger than allowed. */
  'too-large': 1009,
  /** Something of our own went wrong. Come back. */
  'internal-error': 4000,
  /** Too slow: the events at the cursor are gone, or the socket held too much. Come back with the last id. */
  lagged: 4001,
  /** No answer to pings. Come back. */
  unresponsive: 4002,
  /** A plain WebSocket cannot be told of a gap; it ends where the events are missing. Come back. */
  gap: 4003,
  /** The server has as many connections as it may. Come back later. */
  'too-many-connections': 4004,
  /** More messages a second than allowed. Come back, and send less. */
  'rate-exceeded': 4005,
  /** A message that the protocol does not know, or that could not be published. */
  'malformed-message': 4500,
} as const

/** A stable name of a reason to close. */
export type CloseReason = keyof typeof CLOSE_CODES

/** Whether a client should come back after a close with this code. */
export function isReconnectable(closeCode: number): boolean {
  return closeCode === 1001 || closeCode === 1005 || closeCode === 1006 || (closeCode >= 1011 && closeCode < 4500)
}
