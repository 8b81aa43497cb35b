// A correct run: a naive server that trims, restarts and loses what it never acknowledged, and clients that follow it.
// It writes down what a checker is told, in the order in which it happened.

import { check, Checker } from '../../src/testing/testing.ts'
import type { ClientLog, ClientRecord, PublishRecord, Report, Selects } from '../../src/testing/testing.ts'

/** What a checker is told. */
export type Step =
  | { readonly attempt: number }
  | { readonly ended: number }
  | { readonly began: string }
  | { readonly client: number; readonly record: ClientRecord }

/** A run as data. */
export interface Run {
  readonly published: PublishRecord[]
  readonly clients: (Selects & { readonly name: string; records: ClientRecord[] })[]
  readonly steps: readonly Step[]
  readonly epochs: readonly string[]
}

/** What a run may have. */
export interface RunOptions {
  readonly steps: number
  /** Whether the server restarts, each time with a new epoch. */
  readonly restarts: boolean
  /** Whether publishes fail, or end nobody knows how. */
  readonly failures: boolean
}

interface Stored {
  readonly epoch: string
  readonly offset: number
  readonly topic: string
  readonly type: string
  readonly key: string | undefined
  readonly data: string
  readonly isAcknowledged: boolean
}

interface Follower {
  readonly index: number
  readonly selects: Selects
  /** How many events of the log it is past. */
  at: number
  /** The id that it was told last. */
  id: string
}

const FIRST_EPOCH = '000000000001'
const TOPICS = ['a/1', 'a/2', 'b/1']
const SELECTIONS: readonly Selects[] = [
  { topics: ['**'] },
  { topics: ['a/*'], lag: 'skip' },
  { topics: ['b/1', 'a/1'], types: ['one'] },
  { topics: ['**'], lag: 'latest' },
]

/** Makes a run; the same seed makes the same. */
export function naiveRun(seed: number, options: RunOptions): Run {
  const server = new NaiveServer(seed, options)
  for (let step = 0; step < options.steps; step += 1) server.step()
  server.finish()
  return server
}

/** Checks a run all at once. */
export function checkRun(run: Run): Report {
  return check(run)
}

/** Checks a run as it happens; settles whenever `isDue` says so. */
export function streamRun(run: Run, isDue: () => boolean): Report {
  const checker = new Checker()
  const clients: ClientLog[] = run.clients.map((client) => checker.client(client.name, client))
  const attempts = new Map<number, ReturnType<Checker['published']['attempt']>>()
  for (const step of run.steps) {
    if ('began' in step) checker.published.began(step.began)
    else if ('client' in step) clients[step.client]?.take(step.record)
    else if ('attempt' in step) attempts.set(step.attempt, checker.published.attempt(recordOf(run, step.attempt)))
    else {
      const { outcome } = recordOf(run, step.ended)
      const attempt = attempts.get(step.ended)
      if (outcome === 'failed') attempt?.failed()
      else if (outcome === 'unknown') attempt?.unknown()
      else attempt?.acknowledged(outcome.id)
    }
    if (isDue()) checker.settle()
  }
  return checker.report()
}

function recordOf(run: Run, index: number): PublishRecord {
  const record = run.published[index]
  if (record === undefined) throw new Error(`nothing was published as ${index}`)
  return record
}

/** Numbers from 0 up to `below` (mulberry32). */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

class NaiveServer implements Run {
  readonly published: PublishRecord[] = []
  readonly clients: (Selects & { readonly name: string; records: ClientRecord[] })[]
  readonly steps: Step[] = []
  readonly epochs: string[] = [FIRST_EPOCH]
  readonly #random: (below: number) => number
  readonly #options: RunOptions
  readonly #followers: Follower[]
  /** Everything that was stored and not undone, over all epochs. */
  #log: Stored[] = []
  /** How many of the log are gone. */
  #trimmed = 0
  #epochs = 1
  #offset = 0
  #unended: number[] = []

  constructor(seed: number, options: RunOptions) {
    this.#random = randomOf(seed)
    this.#options = options
    this.clients = SELECTIONS.map((selects, at) => ({ ...selects, name: `client ${at}`, records: [] }))
    const id = this.#idOf(0)
    this.#followers = SELECTIONS.map((selects, index) => ({ index, selects, at: 0, id }))
    for (const follower of this.#followers) this.#tell(follower, { opened: id })
  }

  step(): void {
    const [dice, follower] = [this.#random(40), this.#followers[this.#random(SELECTIONS.length)]]
    if (follower === undefined) return
    if (dice < 16) this.#publish()
    else if (dice < 20) this.#endOne()
    else if (dice < 32) this.#deliver(follower, 1 + this.#random(5))
    else if (dice < 35) this.#tell(follower, { resumed: follower.id })
    else if (dice < 37) this.#position(follower)
    else if (dice < 39) this.#trimmed += this.#random(this.#log.length - this.#trimmed + 1)
    else if (this.#options.restarts) this.#restart()
  }

  finish(): void {
    while (this.#unended.length > 0) this.#endOne()
    for (const follower of this.#followers) this.#deliver(follower, Number.POSITIVE_INFINITY)
  }

  #publish(): void {
    const attempt = this.published.length
    const event = {
      topic: TOPICS[this.#random(TOPICS.length)] ?? '',
      type: this.#random(2) === 0 ? 'one' : 'two',
      key: this.#random(3) === 0 ? undefined : `key ${this.#random(2)}`,
      data: `event ${attempt}`,
    }
    const fate = this.#options.failures ? this.#random(10) : 9
    const isStored = fate > 1
    if (isStored) {
      this.#offset += 1 + this.#random(2)
      this.#log.push({ ...event, epoch: this.#epoch, offset: this.#offset, isAcknowledged: fate > 3 })
    }
    const outcome = fate > 3 ? { id: this.#idOf(this.#offset) } : fate === 0 ? 'failed' : 'unknown'
    this.published.push({ ...event, outcome })
    this.steps.push({ attempt })
    this.#unended.push(attempt)
  }

  #endOne(): void {
    const [ended] = this.#unended.splice(this.#random(this.#unended.length), 1)
    if (ended !== undefined) this.steps.push({ ended })
  }

  #deliver(follower: Follower, count: number): void {
    this.#declareTrimmed(follower)
    for (let left = count; left > 0 && follower.at < this.#log.length; follower.at += 1) {
      const event = this.#log[follower.at]
      if (event === undefined || !isSelected(follower.selects, event)) continue
      if (follower.selects.lag === 'latest' && this.#isSuperseded(event, follower.at)) continue
      follower.id = `${event.epoch}-${event.offset}`
      const { topic, type, key, data } = event
      this.#tell(follower, { event: { id: follower.id, topic, type, key, data } })
      left -= 1
    }
  }

  #declareTrimmed(follower: Follower): void {
    if (follower.at >= this.#trimmed) return
    const gone = this.#log.slice(follower.at, this.#trimmed).filter((event) => isSelected(follower.selects, event))
    const last = gone.at(-1)
    follower.at = this.#trimmed
    if (last === undefined) return
    const to = `${last.epoch}-${last.offset}`
    const reason = this.#random(2) === 0 ? 'trimmed' : 'lagged'
    this.#tell(follower, { gap: { from: follower.id, to, reason, certain: true, count: gone.length } })
    follower.id = to
  }

  #position(follower: Follower): void {
    this.#deliver(follower, Number.POSITIVE_INFINITY)
    follower.id = this.#idOf(this.#offset)
    this.#tell(follower, { position: follower.id })
  }

  #restart(): void {
    const kind = this.#random(3)
    // A tail that was never acknowledged may be undone; whoever has seen it is told so.
    const kept = kind === 0 ? this.#log.findLastIndex((event) => event.isAcknowledged) + 1 : this.#log.length
    const last = this.#log[kept - 1]
    const isCut = last?.epoch === this.#epoch && kept >= this.#trimmed && kept < this.#log.length
    if (isCut) {
      this.#log = this.#log.slice(0, kept)
      this.#offset = last.offset
      for (const follower of this.#followers)
        if (follower.at > kept) this.#begin(follower, kept, this.#idOf(last.offset))
      for (const follower of this.#followers) follower.at = Math.min(follower.at, kept)
    }
    this.#epochs += 1
    this.epochs.push(this.#epoch)
    this.steps.push({ began: this.#epoch })
    if (kind !== 1) return
    // Everything is lost, and the new log counts from 1.
    this.#offset = 0
    this.#trimmed = this.#log.length
    for (const follower of this.#followers) this.#begin(follower, this.#log.length, this.#idOf(0))
  }

  #begin(follower: Follower, at: number, to: string): void {
    this.#tell(follower, { resumed: follower.id })
    this.#tell(follower, { gap: { from: follower.id, to, reason: 'epoch', certain: false } })
    follower.at = at
    follower.id = to
  }

  #isSuperseded({ topic, key }: Stored, at: number): boolean {
    return key !== undefined && this.#log.slice(at + 1).some((newer) => newer.topic === topic && newer.key === key)
  }

  #tell(follower: Follower, record: ClientRecord): void {
    this.clients[follower.index]?.records.push(record)
    this.steps.push({ client: follower.index, record })
  }

  get #epoch(): string {
    return String(this.#epochs).padStart(12, '0')
  }

  #idOf(offset: number): string {
    return `${this.#epoch}-${offset}`
  }
}

/** Without the code under test. */
function isSelected({ topics, types }: Selects, { topic, type }: Stored): boolean {
  if (types !== undefined && !types.includes(type)) return false
  return topics.some(
    (one) => one === '**' || one === topic || (one.endsWith('/*') && topic.startsWith(one.slice(0, -1))),
  )
}
