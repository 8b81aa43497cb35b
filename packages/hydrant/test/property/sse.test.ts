// Event streams as they leave us, against three readers: a parser of ours, one from npm, and the specification's text
// taken word by word. Cut anywhere, they must all see what was published.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createParser } from 'eventsource-parser'
import * as fc from 'fast-check'
import { SseParser, formatSse, formatSseComment } from 'hydrant-client/wire'
import { LogEvent } from '../../src/hub/event.ts'
import { StreamFormats, type Framing, type StreamKind } from '../../src/transport/sse.ts'
import { decodeReceived } from '../support/received.ts'
import { parseStream } from '../support/whatwg-parser.ts'

const EPOCH = '0123456789ab'
const OPEN_ID = `${EPOCH}-0`

const text = fc.string({
  unit: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('\r', '\n', '\r\n', '\0', '\uFEFF', ':', ' ', '\t', '\u2028', '\u0085') },
    { weight: 1, arbitrary: fc.constantFrom('data', 'id: 9', 'event:', 'retry: 1', ': ', '{"gap"') },
    { weight: 2, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.constantFrom('😀', '語', 'é', '\u{10FFFF}', '\u007f') },
  ),
  maxLength: 14,
})

const type = text.map((one) => one.replaceAll(/[\r\n\0]/g, '').slice(0, 20)).filter((one) => one.isWellFormed())

const event = fc.record({
  topic: fc.constantFrom('a', 'a/b'),
  type: fc.oneof(
    fc.constant('message'),
    type.filter((one) => one !== ''),
  ),
  key: fc.option(
    text.filter((one) => !/[\r\n\0]/.test(one) && one !== ''),
    { nil: undefined },
  ),
  data: fc.oneof(
    { weight: 4, arbitrary: text.filter((one) => one.isWellFormed()) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 9 }) },
  ),
})

const events = fc
  .array(event, { minLength: 1, maxLength: 4 })
  .map((all) => all.map((one, at) => new LogEvent(EPOCH, 3 * at + 1, 1_700_000_000_000 + at, one)))

interface Seen {
  readonly type: string
  readonly data: string
  readonly id: string
}

type Reader = (pieces: readonly string[]) => readonly Seen[]

const readers: Readonly<Record<string, Reader>> = {
  'the specification': (pieces) =>
    parseStream(pieces.join('')).messages.map(({ type: name, data, lastEventId: id }) => ({ type: name, data, id })),
  ours: (pieces) => {
    const seen: Seen[] = []
    const parser = new SseParser({
      message: ({ type: name, data, lastEventId: id }) => void seen.push({ type: name, data, id }),
    })
    for (const piece of pieces) parser.feed(piece)
    return seen
  },
  'eventsource-parser': (pieces) => {
    const seen: Seen[] = []
    let lastId = ''
    const parser = createParser({
      onEvent: ({ event: name, data, id }) =>
        void seen.push({ type: name ?? 'message', data, id: (lastId = id ?? lastId) }),
      onError: (error) => {
        throw error
      },
    })
    for (const piece of pieces) parser.feed(piece)
    return seen
  },
}

test('every reader sees what was published, wherever the stream is cut', () => {
  fc.assert(
    fc.property(events, (published) => {
      const stream = streamOf('sse', 'bare', published)
      const expected = [{ type: 'hydrant:open', data: '{}', id: OPEN_ID }, ...published.map(plain)]
      for (const [name, read] of Object.entries(readers)) {
        for (let cut = 0; cut <= stream.length; cut += 1)
          assert.deepEqual(read(decoded([stream.subarray(0, cut), stream.subarray(cut)])), expected, `${name}, ${cut}`)
        const bytes = Array.from(stream, (_, at) => stream.subarray(at, at + 1))
        assert.deepEqual(read(decoded(bytes)), expected, `${name}, byte by byte`)
      }
    }),
    { numRuns: 60 },
  )
})

test('of a stream that breaks off every reader sees whole events only, and each of them in its place', () => {
  fc.assert(
    fc.property(events, (published) => {
      const stream = streamOf('sse', 'bare', published)
      const expected = [{ type: 'hydrant:open', data: '{}', id: OPEN_ID }, ...published.map(plain)]
      for (const [name, read] of Object.entries(readers)) {
        for (let cut = 0; cut <= stream.length; cut += 1) {
          const seen = read(decoded([stream.subarray(0, cut)]))
          assert.deepEqual(seen, expected.slice(0, seen.length), `${name}, ${cut}`)
        }
      }
    }),
    { numRuns: 40 },
  )
})

test('our parser reads any stream as the specification says, whoever wrote it, wherever it is cut', () => {
  const line = fc.oneof(
    fc.constantFrom('', '', 'data', 'data:', 'data: x', 'data:  y', 'id', 'id: 7', 'id: a\0b', 'event: e', 'retry: 12'),
    fc.constantFrom('event', ': c', ':', 'other: x', ' data: x', 'Data: x', 'retry: -1', 'retry: 1e3', 'retry:'),
    text.map((one) => one.replaceAll(/[\r\n]/g, '')),
  )
  const stream = fc
    .tuple(
      fc.constantFrom('', '\uFEFF', '\uFEFF\uFEFF'),
      fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')), { maxLength: 12 }),
    )
    .map(([start, lines]) => start + lines.map((one) => one.join('')).join(''))
  fc.assert(
    fc.property(stream, fc.array(fc.nat({ max: 80 }), { maxLength: 6 }), (written, cuts) => {
      const retries: number[] = []
      const messages: object[] = []
      const parser = new SseParser({
        message: (message) => void messages.push(message),
        retry: (retryMs) => void retries.push(retryMs),
      })
      const places = [0, ...cuts.toSorted((left, right) => left - right), written.length]
      for (const [at, place] of places.entries()) if (at > 0) parser.feed(written.slice(places[at - 1], place))
      const expected = parseStream(written)
      assert.deepEqual([messages, retries], [expected.messages, expected.retries])
    }),
    { numRuns: 2_000 },
  )
})

test('an envelope carries every event exactly, on SSE and as a line of NDJSON, in chunks and without', () => {
  fc.assert(
    fc.property(events, (published) => {
      for (const kind of ['sse-envelope', 'ndjson'] as const) {
        const received = decodeReceived(kind, streamOf(kind, 'chunked', published))
        const bare = streamOf(kind, 'bare', published).toString()
        assert.deepEqual(
          received.map(({ kind: what, offset }) => [what, offset]),
          [['open', 0], ...published.map(({ offset }) => ['event', offset])],
        )
        const texts =
          kind === 'ndjson'
            ? bare.split('\n').slice(1, -1)
            : parseStream(bare)
                .messages.slice(1)
                .map(({ data }) => data)
        assert.deepEqual(
          texts.map((json): unknown => JSON.parse(json)),
          published.map(envelope),
        )
      }
    }),
    { numRuns: 200 },
  )
})

test('chunks hold exactly the bytes of the stream without chunks', () => {
  fc.assert(
    fc.property(events, fc.constantFrom<StreamKind>('sse', 'sse-envelope', 'ndjson'), (published, kind) => {
      const chunked = streamOf(kind, 'chunked', published)
      const bodies: Buffer[] = []
      for (let at = 0; at < chunked.length;) {
        const headEnd = chunked.indexOf('\r\n', at)
        const size = Number.parseInt(chunked.subarray(at, headEnd).toString(), 16)
        assert.ok(size > 0, 'an empty chunk would end the response')
        bodies.push(chunked.subarray(headEnd + 2, headEnd + 2 + size))
        assert.equal(chunked.subarray(headEnd + 2 + size, headEnd + 4 + size).toString(), '\r\n')
        at = headEnd + 4 + size
      }
      assert.deepEqual(Buffer.concat(bodies), streamOf(kind, 'bare', published))
      assert.equal(bodies.length, published.length + 1)
    }),
  )
})

test('no text of a comment can start a field', () => {
  fc.assert(
    fc.property(text, (comment) => {
      const { messages, comments, retries, lastEventId } = parseStream(formatSseComment(comment))
      assert.deepEqual([messages, comments.length, retries, lastEventId], [[], 1, [], ''])
      for (const format of ['sse', 'sse-envelope'] as const) {
        const heartbeat = new StreamFormats(comment).get(format, 'bare').heartbeat
        assert.equal(Buffer.from(heartbeat ?? []).toString(), formatSseComment(comment))
      }
    }),
  )
})

test('a block names its id and how soon to come back only together with data', () => {
  const block = formatSse({ type: 'hydrant:bye', data: '{}', id: OPEN_ID, retryMs: 2_000 })
  assert.equal(block, `event: hydrant:bye\ndata: {}\nretry: 2000\nid: ${OPEN_ID}\n\n`)
  assert.deepEqual(parseStream(block).retries, [2_000])
  assert.equal(formatSse({ data: '' }), 'data: \n\n')
})

function streamOf(kind: StreamKind, framing: Framing, published: readonly LogEvent[]): Buffer {
  const format = new StreamFormats('').get(kind, framing)
  return Buffer.concat([format.open(OPEN_ID, 2_000), ...published.map((one) => format.event(one))])
}

/** Pieces of bytes as a client decodes them: a character cut in two comes with the second piece. */
function decoded(pieces: readonly Uint8Array[]): readonly string[] {
  const decoder = new TextDecoder()
  return [...pieces.map((piece) => decoder.decode(piece, { stream: true })), decoder.decode()]
}

function plain({ type: name, data, id }: LogEvent): Seen {
  const lines = typeof data === 'string' ? data.replaceAll(/\r\n|\r/g, '\n') : Buffer.from(data).toString('base64')
  return { type: name, data: lines, id }
}

function envelope({ id, topic, type: name, key, timeMs, data }: LogEvent): object {
  const time = new Date(timeMs).toISOString()
  const body = typeof data === 'string' ? { data } : { dataBase64: Buffer.from(data).toString('base64') }
  return { id, topic, type: name, ...(key === undefined ? {} : { key }), time, ...body }
}
