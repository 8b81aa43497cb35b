// Looks at the log: subscribes to what is wanted, gives up what is not, and asks the script for a mark. Once a second,
// for every new follower, and whenever the tail is held. One is under way at a time; who comes then shares the next.

import { HydrantError } from '../hub/errors.ts'
import type { Selection } from '../hub/selection.ts'
import type { Following } from './engine.ts'
import type { MarkRequest } from './redis-commit.ts'
import type { RedisInterest } from './redis-interest.ts'
import { parseMark, type RedisMark } from './redis-mark.ts'

/** What looks need of their engine. */
export interface RedisLooksParts {
  readonly interest: RedisInterest
  /** Whether the tail carries a slot. */
  readonly follows: (slot: number) => boolean
  /** Makes the messages of these slots come, and those of the others stop; resolves when they do. */
  readonly subscribe: (slots: readonly number[]) => Promise<void>
  readonly askMark: (request: Omit<MarkRequest, 'channel'>) => Promise<void>
  /** The tail carries these slots from a mark on. */
  readonly joined: (slots: readonly number[], mark: RedisMark) => void
  /** A topic ended, or 0: goes on. */
  readonly ended: (topic: string, offset: number) => void
  /** No mark came for so long that its connection must be a dead one. */
  readonly silent: () => void
  readonly timeoutMs: number
}

/** Somebody who waits for a look. */
interface Waiter {
  readonly selection: Selection | undefined
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** A look under way. */
interface Look {
  readonly number: number
  readonly slots: readonly number[]
  readonly topics: readonly string[]
  readonly waiters: readonly Waiter[]
  readonly settle: (error?: unknown) => void
}

/** How long what nobody follows any more still comes: who reloads a page is back before. */
export const IDLE_MS = 5_000

/** See the head of the file. */
export class RedisLooks implements Following {
  readonly #parts: RedisLooksParts
  #waiting: Waiter[] = []
  #look: Look | undefined
  #isRunning = false
  #isWanted = false
  #number = 0
  #isClosed = false

  constructor(parts: RedisLooksParts) {
    this.#parts = parts
  }

  async add(selection: Selection): Promise<void> {
    const { interest } = this.#parts
    interest.add(selection)
    try {
      await this.look(selection)
    } catch (error) {
      interest.remove(selection, performance.now())
      throw error
    }
  }

  remove(selection: Selection): void {
    this.#parts.interest.remove(selection, performance.now())
  }

  from(selection: Selection): number {
    return this.#parts.interest.from(selection)
  }

  /** Looks, and resolves when the tail has come to where the log was; for a selection, when it carries that. */
  async look(selection?: Selection): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ selection, resolve, reject })
    this.ask()
    return promise
  }

  /** Looks, though nobody waits for it. */
  ask(): void {
    this.#isWanted = true
    if (!this.#isRunning) void this.#run()
  }

  /** Reads a mark as the one who asked for it must. */
  parse(text: string): RedisMark {
    return parseMark(text, this.#look?.slots ?? [])
  }

  /** The tail has come to a mark. */
  reached(mark: RedisMark): void {
    const look = this.#look
    if (look === undefined || mark.number !== look.number) return
    for (const [at, topic] of look.topics.entries()) this.#parts.ended(topic, mark.ends[at] ?? 0)
    this.#parts.joined(look.slots, mark)
    for (const { selection } of look.waiters)
      if (selection !== undefined) this.#parts.interest.completeFrom(selection, mark.head)
    look.settle()
  }

  /** There is no connection: whoever waits is told so. */
  fail(error: unknown): void {
    this.#look?.settle(error)
    const waiting = this.#waiting
    this.#waiting = []
    for (const { reject } of waiting) reject(error)
  }

  /** Looks no more. */
  close(): void {
    this.#isClosed = true
    this.fail(new HydrantError('unavailable', 'The log is not open.'))
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#isWanted && !this.#isClosed) {
      this.#isWanted = false
      const waiters = this.#waiting
      this.#waiting = []
      try {
        await this.#once(waiters)
        for (const { resolve } of waiters) resolve()
      } catch (error) {
        for (const { reject } of waiters) reject(error)
      }
    }
    this.#isRunning = false
  }

  async #once(waiters: readonly Waiter[]): Promise<void> {
    const { interest, subscribe, askMark, silent, timeoutMs } = this.#parts
    interest.expire(performance.now() - IDLE_MS)
    const slots = interest.slots()
    await subscribe(slots)
    const number = (this.#number += 1)
    const topics = [...new Set(waiters.flatMap(({ selection }) => selection?.exactTopics ?? []))]
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const settle = (error?: unknown): void => (error === undefined ? resolve() : reject(error))
    this.#look = { number, slots, topics, waiters, settle }
    promise.catch(() => {}) // told below, unless asking failed first
    const timer = setTimeout(() => {
      silent()
      settle(new HydrantError('unavailable', 'Redis does not say where the log is.'))
    }, 2 * timeoutMs)
    try {
      await askMark({ number, slots, topics })
      await promise
    } finally {
      clearTimeout(timer)
      this.#look = undefined
    }
  }
}
