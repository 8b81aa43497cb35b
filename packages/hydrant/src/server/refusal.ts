// Answers on sockets from which no request could be read: there is no request to answer, so the bytes are written here.

/** What can be wrong below HTTP. */
export type RefusalCode = 'malformed-request' | 'head-too-large' | 'request-timeout'

const REFUSALS: Readonly<Record<RefusalCode, readonly [status: number, title: string, detail: string]>> = {
  'malformed-request': [400, 'Bad Request', 'What arrived is no HTTP/1.1 request.'],
  'head-too-large': [431, 'Request Header Fields Too Large', 'The head of a request may have 16 KB.'],
  'request-timeout': [408, 'Request Timeout', 'The request did not arrive in time.'],
}

/** Which refusal an error of `node:http`'s parser asks for. */
export function refusalOf(error: { readonly code?: unknown }): RefusalCode {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'head-too-large'
  return error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'request-timeout' : 'malformed-request'
}

/** A problem (RFC 9457) as a whole HTTP/1.1 answer, after which the connection ends. */
export function refusalText(code: RefusalCode): string {
  const [status, title, detail] = REFUSALS[code]
  const body = `${JSON.stringify({ type: `urn:hydrant:${code}`, code, title, status, detail })}\n`
  return [
    `HTTP/1.1 ${status} ${title}`,
    'content-type: application/problem+json',
    'cache-control: no-store',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body,
  ].join('\r\n')
}
