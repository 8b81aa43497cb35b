// What this process knows of a log in NATS: how far its tail has come, the terms, the ends of topics. Everything that
// arrives goes through here, into the hub's tail; nothing in here waits.

import { Epochs } from '../hub/epochs.ts'
import { LogEvent } from '../hub/event.ts'
import type { Limits } from '../hub/limits.ts'
import type { LogBounds, Tail, TailBreaks } from './engine.ts'
import { NatsEnds } from './nats-ends.ts'
import { unavailable } from './nats-errors.ts'
import { FollowedSubjects } from './nats-following.ts'
import { parseMessage, type NatsMessage } from './nats-message.ts'
import { SeenMessages } from './nats-seen.ts'
import type { Subject, Subjects } from './nats-subject.ts'
import { commonTo, parseRecord, termAt, type Term, type TermRecord } from './nats-terms.ts'

interface Waiter {
  readonly seq: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** See the head of the file. */
export class NatsLog {
  readonly subjects: Subjects
  readonly ends: NatsEnds
  readonly followed: FollowedSubjects
  readonly seen: SeenMessages = new SeenMessages()
  /** The newest that NATS acknowledged to this process. */
  acked = 0
  /** Which stream it is: see `StreamState.created`. */
  created = ''
  /** Where the newest record of a term stands. */
  recordSeq = 0
  /** Counts what was undone: what was read before is worth nothing after. */
  generation = 0
  readonly #termsMax: number
  #terms: readonly Term[] = []
  #runs: readonly string[] = []
  #epochs: Epochs
  #head = 0
  #floor = 0
  #goneTo = 0
  #lastMs = 0
  #tail: Tail = () => {}
  #breaks: TailBreaks | undefined
  #waiters: Waiter[] = []

  constructor(subjects: Subjects, { epochsMax, trimmedTopicsMax }: Limits) {
    this.subjects = subjects
    this.ends = new NatsEnds(trimmedTopicsMax)
    this.followed = new FollowedSubjects(subjects)
    this.#termsMax = epochsMax
    this.#epochs = new Epochs([], epochsMax)
  }

  /** Who is told from now on. */
  tell(tail: Tail, breaks: TailBreaks | undefined): void {
    this.#tail = tail
    this.#breaks = breaks
  }

  get bounds(): LogBounds {
    return { floor: this.#floor, head: this.#head, epochs: this.#epochs }
  }

  get head(): number {
    return this.#head
  }

  get floor(): number {
    return this.#floor
  }

  get terms(): readonly Term[] {
    return this.#terms
  }

  /** What is known of the record of the newest term. */
  get record(): TermRecord | undefined {
    return this.#terms.length === 0 ? undefined : { terms: this.#terms, runs: this.#runs }
  }

  /** Where the tail begins, before anybody was told of anything. */
  begin(head: number): void {
    this.#head = head
  }

  /** Nothing at or below this is kept; what was an event, up to `goneTo`, was trimmed. */
  setFloor(floor: number, goneTo: number): void {
    this.#floor = Math.min(floor, this.#head)
    this.#goneTo = Math.min(goneTo, this.#head)
  }

  /** Takes what the tail brought. Answers whether the tail goes on; if not it has to start anew after the head. */
  take(messages: readonly NatsMessage[]): boolean {
    let events: LogEvent[] = []
    let to = this.#head
    for (const message of messages) {
      if (message.seq <= to) continue
      if (this.followed.isWhole && message.seq > to + 1) {
        this.#emit(events, to - 1) // what is missing was taken out before it came
        events = []
        this.skip(message.seq - 1)
      }
      to = message.seq
      this.seen.note(message.seq, message.storedNs)
      const subject = this.subjects.parse(message.subject)
      if (subject?.kind === 'term') {
        this.#emit(events, to - 1) // what came before it is of the terms of before
        events = []
        if (!this.#takeTerm(message)) return false
      } else if (subject !== undefined) {
        const event = this.#takeEvent(message, subject)
        if (event !== undefined) events.push(event)
      }
    }
    this.#emit(events, to)
    return true
  }

  /** Nothing that the tail brings stands up to this place that did not come. */
  moveTo(to: number): void {
    if (to > this.#head) this.#emit([], to)
  }

  /** What stands up to this place does not come. */
  skip(to: number): void {
    if (to <= this.#head) return
    this.#head = to
    this.followed.skipped(to)
    this.#breaks?.skip(to)
    this.#settle()
  }

  /**
   * Takes the table of a record over. Answers whether the tail goes on; if not, what it brought after the head of now
   * was undone.
   */
  adopt(record: TermRecord, seq: number): boolean {
    this.recordSeq = seq
    this.#runs = record.runs
    const same = commonTo(this.#terms, record.terms)
    if (same === Number.POSITIVE_INFINITY) return true
    const isUndone = this.#terms.length > 0 && same < this.#head
    if (isUndone) this.#undo(same)
    const known = this.#terms.at(-1)
    const isGrown = !isUndone && known !== undefined && same >= known.first
    const fresh = isGrown ? record.terms.filter(({ first }) => first > same) : record.terms
    if (!isGrown) this.#epochs = new Epochs([], this.#termsMax)
    for (const term of fresh) this.#epochs.begin(term)
    this.#terms = record.terms
    if (!isUndone && isGrown && fresh.some((term) => term.isAfterLoss)) this.skip(seq)
    return !isUndone
  }

  /** An event of a message; undefined for one that is void. */
  eventOf(message: NatsMessage, subject: Exclude<Subject, { kind: 'term' }>): LogEvent | undefined {
    const { event, timeMs, publisherHead } = parseMessage(message, subject)
    if (this.ends.isVoid(event.topic, message.seq, publisherHead)) return undefined
    return new LogEvent(this.epochAt(message.seq), message.seq, timeMs, event)
  }

  /** The name of the term that an offset belongs to. */
  epochAt(offset: number): string {
    return termAt(this.#terms, offset)?.name ?? ''
  }

  /** Up to where something may be gone that stood after a cursor, of a reading that reached `to`; 0: nothing is. */
  goneTo(after: number, to: number): number {
    const lost = this.#terms.findLast(({ first, isAfterLoss }) => isAfterLoss && first > after && first <= to)
    return Math.max(lost?.first ?? 0, after < this.#goneTo ? this.#goneTo : 0)
  }

  /** Resolves when the tail has carried everything up to this place; rejects when the log is lost before. */
  async reached(seq: number): Promise<void> {
    if (seq <= this.#head) return
    await new Promise<void>((resolve, reject) => this.#wait({ seq, resolve, reject }))
  }

  /** The log is lost: who waits is told. */
  failWaiting(reason: string): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters) reject(unavailable(reason))
  }

  #takeTerm(message: NatsMessage): boolean {
    const record = parseRecord(new TextDecoder().decode(message.data))
    return record === undefined || this.adopt(record, message.seq)
  }

  #takeEvent(message: NatsMessage, subject: Exclude<Subject, { kind: 'term' }>): LogEvent | undefined {
    const { event, timeMs, publisherHead } = parseMessage(message, subject)
    const { topic } = event
    if (this.ends.isVoid(topic, message.seq, publisherHead)) return undefined
    // it is gone from the log: see nats-ends.ts
    if ((this.ends.of(topic) ?? Infinity) < message.seq) this.ends.forget(topic)
    this.#lastMs = Math.max(this.#lastMs, timeMs)
    const taken = new LogEvent(this.epochAt(message.seq), message.seq, this.#lastMs, event)
    if (subject.kind === 'end') this.ends.note(taken)
    return taken
  }

  #undo(to: number): void {
    this.#breaks?.undo(to)
    this.generation += 1
    this.#head = to
    this.setFloor(this.#floor, this.#goneTo)
    this.acked = Math.min(this.acked, to)
    this.seen.undo(to)
    this.ends.undo(to)
    this.followed.undone(to)
    this.failWaiting('The end of the log was undone. Try again.')
  }

  #emit(events: readonly LogEvent[], to: number): void {
    if (to <= this.#head) return
    this.#head = to
    this.#tail({ events, to })
    this.#settle()
  }

  /** By place: acknowledgements come in the order of the stream, so that the end is most often right. */
  #wait(waiter: Waiter): void {
    const at = this.#waiters.findLastIndex(({ seq }) => seq <= waiter.seq) + 1
    if (at === this.#waiters.length) this.#waiters.push(waiter)
    else this.#waiters.splice(at, 0, waiter)
  }

  #settle(): void {
    const left = this.#waiters.findIndex(({ seq }) => seq > this.#head)
    const due = left === 0 ? [] : this.#waiters.splice(0, left === -1 ? this.#waiters.length : left)
    for (const { resolve } of due) resolve()
  }
}
