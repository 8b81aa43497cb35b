// Interests: which selections somebody in this process follows, for an engine whose tail carries only those.
//
// A stream follows its selection before it looks for its start, and has its feed only after that: in between a lease
// holds the interest. Who comes and goes quickly finds the engine following still.

import type { Following } from '../engine/engine.ts'
import type { Clock } from './clock.ts'
import type { Selection } from './selection.ts'

/** How long a selection is followed at least, from when it was asked for. */
const LEASE_MS = 30_000

interface Interest {
  readonly selection: Selection
  feeds: number
  leasedUntilMs: number
  /** Resolves when the engine follows it. */
  readonly followed: Promise<void>
}

/** Counts feeds and leases by selection; the engine hears of the first and of the last. */
export class Interests {
  readonly #following: Following
  readonly #clock: Clock
  readonly #interests = new Map<string, Interest>()
  #cancelSweep: (() => void) | undefined

  constructor(following: Following, clock: Clock) {
    this.#following = following
    this.#clock = clock
  }

  /** Resolves when the tail carries everything selected; holds it for `LEASE_MS`. Rejects with `unavailable`. */
  lease(selection: Selection): Promise<void> {
    const interest = this.#get(selection)
    interest.leasedUntilMs = this.#clock.monotonicMs() + LEASE_MS
    this.#sweepLater()
    return interest.followed
  }

  /** A feed of this selection began. */
  add(selection: Selection): void {
    this.#get(selection).feeds += 1
  }

  /** It ended. */
  remove(selection: Selection): void {
    const interest = this.#interests.get(selection.key)
    if (interest === undefined) return
    interest.feeds -= 1
    this.#sweepLater()
  }

  /** Everything selected after this offset came through the tail, or will. */
  from(selection: Selection): number {
    return this.#following.from(selection)
  }

  /** Stops the timer. */
  close(): void {
    this.#cancelSweep?.()
    this.#cancelSweep = undefined
  }

  #get(selection: Selection): Interest {
    const known = this.#interests.get(selection.key)
    if (known !== undefined) return known
    const followed = this.#following.add(selection)
    const interest = { selection, feeds: 0, leasedUntilMs: 0, followed }
    this.#interests.set(selection.key, interest)
    followed.catch(() => {
      // Whoever is next asks anew.
      if (this.#interests.get(selection.key) === interest) this.#interests.delete(selection.key)
    })
    return interest
  }

  #sweepLater(): void {
    this.#cancelSweep ??= this.#clock.after(LEASE_MS, () => {
      this.#cancelSweep = undefined
      this.#sweep()
    })
  }

  #sweep(): void {
    const nowMs = this.#clock.monotonicMs()
    let isLeased = false
    for (const [key, interest] of this.#interests) {
      if (interest.feeds > 0) continue
      if (interest.leasedUntilMs > nowMs) isLeased = true
      else {
        this.#interests.delete(key)
        this.#following.remove(interest.selection)
      }
    }
    if (isLeased) this.#sweepLater()
  }
}
