// Places in a log of several epochs: which of two ids comes first.

import type { EventId } from 'hydrant-client/wire'

/** Epochs in the order in which they were first heard of, which is the order in which the log's writers began. */
export class EpochOrder {
  readonly #ranks = new Map<string, number>()
  #last: string | undefined

  /** Puts an epoch behind all others, unless it has its place. */
  note(epoch: string): void {
    if (this.#ranks.has(epoch)) return
    this.#ranks.set(epoch, this.#ranks.size)
    this.#last = epoch
  }

  /** Whether the epoch was heard of. */
  knows(epoch: string): boolean {
    return this.#ranks.has(epoch)
  }

  /** Less than 0 when `one` comes before `other`, 0 when they are the same place. Unknown epochs come first. */
  compare(one: EventId, other: EventId): number {
    if (one.epoch === other.epoch) return one.offset === other.offset ? 0 : one.offset - other.offset
    return this.rank(one.epoch) - this.rank(other.epoch)
  }

  /** The later of two places. */
  later(one: EventId, other: EventId | undefined): EventId {
    return other === undefined || this.compare(one, other) >= 0 ? one : other
  }

  /** The earlier of two places. */
  earlier(one: EventId, other: EventId | undefined): EventId {
    return other === undefined || this.compare(one, other) <= 0 ? one : other
  }

  /** The place of an epoch in the order; -1 when it was not heard of. */
  rank(epoch: string): number {
    return this.#ranks.get(epoch) ?? -1
  }

  /** Behind everything; undefined while no epoch was heard of. */
  get end(): EventId | undefined {
    return this.#last === undefined ? undefined : endOf(this.#last)
  }
}

/** Behind everything of an epoch. */
export function endOf(epoch: string): EventId {
  return { epoch, offset: Number.POSITIVE_INFINITY }
}

/**
 * The order of epochs that agrees with each of several lists, as far as they agree: an epoch that an earlier list does
 * not have goes before the next one of its own list that does.
 */
export function mergeEpochs(lists: readonly (readonly string[])[]): readonly string[] {
  const merged: string[] = []
  for (const list of lists) {
    let rank = -1
    for (const [at, epoch] of list.entries()) {
      if (!merged.includes(epoch)) {
        const ranks = list.slice(at + 1).map((later) => merged.indexOf(later))
        const next = ranks.find((one) => one > rank)
        merged.splice(next ?? merged.length, 0, epoch)
      }
      rank = merged.indexOf(epoch)
    }
  }
  return merged
}
