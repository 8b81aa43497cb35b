// What a node wants of the log: which topics and patterns are followed, by how many, and from where each is complete.

import type { Selection } from '../hub/selection.ts'
import { isPattern, matchesTopic, subsumes } from '../hub/topic.ts'
import { ALL_SLOTS, slotOf, SLOTS } from './redis-layout.ts'

/** A topic or pattern that is followed. */
interface Followed {
  followers: number
  /** Everything after this offset comes; Infinity until the tail says so. */
  from: number
  /** When the last follower left. */
  idleSinceMs: number
}

/** Answers about topics that are remembered while patterns are followed. */
const REMEMBERED_TOPICS_MAX = 10_000

/** See the head of the file. */
export class RedisInterest {
  readonly #followed = new Map<string, Followed>()
  readonly #patterns = new Set<string>()
  /** How many names of a slot are followed. */
  readonly #slots = new Int32Array(SLOTS)
  readonly #remembered = new Map<string, boolean>()

  /** Counts a follower. */
  add({ topics }: Selection): void {
    for (const name of topics) {
      const known = this.#followed.get(name)
      if (known === undefined) this.#begin(name)
      else known.followers += 1
    }
  }

  /** Counts one less. */
  remove({ topics }: Selection, nowMs: number): void {
    for (const name of topics) {
      const known = this.#followed.get(name)
      if (known === undefined || known.followers === 0) continue
      known.followers -= 1
      known.idleSinceMs = nowMs
    }
  }

  /** The selection comes completely after this offset, unless it did so before. */
  completeFrom(selection: Selection, offset: number): void {
    for (const name of selection.topics) {
      const known = this.#followed.get(name)
      if (known !== undefined) known.from = Math.min(known.from, offset)
    }
  }

  /** The tail broke: nothing is complete from before this offset. */
  raise(offset: number): void {
    for (const one of this.#followed.values()) if (one.from < offset) one.from = offset
  }

  /** The log goes on after this offset: everything that comes is complete from there. */
  lower(offset: number): void {
    for (const one of this.#followed.values()) if (one.from > offset && one.from < Infinity) one.from = offset
  }

  /** Everything selected after this offset comes; Infinity where it does not. */
  from({ topics }: Selection): number {
    let from = 0
    for (const name of topics) from = Math.max(from, this.#fromOf(name))
    return from
  }

  /** Whether events of a topic are to be taken. */
  wants(topic: string): boolean {
    if (this.#followed.has(topic)) return true
    if (this.#patterns.size === 0) return false
    const remembered = this.#remembered.get(topic)
    if (remembered !== undefined) return remembered
    const isWanted = [...this.#patterns].some((pattern) => matchesTopic(pattern, topic))
    if (this.#remembered.size >= REMEMBERED_TOPICS_MAX) this.#remembered.clear()
    this.#remembered.set(topic, isWanted)
    return isWanted
  }

  /** The slots that have something to be followed in them. */
  slots(): readonly number[] {
    return this.#patterns.size > 0 ? ALL_SLOTS : ALL_SLOTS.filter((slot) => (this.#slots[slot] ?? 0) > 0)
  }

  /** Gives up what nobody has followed since this time. Answers whether that was anything. */
  expire(sinceMs: number): boolean {
    let isAny = false
    for (const [name, { followers, idleSinceMs }] of this.#followed) {
      if (followers > 0 || idleSinceMs > sinceMs) continue
      this.#end(name)
      isAny = true
    }
    return isAny
  }

  #begin(name: string): void {
    this.#followed.set(name, { followers: 1, from: Infinity, idleSinceMs: 0 })
    if (isPattern(name)) {
      this.#patterns.add(name)
      this.#remembered.clear()
    } else this.#slots[slotOf(name)] = (this.#slots[slotOf(name)] ?? 0) + 1
  }

  #end(name: string): void {
    this.#followed.delete(name)
    if (this.#patterns.delete(name)) this.#remembered.clear()
    else this.#slots[slotOf(name)] = (this.#slots[slotOf(name)] ?? 0) - 1
  }

  #fromOf(name: string): number {
    let from = this.#followed.get(name)?.from ?? Infinity
    for (const pattern of this.#patterns) {
      if (pattern === name || !subsumes(pattern, name)) continue
      from = Math.min(from, this.#followed.get(pattern)?.from ?? Infinity)
    }
    return from
  }
}
