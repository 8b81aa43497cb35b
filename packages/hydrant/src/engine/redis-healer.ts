// Heals a tail that is held: brings it to a mark, with what it missed, or without, and then says so.
//
//   another epoch        what survives of what the tail brought is kept, the rest is undone
//   slots that went on   are read, and merged; where something is missing, or there is too much of it: skipped, and
//                        whoever wants it reads it, and is told what of it is gone

import type { Epoch } from '../hub/epochs.ts'
import { HydrantError } from '../hub/errors.ts'
import type { LogEvent } from '../hub/event.ts'
import type { RedisMark } from './redis-mark.ts'
import { EpochChanged } from './redis-pages.ts'
import { eventsOf } from './redis-place.ts'
import type { RedisReader } from './redis-reader.ts'
import type { RedisTail } from './redis-tail.ts'

/** What the healer needs of its engine. */
export interface RedisHealerParts {
  readonly reader: RedisReader
  readonly hasHistory: boolean
  readonly tail: () => RedisTail
  readonly terms: () => readonly Epoch[]
  readonly wants: (topic: string) => boolean
  readonly undo: (to: number) => void
  readonly skip: (to: number) => void
  readonly begin: (terms: readonly Epoch[]) => void
  readonly deliver: (events: readonly LogEvent[], to: number) => void
  readonly eventBytes: () => number
}

/** Beyond so much, readers are better served by themselves. */
const EVENTS_MAX = 20_000
const BYTES_MAX = 67_108_864

/** See the head of the file. */
export class RedisHealer {
  readonly #parts: RedisHealerParts

  constructor(parts: RedisHealerParts) {
    this.#parts = parts
  }

  /** Brings the tail to the mark, and lets it go on; or holds it, to be healed by the next one. */
  async heal(mark: RedisMark): Promise<void> {
    const tail = this.#parts.tail()
    try {
      if (mark.epoch !== tail.epoch) this.#changeEpoch(tail, mark)
      const missed = await this.#missed(tail, mark)
      if (tail.healing !== mark) return // another one heals
      if (missed === undefined) this.#parts.skip(mark.head)
      tail.moveTo(mark.epoch, mark.head)
      if (missed !== undefined) this.#parts.deliver(missed, mark.head)
      tail.resume(mark)
    } catch (error) {
      if (tail.healing !== mark) return
      if (error instanceof EpochChanged) tail.hold()
      // The next look tries again.
      else if (error instanceof HydrantError) tail.suspend()
      else throw error
    }
  }

  /** Events after the tail up to the mark; undefined where they cannot be brought. */
  async #missed(tail: RedisTail, mark: RedisMark): Promise<readonly LogEvent[] | undefined> {
    const slots = [...mark.heads].filter(([slot, last]) => tail.follows(slot) && tail.lastOf(slot) !== last)
    const behind = slots.filter(([, last]) => last > tail.head).map(([slot]) => slot)
    if (behind.length === 0) return []
    const count = mark.head - tail.head
    const isTooMuch = count > EVENTS_MAX || count * this.#parts.eventBytes() > BYTES_MAX
    if (!this.#parts.hasHistory || isTooMuch) return undefined
    const request = { epoch: mark.epoch, after: tail.head, to: mark.head }
    const entries = await this.#parts.reader.whole(behind, request, EVENTS_MAX + 1)
    const wanted = { matchesTopic: this.#parts.wants, matchesType: () => true }
    return entries === undefined ? undefined : eventsOf(entries, this.#parts.terms(), wanted)
  }

  #changeEpoch(tail: RedisTail, { epoch, epochs, head, floor }: RedisMark): void {
    if (epochs === undefined) throw new EpochChanged('the mark is older than the epoch')
    const survived = tail.epoch === '' ? tail.head : Math.min(head, survivedOf(this.#parts.terms(), tail, epochs))
    const isUndone = survived < tail.head
    if (isUndone) {
      this.#parts.undo(survived)
      tail.distrust()
    }
    this.#parts.begin(epochs)
    tail.moveTo(epoch, survived)
    // A log that was begun anew begins after all that this node has seen.
    if (isUndone && floor > survived) {
      this.#parts.skip(floor)
      tail.moveTo(epoch, floor)
    }
  }
}

/** Up to where what the tail brought is part of the log still. */
function survivedOf(known: readonly Epoch[], { epoch, head }: RedisTail, epochs: readonly Epoch[]): number {
  const upTo = known.findLastIndex(({ name }) => name === epoch)
  for (const { name } of known.slice(0, upTo + 1).toReversed()) {
    const at = epochs.findIndex((one) => one.name === name)
    if (at === -1) continue
    const ends = [epochs[at + 1], known[known.findIndex((one) => one.name === name) + 1]]
    return Math.min(head, ...ends.map((next) => (next === undefined ? Infinity : next.first - 1)))
  }
  return 0
}
