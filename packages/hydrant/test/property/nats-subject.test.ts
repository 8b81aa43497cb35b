// Topics and keys as subjects of NATS: nothing is confused, nothing is lost, and filters match what patterns select.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CONTROL_TYPES } from 'hydrant-client/wire'
import { coversSubject, subjectsMeet, Subjects, withoutCovered } from '../../src/engine/nats-subject.ts'
import { eventHeader, parseMessage, storedNsOf, subjectOf } from '../../src/engine/nats-message.ts'
import { matchesTopic, parsePattern, parseTopic } from '../../src/hub/topic.ts'

const subjects = new Subjects('hydrant.main')

const segment = fc
  .string({ unit: fc.constantFrom('a', 'B', '7', '.', '_', '~', ':', '@', '-'), minLength: 1, maxLength: 4 })
  .filter((text) => text !== '.' && text !== '..')
const topic = fc.array(segment, { minLength: 1, maxLength: 5 }).map((segments) => parseTopic(segments.join('/')))
const pattern = fc
  .tuple(fc.array(fc.oneof(segment, fc.constant('*')), { maxLength: 4 }), fc.constantFrom('', '**', '*', 'a'))
  .map(([segments, last]) => [...segments, ...(last === '' ? [] : [last])].join('/'))
  .filter((text) => text !== '')
  .map(parsePattern)
const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }).filter((text) => text.isWellFormed())
const anyKey = fc.option(key, { nil: undefined })

test('a subject is one that NATS takes, and says which topic and key it is of', () => {
  fc.assert(
    fc.property(topic, anyKey, (name, about) => {
      const subject = subjects.event(name, about)
      assert.match(subject, /^hydrant\.main(\.[^\s.*>]+)+$/)
      assert.ok(Buffer.byteLength(subject) < 4_000)
      assert.deepEqual(subjects.parse(subject), { kind: 'event', topic: name, key: about })
      assert.deepEqual(subjects.parse(subjects.end(name)), { kind: 'end', topic: name })
    }),
  )
})

test('the longest topic with the longest key is short enough for NATS', () => {
  const longest = subjects.event(
    Array.from({ length: 15 }, () => '.'.repeat(14) + 'a').join('/'),
    '\u{ffff}'.repeat(255),
  )
  assert.ok(Buffer.byteLength(longest) < 3_500, `${Buffer.byteLength(longest)} bytes`)
})

test('different topics and keys have different subjects', () => {
  fc.assert(
    fc.property(topic, anyKey, topic, anyKey, (name, about, other, otherKey) => {
      const isSame = name === other && about === otherKey
      assert.equal(subjects.event(name, about) === subjects.event(other, otherKey), isSame)
    }),
  )
})

test('the filter of a pattern matches every event that the pattern selects, and of others only shorter topics', () => {
  fc.assert(
    fc.property(pattern, topic, anyKey, (wide, name, about) => {
      const isMatched = coversSubject(subjects.filter(wide), subjects.event(name, about))
      const isShorter = name.split('/').length < wide.split('/').length // its mark or key counts as a part
      if (matchesTopic(wide, name)) assert.ok(isMatched)
      else if (isMatched) assert.ok(isShorter, `${wide} has ${name}`)
    }),
  )
})

test('filters that do not meet have no subject in common, and those that cover have all', () => {
  fc.assert(
    fc.property(pattern, pattern, topic, anyKey, (one, other, name, about) => {
      const subject = subjects.event(name, about)
      const [left, right] = [subjects.filter(one), subjects.filter(other)]
      const [isLeft, isRight] = [coversSubject(left, subject), coversSubject(right, subject)]
      if (isLeft && isRight) assert.ok(subjectsMeet(left, right))
      if (coversSubject(left, right) && isRight) assert.ok(isLeft)
      assert.equal(
        withoutCovered([left, right]).some((filter) => coversSubject(filter, subject)),
        isLeft || isRight,
      )
    }),
  )
})

test('ends and terms are no events of any topic', () => {
  fc.assert(
    fc.property(topic, pattern, (name, wide) => {
      for (const subject of [subjects.end(name), subjects.term]) {
        assert.ok(coversSubject(subjects.control, subject))
        if (wide !== '**') assert.ok(!coversSubject(subjects.filter(wide), subject) || wide.startsWith('*'))
      }
    }),
  )
})

test('a message says what its event was', () => {
  const type = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((text) => !/[\r\n\0]/.test(text))
  const data = fc.oneof(fc.string({ unit: 'grapheme' }), fc.uint8Array())
  fc.assert(
    fc.property(topic, anyKey, type, data, fc.nat(), (name, about, kind, body, head) => {
      const event = { topic: name, type: kind, key: about, data: body }
      const subject = subjects.parse(subjectOf(subjects, event))
      assert.ok(subject !== undefined && subject.kind !== 'term')
      const header = eventHeader(event, head)
      assert.match(header, /^[\x21-\x7e]+( [\x21-\x7e]+)*$/)
      const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body
      const message = { subject: '', seq: 1, consumerSeq: 1, storedNs: '1000001', header: () => header, data: bytes }
      assert.deepEqual(parseMessage(message, subject), { event, timeMs: 1, publisherHead: head })
    }),
  )
})

test('the end of a topic has a subject of its own', () => {
  const end = { topic: 'a/b', type: CONTROL_TYPES.end, key: undefined, data: '{}' }
  assert.equal(subjectOf(subjects, end), 'hydrant.main.$.end.a.b')
})

test('a time of NATS is read to the nanosecond', () => {
  assert.equal(storedNsOf('2026-11-21T08:00:00.123456789Z'), '1795248000123456789')
  assert.equal(storedNsOf('2026-11-21T08:00:00.12Z'), '1795248000120000000')
  assert.equal(storedNsOf('2026-11-21T08:00:00Z'), '1795248000000000000')
})
