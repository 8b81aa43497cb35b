// What a checker holds, allows and says.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Checker, type ClientLog } from '../../src/testing/testing.ts'

const EPOCH = 'aaaaaaaaaaaa'

function idOf(offset: number): string {
  return `${EPOCH}-${offset}`
}

function eventOf(offset: number, data = `${offset}`, key?: string) {
  return { id: idOf(offset), topic: 'a', type: 'message', key, data }
}

/** A checker with a client, and so many events published that it did not receive. */
function started(count: number, selects = {}): { readonly checker: Checker; readonly client: ClientLog } {
  const checker = new Checker()
  const client = checker.client('phone', { topics: ['a'], ...selects })
  client.opened(idOf(0))
  for (let offset = 1; offset <= count; offset += 1)
    checker.published.attempt({ topic: 'a', data: `${offset}`, key: 'k' }).acknowledged(idOf(offset))
  return { checker, client }
}

test('a long run that is settled holds only what is under way', () => {
  const { checker, client } = started(0)
  let most = 0
  for (let offset = 1; offset <= 20_000; offset += 1) {
    const attempt = checker.published.attempt({ topic: 'a', data: `${offset}` })
    client.event(eventOf(offset))
    attempt.acknowledged(idOf(offset))
    most = Math.max(most, checker.held.published, checker.held.received)
    if (offset % 100 === 0) assert.ok(checker.settle().ok)
  }
  assert.equal(most, 100)
  assert.equal(String(checker.report()), 'ok: 20000 acknowledged, 20000 received by 1 clients, 0 gaps declared')
})

test('what is lost is found while the run goes on, once', () => {
  const { checker, client } = started(3)
  client.event(eventOf(1))
  client.event(eventOf(3))
  assert.equal(checker.settle().count('lost'), 1)
  assert.equal(checker.settle().count(), 1)
  assert.equal(checker.report().count(), 1)
})

test('a client that starts before what was let go of is not judged, and that is said', () => {
  const { checker, client } = started(2)
  client.event(eventOf(1))
  client.event(eventOf(2))
  checker.settle()
  checker.client('late', { topics: ['a'] }).opened(idOf(0))
  const report = checker.report()
  assert.equal(report.count('unjudged'), 1)
  assert.equal(report.count(), 1)
})

test('a client that has left is owed nothing more', () => {
  const { checker, client } = started(2)
  client.event(eventOf(1))
  client.left()
  assert.ok(checker.report().ok)
})

test('a publish of unknown outcome may come, once, or not', () => {
  const { checker, client } = started(0)
  checker.published.attempt({ topic: 'a', data: 'came' }).unknown()
  checker.published.attempt({ topic: 'a', data: 'never' }).unknown()
  client.event(eventOf(1, 'came'))
  assert.ok(checker.settle().ok)
  client.event(eventOf(2, 'came'))
  assert.deepEqual(
    checker.report().faults.map(({ kind, id }) => `${kind} ${id}`),
    [`unknown ${idOf(2)}`],
  )
})

test('under lag=latest an event may be missing when a newer one of its topic and key came, and only then', () => {
  const { checker, client } = started(3, { lag: 'latest' })
  client.position(idOf(2))
  assert.ok(checker.settle().ok, 'a newer one may still come')
  client.event(eventOf(3, '3', 'k'))
  assert.ok(checker.settle().ok)

  const other = started(2, { lag: 'latest' })
  other.client.position(idOf(2))
  assert.equal(other.checker.report().count('lost'), 2)
})

test('a stream that begins with the state owes what comes after it', () => {
  const { checker, client } = started(0)
  client.left()
  const page = checker.client('page', { topics: ['a'], state: 'latest' })
  for (let offset = 1; offset <= 4; offset += 1)
    checker.published.attempt({ topic: 'a', data: `${offset}` }).acknowledged(idOf(offset))
  page.event(eventOf(2))
  page.opened(idOf(3))
  page.event(eventOf(4))
  page.gap({ from: idOf(4), to: idOf(4), reason: 'epoch', certain: false })
  page.event(eventOf(2))
  page.event(eventOf(4))
  page.opened(idOf(4))
  const report = checker.report()
  assert.ok(report.ok, String(report))
})

test('what was received and is taken back is no false gap, also what another epoch brought meanwhile', () => {
  const { checker, client } = started(2)
  client.event(eventOf(1))
  client.event(eventOf(2))
  const [gone, last] = ['bbbbbbbbbbbb', 'cccccccccccc']
  checker.published.attempt({ topic: 'a', data: 'gone' }).acknowledged(`${gone}-1`)
  checker.published.attempt({ topic: 'a', data: 'last' }).acknowledged(`${last}-1`)
  client.gap({ from: idOf(2), to: idOf(0), id: `${last}-0`, reason: 'epoch', certain: true })
  client.event({ id: `${last}-1`, topic: 'a', data: 'last' })
  const report = checker.report()
  assert.ok(report.ok, String(report))
})

test('a client that never said where it starts is not judged, and that is said', () => {
  const checker = new Checker()
  const client = checker.client('page', { topics: ['a'], state: 'latest' })
  checker.published.attempt({ topic: 'a', data: '1' }).acknowledged(idOf(1))
  client.event(eventOf(1))
  assert.equal(checker.report().count('unjudged'), 1)
})

test('a report names the first faults with their ids, and counts the others', () => {
  const { checker } = started(30)
  const lines = String(checker.report()).split('\n')
  assert.equal(lines[0], '30 lost (30 acknowledged, 0 received by 1 clients, 0 gaps declared)')
  assert.equal(lines[1], `  lost: phone, ${idOf(1)}: acknowledged for a, and neither received nor declared missing`)
  assert.equal(lines.at(-1), '  and 20 more')
})

test('an attempt ends once, with an id when it is acknowledged', () => {
  const checker = new Checker()
  const attempt = checker.published.attempt({ topic: 'a' })
  assert.throws(() => attempt.acknowledged('stored'), TypeError)
  attempt.acknowledged(idOf(1))
  assert.throws(() => attempt.failed(), TypeError)
})
