// One HTTP request and its whole answer.

import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'

/** What a request may carry. */
export interface AskOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** An answer. */
export interface Said {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body as JSON; empty when it is none. */
  readonly json: Readonly<Record<string, unknown>>
}

/** Asks on a connection of its own. */
export async function ask(url: string, method: string, path: string, options: AskOptions = {}): Promise<Said> {
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(`${url}${path}`, { method, headers: options.headers ?? {}, agent: false }, resolve)
    outgoing.on('error', reject)
    outgoing.end(options.body)
  })
  const parts: Uint8Array[] = []
  for await (const part of incoming) if (part instanceof Uint8Array) parts.push(part)
  const text = Buffer.concat(parts).toString()
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, text, json: jsonOf(text) }
}

/** Publishes, and answers the answer. */
export function post(url: string, path: string, body: string | Uint8Array, headers = {}): Promise<Said> {
  return ask(url, 'POST', path, { body, headers })
}

function jsonOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {} // not JSON
  }
}
