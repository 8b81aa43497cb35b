// Publishing: the port, and what both transports have in common.

/** An event to publish. */
export interface PublishEvent {
  readonly topic: string
  /** Default `message`. */
  readonly type?: string | undefined
  /** What it is about. */
  readonly key?: string | undefined
  /** Text, bytes, or anything else as JSON. Default: empty text. */
  readonly data?: unknown
}

/**
 * Publishes events.
 *
 * `publish` resolves with the id of the stored event, or rejects with a StreamError; a retry of its own carries the
 * same idempotency key, so that one call stores one event. After `close` everything under way and every call rejects.
 */
export interface Publisher {
  publish(event: PublishEvent): Promise<string>
  close(): void
}

/** Sendings of one event, the first included. Five with the default backoff are about fifteen seconds. */
export const PUBLISH_TRIES_MAX = 5

/** How long one event is tried for: well within the ten minutes for which a server knows an idempotency key. */
export const PUBLISH_MS_MAX = 300_000

/** Statuses after which the same publish may succeed. */
export function isRetryable(status: number): boolean {
  return status === 429 || (status >= 502 && status <= 504)
}

/** A fresh idempotency key. Not `randomUUID`: browsers have that on https and localhost only. */
export function newKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join('-')
}

/** An event ready for JSON, which leaves out what is undefined; bytes stand beside it. */
export function requestOf(event: PublishEvent): { readonly request: object; readonly bytes: Uint8Array | undefined } {
  const { topic, type, key, data = '' } = event
  if (data instanceof Uint8Array) return { request: { topic, type, key }, bytes: data }
  const text = typeof data === 'string' ? data : JSON.stringify(data)
  return { request: { topic, type, key, data: text }, bytes: undefined }
}
