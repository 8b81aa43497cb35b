// The judge of a subscriber's stream: every wanted event once, in order, or covered by a gap that is declared and
// right.
//
//   a stream:            everything wanted after its start
//   under `latest`:      the same, less events for which a newer one of their topic and key stands
//   a stream of state:   the newest of each topic and key up to `hydrant:live`, then everything after it

import assert from 'node:assert/strict'
import { formatId, parseId, type Gap } from 'hydrant-client/wire'
import type { Published, PublishedLog, Wanted } from './published-log.ts'
import type { Received } from './received.ts'

/** Follows one subscriber over all of its connections, and over every log that its server has. */
export class Checker {
  #log: PublishedLog
  readonly #wanted: Wanted
  readonly #name: string
  readonly #isLatest: boolean
  /** Everything wanted up to this offset was received, or declared missing; undefined before the first start. */
  #at: number | undefined
  /** The id that the client would come back with. */
  #id: string | undefined
  /** The id that must be declared unknown before anything else. */
  #foreignId: string | undefined
  /** Where the stream must go on after that; undefined for an id of another log. */
  #foreignTo: number | undefined
  /** The log was undone up to here under a stream that had come further; undefined when it is no matter any more. */
  #undoneTo: number | undefined
  /** Whether it had been sent something of what was undone, and must be told so first. */
  #mustHear = false
  /** Set while the state as of this offset is received. */
  #stateTo: number | undefined
  /** Whether the state is sent again because of a gap, which has to come before it. */
  #expectsStateGap = false
  /** What was trimmed before the state was read is no part of it. */
  #stateFloor: number | undefined
  /** Up to here what did not come was declared; of other topics some may come yet. */
  #declaredTo = 0
  /** What was trimmed before the newest part of the state was read. */
  #floor = 0
  /** The last things that were received, for the message of a failure. */
  readonly #trail: string[] = []
  #events = 0
  #gaps = 0

  constructor(log: PublishedLog, wanted: Wanted, name: string, isLatest = false) {
    this.#log = log
    this.#wanted = wanted
    this.#name = name
    this.#isLatest = isLatest
  }

  /** How far the stream has come; undefined before it began. */
  get at(): number | undefined {
    return this.#at
  }

  /** The id that the client would come back with; undefined before it has one. */
  get id(): string | undefined {
    return this.#id
  }

  /** Events received so far. */
  get events(): number {
    return this.#events
  }

  /** Gaps received so far. */
  get gaps(): number {
    return this.#gaps
  }

  /** Whether the next gap stands before the state. */
  get expectsStateGap(): boolean {
    return this.#expectsStateGap
  }

  /** The subscriber starts anew at a place that it knows without being told. */
  startAt(log: PublishedLog, offset: number): void {
    this.#start(log, `at ${offset}`)
    this.#at = offset
  }

  /** The subscriber starts anew, at a place that the stream will name. */
  startAnew(log: PublishedLog): void {
    this.#start(log, 'anew')
    this.#id = undefined
  }

  /**
   * The subscriber comes with an id: one of this log is gone on from; of one that was undone, or of another log, it
   * must be told so first.
   */
  startAfter(log: PublishedLog, id: string): void {
    this.#start(log, `after ${id}`)
    this.#id = id
    this.#at = log.placeOf(parsed(id))
    if (this.#at !== undefined) return
    this.#foreignId = id
    this.#foreignTo = log.endOfTerm(parsed(id).epoch)
  }

  /** The state as of this offset comes first; where the subscriber came with an id, after a gap. */
  startState(to: number): void {
    this.#note(`state to ${to}`)
    this.#stateTo = to
    this.#expectsStateGap = this.#id !== undefined
  }

  /** Some of the stream is sent, while everything after this offset is in the log still. */
  isSent(floor: number): void {
    this.#floor = floor
    if (this.#stateTo !== undefined) this.#stateFloor ??= floor
  }

  /** Everything after this offset is about to be undone, while the subscriber may be connected. */
  undone(to: number): void {
    this.#note(`undone to ${to}`)
    if (this.#at === undefined || this.#foreignId !== undefined) return
    this.#mustHear ||= this.#log.wanted(this.#wanted, to, this.#at).length > 0
    this.#undoneTo = to
    this.#at = Math.min(this.#at, to)
    this.#declaredTo = Math.min(this.#declaredTo, to)
  }

  /** Takes the next thing of the stream. */
  take(received: Received): void {
    if (received.kind === 'ended') return this.takeEnd()
    if (received.kind === 'event') return this.#takeEvent(received)
    const { epoch, kind, offset } = received
    const id = formatId(epoch ?? '', offset)
    if (kind === 'open' && id === this.#id) return // an answer that names the client's own id
    if (kind === 'gap') this.#takeGap(received.gap)
    else this.#takeControl(kind, offset)
    assert.equal(this.#log.placeOf(parsed(id)), offset, this.#say(`the id of the ${kind} ${id}`))
    this.#id = id
  }

  /** The server says that nothing can follow. */
  takeEnd(): void {
    this.#note('ended')
    assert.ok(this.#log.isOver(this.#wanted), this.#say('it is not over'))
    assert.equal(this.#stateTo, undefined, this.#say('over before the state was'))
    this.end()
  }

  /** At the end: nothing wanted may be left. */
  end(): void {
    assert.ok(this.#at !== undefined, this.#say('the stream never started'))
    assert.equal(this.#stateTo, undefined, this.#say('the state never ended'))
    assert.ok(!this.#mustHear, this.#say('it was never told of what was undone'))
    this.#moveTo(Math.max(this.#log.head, this.#at), 'the end')
  }

  #start(log: PublishedLog, where: string): void {
    this.#note(`start ${where}`)
    this.#log = log
    this.#at = this.#foreignId = this.#foreignTo = this.#stateTo = this.#stateFloor = undefined
    this.#expectsStateGap = false
    this.#declaredTo = 0
    this.#undoneTo = undefined
    this.#mustHear = false
  }

  #takeControl(kind: 'open' | 'live' | 'position' | 'bye', offset: number): void {
    this.#note(`${kind} ${offset}`)
    assert.equal(this.#foreignId, undefined, this.#say(`${kind} before the gap that a foreign id calls for`))
    if (kind === 'open') this.#at ??= offset
    if (kind === 'live') assert.equal(offset, this.#stateTo, this.#say('live, but not at the end of the state'))
    this.#moveTo(offset, `the ${kind} at ${offset}`)
    if (kind === 'live') this.#stateTo = undefined
  }

  #takeEvent(received: Received & { readonly kind: 'event' }): void {
    const { data, topic, type, epoch } = received
    const published = this.#published(received)
    const offset = received.offset ?? published?.offset
    this.#note(`event ${offset}`)
    assert.equal(this.#foreignId, undefined, this.#say('an event before the gap that a foreign id calls for'))
    assert.ok(!this.#mustHear, this.#say('an event before the gap of what was undone'))
    assert.ok(!this.#expectsStateGap, this.#say('an event before the gap because of which the state is sent'))
    assert.ok(published !== undefined && offset !== undefined, this.#say(`event ${offset} was never published so`))
    assert.equal(data, published.data, this.#say(`the data of event ${offset}`))
    if (topic !== undefined) assert.equal(topic, published.topic, this.#say('wrong topic'))
    if (type !== undefined) assert.equal(type, published.type, this.#say('wrong type'))
    const [wanted] = this.#log.wanted(this.#wanted, offset - 1, offset)
    assert.ok(wanted !== undefined, this.#say(`event ${offset} was not selected`))
    assert.ok(this.#at === undefined || offset > this.#at, this.#say(`event ${offset} came again, or too late`))
    if (this.#stateTo !== undefined)
      assert.ok(
        this.#log.isState(wanted, this.#stateTo, this.#wanted),
        this.#say(`event ${offset} is no part of the state`),
      )
    this.#moveTo(offset - 1, `event ${offset}`)
    this.#at = offset
    this.#events += 1
    if (received.offset === undefined) return
    assert.equal(epoch, this.#log.epochAt(offset), this.#say(`the epoch of event ${offset}`))
    this.#id = formatId(epoch ?? '', offset)
  }

  /** Without an id it is known by its data, and by being next. */
  #published({ offset, data }: Received & { readonly kind: 'event' }): Published | undefined {
    if (offset !== undefined) return this.#log.at(offset)
    return this.#log.wanted(this.#wanted, this.#at ?? 0, this.#log.head).find((event) => event.data === data)
  }

  #takeGap(gap: Gap): void {
    this.#note(`gap ${gap.from} to ${gap.to} ${gap.reason} ${gap.certain}`)
    this.#gaps += 1
    const to = parsed(gap.to).offset
    if (gap.reason === 'epoch') {
      if (this.#undoneTo === undefined) assert.equal(gap.from, this.#foreignId, this.#say('the id was one of this log'))
      else {
        assert.equal(to, this.#undoneTo, this.#say('where it goes on behind what was undone'))
        if (gap.certain) assert.ok(this.#mustHear, this.#say('nothing that it saw was undone'))
      }
      this.#undoneTo = undefined
      this.#mustHear = false
      if (this.#foreignTo !== undefined && !this.#expectsStateGap)
        assert.equal(to, this.#foreignTo, this.#say('where the undone id goes on'))
      this.#foreignId = this.#foreignTo = undefined
    } else {
      assert.equal(this.#foreignId, undefined, this.#say('the gap should be one of epochs'))
      this.#judgeGap(gap, parsed(gap.from).offset, to)
    }
    // Behind a gap of epochs it is not known here what is missing; the state begins before everything.
    this.#at = this.#expectsStateGap ? 0 : parsed(gap.id ?? gap.to).offset
    assert.ok(this.#at <= to, this.#say('a gap that leads beyond its end'))
    this.#declaredTo = this.#expectsStateGap ? 0 : to
    this.#expectsStateGap = false
  }

  #judgeGap(gap: Gap, from: number, to: number): void {
    if (this.#expectsStateGap) assert.equal(from, this.#at, this.#say(`the gap from ${from}`))
    else this.#moveTo(from, `the gap from ${from}`)
    assert.ok(to > from, this.#say(`the gap from ${from} ends at ${to}`))
    const missing = this.#log.wanted(this.#wanted, from, to)
    if (gap.certain) assert.ok(missing.length > 0, this.#say('nothing is missing in a certain gap'))
    if (gap.count !== undefined) assert.equal(gap.count, missing.length, this.#say('the count of the gap'))
  }

  #moveTo(offset: number, what: string): void {
    const at = this.#at
    assert.ok(at !== undefined, this.#say(`${what} comes before the stream has a cursor`))
    assert.ok(offset >= at, this.#say(`${what} goes back behind ${at}`))
    const lost = this.#log.wanted(this.#wanted, at, offset).filter((event) => !this.#mayMiss(event))
    assert.deepEqual(
      lost.map((event) => event.offset),
      [],
      this.#say(`lost in silence before ${what}`),
    )
    this.#at = offset
  }

  /** Whether an event need not be sent: another one stands for it, or it is no part of the state. */
  #mayMiss(event: Published): boolean {
    if (event.offset <= this.#declaredTo) return true
    const isReplaced = event.key !== undefined && this.#log.newer(event, this.#wanted) !== undefined
    if (this.#stateTo === undefined) return this.#isLatest && isReplaced
    if (event.offset <= (this.#stateFloor ?? 0) || !this.#log.isState(event, this.#stateTo, this.#wanted)) return true
    return isReplaced && (this.#isLatest || event.offset <= this.#floor)
  }

  #note(text: string): void {
    this.#trail.push(text)
    if (this.#trail.length > 30) this.#trail.shift()
  }

  #say(what: string): string {
    return `${this.#name}: ${what}\n  after: ${this.#trail.join(', ')}`
  }
}

/** How a gap is to be judged. */
export interface GapSituation {
  /** Every event after it is in the log still. */
  readonly floor: number
  /** Whether superseded events need not be told of. */
  readonly isLatest: boolean
  /** Whether the state follows, which stands for more than is gone. */
  readonly isBeforeState: boolean
}

/** Judges a gap at the moment at which it is declared: is a wanted event really gone? */
export function checkGap(gap: Gap, wanted: Wanted, log: PublishedLog, situation: GapSituation): void {
  const { floor, isLatest, isBeforeState } = situation
  const [from, to] = [parsed(gap.from).offset, parsed(gap.to).offset]
  if (gap.reason === 'epoch') {
    const isUndone = log.endOfTerm(parsed(gap.from).epoch) !== undefined
    return assert.ok(isBeforeState || isUndone || to <= floor, `what is there is left out: ${JSON.stringify(gap)}`)
  }
  const gone = log.wanted(wanted, from, Math.min(to, floor))
  const text = `the gap ${JSON.stringify(gap)}, while everything after ${floor} is there`
  const isMissed = (event: Published): boolean => !isLatest || isBeforeState || mayHaveGoneAsNewest(event, log, wanted)
  if (gap.certain) assert.ok(gone.some(isMissed), `nothing is gone: ${text}`)
  if (gap.reason !== 'trimmed' || isBeforeState) return
  assert.ok(to <= floor, `what is there is declared missing: ${text}`)
  if (gap.certain && !isLatest)
    assert.equal(gone.at(-1)?.offset, to, `the gap should end at the last that is gone: ${text}`)
}

/** Whether it was gone, perhaps, before a newer event of its topic and key was published. */
function mayHaveGoneAsNewest(event: Published, log: PublishedLog, wanted: Wanted): boolean {
  const newer = log.newer(event, wanted)
  return event.key === undefined || newer === undefined || event.offset <= log.floorAt(newer.offset)
}

function parsed(text: string): { readonly epoch: string; readonly offset: number } {
  const id = parseId(text)
  assert.ok(id !== undefined, `${text} is no id`)
  return id
}
