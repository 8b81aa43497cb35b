// What `express.json()`, `.text()`, `.raw()` and `.urlencoded()` do: read the whole body and leave it in `request.body`.

import type { IncomingMessage, ServerResponse } from 'node:http'

/** A step of an Express-like stack. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void

/** Reads bodies whose media type matches, and leaves what `parse` makes of them. */
export function bodyParser(media: RegExp, parse: (body: Buffer) => unknown): Middleware {
  return (request, _response, next) => {
    if (!media.test(request.headers['content-type'] ?? '')) return next()
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      Object.assign(request, { body: parse(Buffer.concat(parts)) })
      next()
    })
  }
}

/** Runs one step after the other, as Express does. */
export function stack(...steps: readonly Middleware[]): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const run = (at: number): void => steps[at]?.(request, response, () => run(at + 1))
    run(0)
  }
}
