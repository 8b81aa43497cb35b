// Which web pages may do what: the check against other sites' scripts, and CORS.
//
// A POST is a CORS simple request: without this check any page that a developer visits could publish to the server on
// his localhost, and any page could open a WebSocket to it, for WebSockets know no CORS at all. Reading a stream needs
// no check: a browser shows it to another origin only with the CORS headers.

import { HydrantError } from '../hub/errors.ts'
import { quote } from '../hub/topic.ts'

/** Web origins that may publish, open WebSockets and read: `https://app.example`; `*` is everyone. */
export class Origins {
  readonly #allowed: ReadonlySet<string>

  /** Throws a RangeError for an origin that is not one. */
  constructor(allowed: readonly string[]) {
    for (const origin of allowed) {
      if (origin === '*' || (URL.canParse(origin) && new URL(origin).origin === origin)) continue
      throw new RangeError(
        `${quote(origin)} is no web origin; one looks like https://app.example, without a path or a slash at its end.`,
      )
    }
    this.#allowed = new Set(allowed)
  }

  /** Throws `forbidden-origin` when a web page of another origin asks. Programs that are no browser send no Origin. */
  check(origin: string | undefined, host: string | undefined): void {
    if (origin === undefined || this.#allows(origin) || isSame(origin, host)) return
    throw new HydrantError(
      'forbidden-origin',
      `Pages of ${quote(origin)} may not do that here. The server allows it with --cors ${origin}.`,
    )
  }

  /** The CORS headers of an answer to this origin; none where it is not allowed. */
  headers(origin: string | undefined): Readonly<Record<string, string>> {
    if (origin === undefined || !this.#allows(origin)) return {}
    return {
      'access-control-allow-origin': origin,
      'access-control-expose-headers': 'retry-after',
      vary: 'accept, origin',
    }
  }

  /** The headers of an answer to a preflight. */
  preflight(origin: string | undefined): Readonly<Record<string, string>> {
    const headers = this.headers(origin)
    if (Object.keys(headers).length === 0) return headers
    return {
      ...headers,
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': 'content-type, last-event-id, idempotency-key, authorization',
      'access-control-max-age': '7200',
    }
  }

  #allows(origin: string): boolean {
    return this.#allowed.has(origin) || this.#allowed.has('*')
  }
}

function isSame(origin: string, host: string | undefined): boolean {
  return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase()
}
