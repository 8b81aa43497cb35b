// The head of the plainest request there is: one GET, nothing with it and nothing behind it.
//
// This is no parser of HTTP, and must not become one. It knows one form of which there can be no two opinions, and
// says nothing about any other: those are for `node:http`. What could make a difference to anybody (bytes outside
// ASCII, a header that stands twice or is folded, space where none has to be, a body, an upgrade) is another form.
//
// Locked by test/server/request-head.test.ts and test/server/doors.test.ts.

/** A head that was understood. */
export interface RequestHead {
  /** Path and query, as they were sent: `/events/stocks/AAPL?last=1`. */
  readonly target: string
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>
  /** Whether the connection ends with the answer. */
  readonly closes: boolean
}

/** Cookies of one site fit; what is longer may be read in pieces, by somebody who is made for that. */
const BYTES_MAX = 4_096

const HEAD =
  /^GET (\/[\w.~:@!$&'()*+,;=%/?-]*) HTTP\/1\.1\r\n((?:[A-Za-z][A-Za-z0-9-]*: [!-~](?:[ -~]*[!-~])?\r\n)+)\r\n$/

/** They say that something comes with the request or after it, or that the connection becomes something else. */
const SPECIAL: ReadonlySet<string> = new Set([
  'content-length',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Reads the bytes, if they are one such head and no more; undefined for everything else, however valid. */
export function parseHead(bytes: Buffer): RequestHead | undefined {
  if (bytes.length > BYTES_MAX) return undefined
  const [, target, lines] = HEAD.exec(bytes.toString('latin1')) ?? []
  if (target === undefined || lines === undefined) return undefined
  const headers = headersOf(lines)
  const connection = headers?.get('connection')?.toLowerCase() ?? 'keep-alive'
  if (headers?.has('host') !== true || (connection !== 'keep-alive' && connection !== 'close')) return undefined
  return { target, headers, closes: connection === 'close' }
}

function headersOf(lines: string): ReadonlyMap<string, string> | undefined {
  const headers = new Map<string, string>()
  for (let from = 0; from < lines.length;) {
    const colon = lines.indexOf(':', from)
    const end = lines.indexOf('\r', colon)
    const name = lines.slice(from, colon).toLowerCase()
    if (SPECIAL.has(name) || headers.has(name)) return undefined
    headers.set(name, lines.slice(colon + 2, end))
    from = end + 2
  }
  return headers
}
