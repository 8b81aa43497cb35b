// The parser of event streams, against a reading of the specification's text and against a parser not written here,
// with the stream cut at every place.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createParser } from 'eventsource-parser'
import * as fc from 'fast-check'
import { parseStream } from '../../../hydrant/test/support/whatwg-parser.ts'
import { formatSse, formatSseComment, SseParser, type SseMessage } from '../../src/wire/index.ts'

interface Parsed {
  readonly messages: SseMessage[]
  readonly comments: string[]
  readonly retries: number[]
}

function parse(pieces: readonly string[]): Parsed {
  const parsed: Parsed = { messages: [], comments: [], retries: [] }
  const parser = new SseParser({
    message: (message) => void parsed.messages.push(message),
    comment: (text) => void parsed.comments.push(text),
    retry: (retryMs) => void parsed.retries.push(retryMs),
  })
  for (const piece of pieces) parser.feed(piece)
  return parsed
}

/** Every way to cut a text once, and a cut after each character. */
function cuts(text: string): readonly (readonly string[])[] {
  const once = Array.from({ length: text.length + 1 }, (_, at) => [text.slice(0, at), text.slice(at)])
  return [[text], text.split(''), ...once]
}

const LINES = ['data', 'data: x', 'data:', 'event: e', 'event', 'id: 1', 'id:', 'id: a\0b', 'retry: 12', 'retry: 1x']
const OTHERS = ['\n', '\r', '\r\n', '\n\n', ':', ': ', ' ', '\uFEFF', 'ü😀', 'other: y', '\0', 'retry']

/** Texts that hold what the format is made of, in every order. */
const streams = fc.array(fc.constantFrom(...LINES, ...OTHERS), { maxLength: 30 }).map((parts) => parts.join(''))

const oneLine = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\r\n\0]/g, ''))
const blocks = fc.record(
  { type: oneLine, data: fc.string({ unit: 'grapheme' }), id: oneLine, retryMs: fc.nat() },
  { requiredKeys: ['data'] },
)

test('whatever the stream and wherever it is cut, it is read as the specification says', () => {
  fc.assert(
    fc.property(streams, (text) => {
      const { messages, retries } = parseStream(text)
      for (const pieces of cuts(text)) {
        const parsed = parse(pieces)
        assert.deepEqual([parsed.messages, parsed.retries], [messages, retries])
      }
    }),
    { numRuns: 500 },
  )
})

test('what is written is what is read, wherever it is cut: parse(format(block)), with line ends as LF', () => {
  fc.assert(
    fc.property(fc.array(blocks, { maxLength: 4 }), (written) => {
      const text = written.map(formatSse).join(formatSseComment('alive\nevent: x'))
      let lastEventId = ''
      const expected = written.map(({ type, data, id }) => {
        lastEventId = id ?? lastEventId
        const isPlain = type === undefined || type === ''
        return { type: isPlain ? 'message' : type, data: data.replaceAll(/\r\n|\r/g, '\n'), lastEventId }
      })
      for (const pieces of cuts(text)) {
        const { messages, comments } = parse(pieces)
        assert.deepEqual(messages, expected)
        assert.deepEqual(
          comments,
          written.slice(1).map(() => 'alive event: x'),
        )
      }
    }),
    { numRuns: 200 },
  )
})

test('eventsource-parser reads the same events from what we write, at every cut', () => {
  fc.assert(
    fc.property(fc.array(blocks, { maxLength: 4 }), (written) => {
      const text = written.map(formatSse).join('')
      const { messages } = parse([text])
      for (const pieces of cuts(text)) {
        const theirs: string[][] = []
        const parser = createParser({
          onEvent: ({ event = 'message', data }) => void theirs.push([event === '' ? 'message' : event, data]),
        })
        for (const piece of pieces) parser.feed(piece)
        assert.deepEqual(
          theirs,
          messages.map(({ type, data }) => [type, data]),
        )
      }
    }),
    { numRuns: 200 },
  )
})

test('a block that the end of the stream cuts off did not happen', () => {
  assert.deepEqual(parse(['data: a\n\ndata: b\n']).messages, [{ type: 'message', data: 'a', lastEventId: '' }])
})

test('an event that grows beyond the bound is an error, not all of the memory: in one line, and over many', () => {
  const bounded = (): SseParser => new SseParser({ message: () => {} }, { lineLengthMax: 100 })
  const feedAll = (pieces: readonly string[]): void => {
    const parser = bounded()
    for (const piece of pieces) parser.feed(piece)
  }
  assert.throws(() => feedAll(['data: ', ...Array<string>(20).fill('xxxxxxxxxx')]), RangeError)
  assert.throws(() => feedAll(Array<string>(20).fill('data: xxxxxxxxxx\n')), RangeError)
  assert.doesNotThrow(() => feedAll(Array<string>(200).fill('data: xxxxxxxxxx\n\n')))
})
