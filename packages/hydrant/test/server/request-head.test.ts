import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parseHead } from '../../src/server/request-head.ts'

const PLAIN = 'GET /events/a HTTP/1.1\r\nHost: x\r\n\r\n'

function parse(text: string): ReturnType<typeof parseHead> {
  return parseHead(Buffer.from(text, 'latin1'))
}

const CLIENTS: Readonly<Record<string, readonly string[]>> = {
  Chromium: [
    'Host: localhost:3000',
    'Connection: keep-alive',
    'sec-ch-ua-platform: "Linux"',
    'Cache-Control: no-cache',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36',
    'Accept: text/event-stream',
    'sec-ch-ua: "Chromium";v="149", "Not)A;Brand";v="24"',
    'sec-ch-ua-mobile: ?0',
    'Origin: https://app.example',
    'Sec-Fetch-Site: same-site',
    'Referer: https://app.example/a?b=c#d',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Accept-Language: en-GB,en;q=0.9',
    'Cookie: session=abc; theme={"dark":true}',
    'Last-Event-ID: 0123456789ab-42',
  ],
  curl: ['Host: 127.0.0.1:3000', 'User-Agent: curl/8.14.1', 'Accept: */*'],
  'Python requests': [
    'Host: x',
    'User-Agent: python-requests/2.32.3',
    'Accept-Encoding: gzip',
    'Connection: keep-alive',
  ],
  'fetch of Node': ['host: x', 'connection: keep-alive', 'accept: */*', 'sec-fetch-mode: cors', 'user-agent: node'],
  Go: ['Host: x', 'User-Agent: Go-http-client/1.1', 'Accept-Encoding: gzip'],
  'a proxy': ['Host: x', 'X-Forwarded-For: 192.0.2.1, 198.51.100.7', 'X-Forwarded-Proto: https', 'Connection: close'],
}

for (const [name, lines] of Object.entries(CLIENTS)) {
  test(`what ${name} sends is plain, and every header of it is read`, () => {
    const head = parse(`GET /events/stocks/AAPL?topic=a/**&last=1 HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    assert.equal(head?.target, '/events/stocks/AAPL?topic=a/**&last=1')
    assert.equal(head.closes, lines.includes('Connection: close'))
    for (const line of lines) {
      const [, key = '', value] = /^([^:]+): (.*)$/.exec(line) ?? []
      assert.equal(head.headers.get(key.toLowerCase()), value)
    }
  })
}

const NOT_PLAIN: readonly (readonly [words: string, text: string])[] = [
  ['nothing', ''],
  ['half a head', PLAIN.slice(0, -1)],
  ['something behind the head', `${PLAIN}x`],
  ['an empty line before the head', `\r\n${PLAIN}`],
  ['another method', PLAIN.replace('GET', 'HEAD')],
  ['a method in small letters', PLAIN.replace('GET', 'get')],
  ['HTTP/1.0', PLAIN.replace('1.1', '1.0')],
  ['HTTP/1.10', PLAIN.replace('1.1', '1.10')],
  ['an absolute target', PLAIN.replace('/events', 'http://x/events')],
  ['a target of stars', PLAIN.replace('/events/a', '*')],
  ['a fragment', PLAIN.replace('/a', '/a#b')],
  ['a space in the target', PLAIN.replace('/a', '/a b')],
  ['two spaces before the target', PLAIN.replace('GET ', 'GET  ')],
  ['a letter outside ASCII in the target', PLAIN.replace('/a', '/\xe9')],
  ['no host', 'GET /events/a HTTP/1.1\r\nx-host: x\r\n\r\n'],
  ['no header at all', 'GET /events/a HTTP/1.1\r\n\r\n'],
  ['a host twice', PLAIN.replace('Host', 'host: y\r\nHost')],
  ['line ends without CR', PLAIN.replaceAll('\r', '')],
  ['one line end without CR', PLAIN.replace('x\r\n', 'x\n')],
  ['a CR in a value', PLAIN.replace('x\r\n', 'x\ry\r\n')],
  ['a NUL in a value', PLAIN.replace('x\r\n', 'x\0\r\n')],
  ...[
    ['a header twice', 'A: 1\r\na: 2'],
    ['a folded header', 'A: 1\r\n 2'],
    ['a header that begins with a space', ' A: 1'],
    ['a space before the colon', 'A : 1'],
    ['no space behind the colon', 'A:1'],
    ['two spaces behind the colon', 'A:  1'],
    ['a tab behind the colon', 'A:\t1'],
    ['a tab in a value', 'A: 1\t2'],
    ['a space at the end of a value', 'A: 1 '],
    ['a header without a value', 'A: '],
    ['a header without a colon', 'A'],
    ['a header without a name', ': 1'],
    ['an underscore in a name', 'Content_Length: 5'],
    ['letters outside ASCII in a value', 'A: \xe9'],
    ['a length of a body', 'Content-Length: 0'],
    ['a body in chunks', 'Transfer-Encoding: chunked'],
    ['a body in something', 'transfer-encoding: identity'],
    ['an expectation', 'Expect: 100-continue'],
    ['an upgrade', 'Upgrade: websocket'],
    ['a connection that is to become another', 'Connection: Upgrade'],
    ['several words about the connection', 'Connection: keep-alive, close'],
    ['words about the connection to a proxy', 'Proxy-Connection: close'],
    ['what may come behind a body', 'TE: trailers'],
  ].map(([words = '', line = '']) => [words, PLAIN.replace('\r\n\r\n', `\r\n${line}\r\n\r\n`)] as const),
  ['more than 4 KB', PLAIN.replace('\r\n\r\n', `\r\nCookie: ${'x'.repeat(4_096)}\r\n\r\n`)],
]

for (const [words, text] of NOT_PLAIN) {
  test(`${words} is not plain`, () => assert.equal(parse(text), undefined))
}

test('whatever is read was there, whole, and nothing but it', () => {
  const bit = fc.constantFrom(
    'GET ',
    '/events/a',
    ' HTTP/1.1',
    '\r\n',
    'Host: x',
    'A: b',
    ' ',
    ':',
    '\t',
    '\n',
    'Host',
    'é',
  )
  fc.assert(
    fc.property(fc.array(bit, { maxLength: 12 }), fc.nat(PLAIN.length), (bits, at) => {
      const text = PLAIN.slice(0, at) + bits.join('') + PLAIN.slice(at)
      const head = parse(text)
      if (head === undefined) return
      const lines = [...head.headers].map(([name, value]) => `${name}: ${value}\r\n`)
      assert.equal(text.toLowerCase(), `get ${head.target} http/1.1\r\n${lines.join('')}\r\n`.toLowerCase())
    }),
    { numRuns: 2_000 },
  )
})

test('a head that is long and nearly plain is read in a time that its length explains', () => {
  const long = `${PLAIN.slice(0, -2)}A: ${'x '.repeat(2_000)}\x01\r\n\r\n`
  const beforeMs = performance.now()
  for (let at = 0; at < 100; at += 1) assert.equal(parse(long), undefined)
  assert.ok(performance.now() - beforeMs < 1_000)
})
