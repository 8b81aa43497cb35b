// The judge of a subscriber's stream: every wanted event once, in order, or covered by a gap that is declared and right.

import assert from 'node:assert/strict'
import { parseId, type Gap } from 'hydrant-client/wire'
import type { PublishedLog, Wanted } from './published-log.ts'
import type { Received } from './received.ts'

/** Follows one subscriber over all of its connections. */
export class Checker {
  readonly #log: PublishedLog
  readonly #wanted: Wanted
  readonly #name: string
  /** Everything wanted up to this offset was received, or declared missing; undefined before the first start. */
  #at: number | undefined
  /** The last things that were received, for the message of a failure. */
  readonly #trail: string[] = []
  #events = 0
  #gaps = 0
  #expectsEpochGap = false

  constructor(log: PublishedLog, wanted: Wanted, name: string) {
    this.#log = log
    this.#wanted = wanted
    this.#name = name
  }

  /** How far the stream has come. */
  get at(): number | undefined {
    return this.#at
  }

  /** Events received so far. */
  get events(): number {
    return this.#events
  }

  /** Gaps received so far. */
  get gaps(): number {
    return this.#gaps
  }

  /** The subscriber starts anew at a place that it knows without being told. */
  startAt(offset: number): void {
    this.#note(`start at ${offset}`)
    this.#at = offset
    this.#expectsEpochGap = false
  }

  /** The subscriber starts anew, at a place that the stream will name. */
  startAnew(): void {
    this.#note('start')
    this.#at = undefined
    this.#expectsEpochGap = false
  }

  /** The subscriber comes with an id of another log, and must be told so first. */
  startForeign(): void {
    this.#note('start with a foreign id')
    this.#at = undefined
    this.#expectsEpochGap = true
  }

  /** Takes the next thing of the stream. */
  take(received: Received): void {
    if (received.kind === 'event') return this.#takeEvent(received)
    if (received.kind === 'gap') return this.#takeGap(received.gap)
    this.#note(`${received.kind} ${received.offset}`)
    if (received.kind === 'open') this.#at ??= received.offset
    this.#moveTo(received.offset, `the ${received.kind} at ${received.offset}`)
  }

  /** At the end: nothing wanted may be left. */
  end(): void {
    assert.ok(this.#at !== undefined, this.#say('the stream never started'))
    this.#moveTo(Math.max(this.#log.head, this.#at), 'the end')
  }

  #takeEvent(received: Received & { readonly kind: 'event' }): void {
    const { data, topic, type } = received
    const published = this.#log.withData(data)
    const offset = received.offset ?? published?.offset
    this.#note(`event ${offset}`)
    assert.ok(!this.#expectsEpochGap, this.#say('an event before the gap that a foreign id calls for'))
    assert.ok(published !== undefined && offset !== undefined, this.#say(`event ${offset} was never published so`))
    assert.equal(published.offset, offset, this.#say('the id belongs to another event'))
    if (topic !== undefined) assert.equal(topic, published.topic, this.#say('wrong topic'))
    if (type !== undefined) assert.equal(type, published.type, this.#say('wrong type'))
    const [wanted] = this.#log.wanted(this.#wanted, offset - 1, offset)
    assert.ok(wanted !== undefined, this.#say(`event ${offset} was not selected`))
    assert.ok(this.#at === undefined || offset > this.#at, this.#say(`event ${offset} came again, or too late`))
    this.#moveTo(offset - 1, `event ${offset}`)
    this.#at = offset
    this.#events += 1
  }

  #takeGap(gap: Gap): void {
    this.#note(`gap ${gap.from} to ${gap.to} ${gap.reason} ${gap.certain}`)
    this.#gaps += 1
    const to = offsetOf(gap.to)
    if (gap.reason === 'epoch') {
      assert.ok(this.#expectsEpochGap, this.#say('the id was one of this log'))
      this.#expectsEpochGap = false
      this.#at = to // what the id stood for is not known here, nor what is missing
      return
    }
    const from = offsetOf(gap.from)
    this.#moveTo(from, `the gap from ${from}`)
    assert.ok(to > from, this.#say(`the gap from ${from} ends at ${to}`))
    const missing = this.#log.wanted(this.#wanted, from, to)
    if (gap.certain) assert.ok(missing.length > 0, this.#say('nothing is missing in a certain gap'))
    if (gap.count !== undefined) assert.equal(gap.count, missing.length, this.#say('the count of the gap'))
    this.#at = to
  }

  #moveTo(offset: number, what: string): void {
    assert.ok(this.#at !== undefined, this.#say(`${what} comes before the stream has a cursor`))
    assert.ok(offset >= this.#at, this.#say(`${what} goes back behind ${this.#at}`))
    const lost = this.#log.wanted(this.#wanted, this.#at, offset)
    assert.deepEqual(
      lost.map((event) => event.offset),
      [],
      this.#say(`lost in silence before ${what}`),
    )
    this.#at = Math.max(this.#at, offset)
  }

  #note(text: string): void {
    this.#trail.push(text)
    if (this.#trail.length > 30) this.#trail.shift()
  }

  #say(what: string): string {
    return `${this.#name}: ${what}\n  after: ${this.#trail.join(', ')}`
  }
}

/**
 * Judges a gap at the moment at which it is declared: is a wanted event really gone? `floor`: every event after it is
 * in the log still.
 */
export function checkGap(gap: Gap, wanted: Wanted, log: PublishedLog, floor: number): void {
  if (gap.reason === 'epoch') return
  const [from, to] = [offsetOf(gap.from), offsetOf(gap.to)]
  const gone = log.wanted(wanted, from, Math.min(to, floor))
  const text = `the gap ${JSON.stringify(gap)}, while everything after ${floor} is there`
  if (gap.certain) assert.ok(gone.length > 0, `nothing is gone: ${text}`)
  if (gap.reason === 'trimmed') assert.ok(to <= floor, `what is there is declared missing: ${text}`)
  if (gap.reason === 'trimmed' && gap.certain)
    assert.equal(gone.at(-1)?.offset, to, `the gap should end at the last that is gone: ${text}`)
}

function offsetOf(text: string): number {
  const id = parseId(text)
  assert.ok(id !== undefined, `${text} is no id`)
  return id.offset
}
