// The publisher of WebSockets over connections that the test plays: what goes out when, and what becomes of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock, settle } from '../../../hydrant/test/support/virtual-clock.ts'
import { WebSocketPublisher } from '../../src/websocket-publisher.ts'
import { formatProblem } from '../../src/wire/index.ts'

const BACKOFF = { baseMs: 1_000, maxMs: 30_000 }
const UNAVAILABLE = formatProblem('unavailable', 'The log cannot take events.')

interface Message {
  readonly publish: { readonly data: string }
  readonly ack: number
  readonly idempotencyKey: string
}

class Played {
  readonly clock = new VirtualClock()
  readonly publisher = new WebSocketPublisher({ clock: this.clock, random: () => 0.5, backoff: BACKOFF })
  readonly sent: Message[] = []

  connect(): void {
    this.publisher.connected((frame) => {
      assert.ok(typeof frame === 'string')
      this.sent.push(JSON.parse(frame) as Message)
    })
  }

  publish(data: string): Promise<string> {
    const id = this.publisher.publish({ topic: 'a', data })
    id.catch(() => {}) // the test that cares awaits it
    return id
  }

  get data(): readonly string[] {
    return this.sent.map(({ publish }) => publish.data)
  }

  get last(): Message {
    const message = this.sent.at(-1)
    assert.ok(message !== undefined)
    return message
  }
}

test('so many are under way at once; each acknowledgement lets the next one go; a new connection begins anew', () => {
  const played = new Played()
  for (let at = 0; at < 40; at += 1) void played.publish(String(at))
  assert.equal(played.sent.length, 0)
  played.connect()
  assert.equal(played.sent.length, 32)
  played.publisher.acknowledged(played.sent[0]?.ack ?? 0, 'id')
  assert.equal(played.sent.length, 33)
  const before = played.sent.splice(0)
  played.publisher.disconnected()
  played.connect()
  assert.deepEqual(
    played.data,
    before.slice(1).map(({ publish }) => publish.data),
  )
  assert.deepEqual(
    played.sent.map(({ idempotencyKey }) => idempotencyKey),
    before.slice(1).map(({ idempotencyKey }) => idempotencyKey),
  )
  played.publisher.close()
})

test('what the log cannot take now is sent again, before later ones, five times in all, then refused', async () => {
  const played = new Played()
  played.connect()
  const first = played.publish('first')
  for (const delayMs of [500, 1_000, 2_000, 4_000]) {
    played.publisher.refused(played.last.ack, UNAVAILABLE)
    if (delayMs === 500) void played.publish('second')
    const before = played.sent.length
    await played.clock.advance(delayMs - 1)
    assert.equal(played.sent.length, before)
    await played.clock.advance(1)
    if (delayMs === 500) {
      assert.deepEqual(played.data, ['first', 'first', 'second'])
      played.publisher.acknowledged(played.sent.pop()?.ack ?? 0, 'id')
    }
  }
  assert.equal(new Set(played.sent.map(({ idempotencyKey }) => idempotencyKey)).size, 1)
  assert.equal(played.sent.length, 5)
  played.publisher.refused(played.last.ack, UNAVAILABLE)
  await assert.rejects(first, { code: 'unavailable' })
  await played.clock.advance(60_000)
  assert.equal(played.sent.length, 5)
})

test('after so many in a second the rest waits for the next one', async () => {
  const played = new Played()
  played.connect()
  for (let at = 0; at < 150; at += 1) void played.publish(String(at))
  for (let answered = 0; answered < played.sent.length; answered += 1)
    played.publisher.acknowledged(played.sent[answered]?.ack ?? 0, 'id')
  assert.equal(played.sent.length, 100)
  await played.clock.advance(999)
  assert.equal(played.sent.length, 100)
  await played.clock.advance(1)
  assert.equal(played.sent.length, 132)
  played.publisher.close()
})

test('a publish that nobody acknowledges is given up while a server still knows its key', async () => {
  const played = new Played()
  const id = played.publish('x')
  await played.clock.advance(299_999)
  assert.equal(await Promise.race([id, settle()]), undefined)
  await played.clock.advance(1)
  await assert.rejects(id, { code: 'unreachable' })
})

test('closed, it rejects what waits and leaves no timer', async () => {
  const played = new Played()
  played.connect()
  const id = played.publish('x')
  played.publisher.refused(played.last.ack, UNAVAILABLE)
  played.publisher.close()
  await assert.rejects(id, { code: 'closed' })
  assert.equal(played.clock.timers, 0)
})
