// Topics, patterns and selections against regular expressions, over a small universe that is tried whole.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Selection } from '../../src/hub/selection.ts'
import { isPattern, matchesTopic, parsePattern, parseTopic, subsumes } from '../../src/hub/topic.ts'
import { expressionOf, isWanted } from '../support/published-log.ts'

const SEGMENTS = ['a', 'b', 'x']
const TOPICS = namesOf(SEGMENTS, 4)
/** `x` stands for every segment that no pattern names. */
const PATTERNS = [...namesOf(['a', 'b', '*'], 3), ...['', ...namesOf(['a', 'b', '*'], 2)].map(withAnyDepth)]

function namesOf(segments: readonly string[], depth: number): readonly string[] {
  if (depth === 1) return segments
  const shorter = namesOf(segments, depth - 1)
  const deepest = shorter.filter((name) => name.split('/').length === depth - 1)
  return [...shorter, ...deepest.flatMap((name) => segments.map((segment) => `${name}/${segment}`))]
}

function withAnyDepth(pattern: string): string {
  return pattern === '' ? '**' : `${pattern}/**`
}

function matched(pattern: string): readonly string[] {
  return TOPICS.filter((topic) => expressionOf(pattern).test(topic))
}

test('every pattern matches the topics that its regular expression matches, and no others', () => {
  for (const pattern of PATTERNS) {
    parsePattern(pattern)
    assert.equal(isPattern(pattern), pattern.includes('*'))
    assert.deepEqual(
      TOPICS.filter((topic) => matchesTopic(pattern, topic)),
      matched(pattern),
      pattern,
    )
  }
})

test('a pattern subsumes another exactly when it matches all that the other matches', () => {
  for (const wide of PATTERNS) {
    const all = new Set(matched(wide))
    for (const narrow of PATTERNS) {
      assert.equal(
        subsumes(wide, narrow),
        matched(narrow).every((topic) => all.has(topic)),
        `${wide} over ${narrow}`,
      )
    }
  }
})

const patterns = fc.uniqueArray(fc.constantFrom(...PATTERNS), { minLength: 1, maxLength: 6 })
const types = fc.option(fc.uniqueArray(fc.constantFrom('x', 'y', 'a b', '?', '["x"]'), { maxLength: 3 }), {
  nil: undefined,
})

test('a selection matches what one of its patterns and types matches, however often it is asked', () => {
  fc.assert(
    fc.property(patterns, types, (topics, wantedTypes) => {
      const selection = Selection.of(topics, wantedTypes, 100)
      const wanted = { topics, types: wantedTypes?.length === 0 ? undefined : wantedTypes }
      for (const round of [1, 2])
        for (const topic of TOPICS)
          for (const type of ['message', 'x', 'a b'])
            assert.equal(selection.matches(topic, type), isWanted(wanted, { topic, type }), `${topic} ${type} ${round}`)
    }),
    { numRuns: 100 },
  )
})

test('a selection has the same key however it is written: doubled, in any order, with what it holds anyway', () => {
  const places = fc.array(fc.nat({ max: 1_000 }), { maxLength: 8 })
  fc.assert(
    fc.property(patterns, types, places, (topics, wantedTypes, extras) => {
      const held = PATTERNS.filter((pattern) => topics.some((wide) => subsumes(wide, pattern)))
      const added = extras.flatMap((place) => held[place % held.length] ?? [])
      const { key } = Selection.of(topics, wantedTypes, 100)
      for (const written of [[...added, ...topics], [...topics, ...added].toReversed(), [...topics, ...topics]])
        assert.equal(Selection.of(written, wantedTypes?.toReversed(), 100).key, key)
    }),
    { numRuns: 300 },
  )
})

test('selections with the same key select the same', () => {
  const covers = new Map<string, string>()
  fc.assert(
    fc.property(patterns, types, (topics, wantedTypes) => {
      const selection = Selection.of(topics, wantedTypes, 100)
      const cover = coverOf(selection)
      assert.equal(covers.get(selection.key) ?? cover, cover, selection.key)
      covers.set(selection.key, cover)
    }),
    { numRuns: 300 },
  )
})

test('two single patterns have the same key only when they are the same', () => {
  const keys = new Map(PATTERNS.map((pattern) => [Selection.of([pattern], undefined, 1).key, pattern]))
  assert.equal(keys.size, new Set(PATTERNS).size)
})

function coverOf(selection: Selection): string {
  const kinds = ['message', 'x', 'y', 'a b', '?', '["x"]']
  return TOPICS.flatMap((topic) => kinds.map((type) => (selection.matches(topic, type) ? 1 : 0))).join('')
}

test('exact topics are known as such, and a single pattern among them ends that', () => {
  assert.deepEqual(Selection.of(['b', 'a', 'b'], undefined, 9).exactTopics, ['a', 'b'])
  assert.equal(Selection.of(['b', 'a/*'], undefined, 9).exactTopics, undefined)
})

const WRONG: readonly (readonly [string, RegExp])[] = [
  ['', /is empty/],
  ['/', /empty segment/],
  ['a/', /empty segment/],
  ['/a', /empty segment/],
  ['a//b', /empty segment/],
  ['.', /segment \./],
  ['a/..', /segment \.\./],
  ['a b', /characters other/],
  ['a\n', /characters other/],
  ['a\0', /characters other/],
  ['ä', /characters other/],
  ['a%2f', /characters other/],
  ['a?b', /characters other/],
  ['a,b', /characters other/],
  [Array.from({ length: 17 }, () => 'a').join('/'), /more than 16/],
  ['a'.repeat(256), /longer than 255/],
]

test('names that are not valid are refused with a word about what is wrong', () => {
  for (const [name, fault] of WRONG) {
    assert.throws(() => parseTopic(name), { code: 'malformed-topic', message: fault }, JSON.stringify(name))
    assert.throws(() => parsePattern(name), { code: 'malformed-pattern', message: fault }, JSON.stringify(name))
  }
  for (const pattern of ['*', '**', 'a/*', '*/a', 'a/**', '*/*/**']) {
    assert.equal(parsePattern(pattern), pattern)
    assert.throws(() => parseTopic(pattern), { code: 'malformed-topic' })
  }
  for (const pattern of ['**/a', 'a*', '***', 'a/b*', 'a/**/b'])
    assert.throws(() => parsePattern(pattern), { code: 'malformed-pattern' }, pattern)
})

test('names at the bounds are taken', () => {
  for (const name of ['a'.repeat(255), Array.from({ length: 16 }, () => 'a').join('/'), 'A-z_0.9~:@', '...', '.a'])
    assert.equal(parseTopic(name), name)
})

test('a selection without topics, with too many, or with a type that cannot be is refused', () => {
  assert.throws(() => Selection.of([], undefined, 2), { code: 'no-topic' })
  assert.throws(() => Selection.of(['a', 'b', 'c'], undefined, 2), { code: 'too-many-topics' })
  assert.equal(Selection.of(['a', 'a', 'b'], undefined, 2).key, 'a b')
  for (const type of ['', 'a\nb', 'a\rb', 'a\0', 'x'.repeat(256), '\ud800'])
    assert.throws(() => Selection.of(['a'], [type], 2), { code: 'malformed-type' }, JSON.stringify(type))
  assert.equal(Selection.of(['a'], [], 2).key, 'a')
})
