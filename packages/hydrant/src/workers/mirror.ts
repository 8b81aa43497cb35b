// What a worker knows of the log without asking: its ends, its terms, which topics have ended, and from where what it
// follows is complete. The tail keeps it up to date, so that it is always as of the events that the tail has brought.

import { CONTROL_TYPES } from 'hydrant-client/wire'
import type { LogBounds } from '../engine/engine.ts'
import { Epochs, type Epoch } from '../hub/epochs.ts'
import type { LogEvent } from '../hub/event.ts'
import type { Limits } from '../hub/limits.ts'
import type { Ends } from './messages.ts'

/** See the head of the file. */
export class Mirror {
  readonly #endsMax: number
  readonly #epochs: Epochs
  /** In the order in which they were heard of. */
  readonly #ends = new Map<string, number>()
  /** By the key of a selection. */
  readonly #from = new Map<string, number>()
  #floor = 0
  #head = 0

  constructor({ trimmedTopicsMax, epochsMax }: Pick<Limits, 'trimmedTopicsMax' | 'epochsMax'>) {
    this.#endsMax = trimmedTopicsMax
    this.#epochs = new Epochs([], epochsMax)
  }

  /** The ends of the log. */
  bounds(): LogBounds {
    return { floor: this.#floor, head: this.#head, epochs: this.#epochs }
  }

  /** Where a topic ended, as far as it is followed or its end was brought. */
  endOf(topic: string): number | undefined {
    return this.#ends.get(topic)
  }

  /** Everything selected after this offset is brought; Infinity where it is not followed. */
  from(key: string): number {
    return this.#from.get(key) ?? Infinity
  }

  /** The floor has risen. */
  raise(floor: number): void {
    this.#floor = floor
  }

  /** The tail has come to here. */
  reach(events: readonly LogEvent[], to: number): void {
    for (const event of events) if (event.type === CONTROL_TYPES.end) this.#end(event.topic, event.offset)
    this.#head = to
  }

  /** The tail goes on after here; topics that are followed may have ended meanwhile. */
  skip(to: number, ends: Ends): void {
    this.#head = to
    this.#note(ends)
  }

  /** Everything after here was undone. */
  undo(to: number): void {
    this.#head = to
    for (const [topic, offset] of this.#ends) if (offset > to) this.#ends.delete(topic)
    for (const [key, from] of this.#from) if (from > to) this.#from.set(key, to)
  }

  /** Terms began; those that are known are among them or not. */
  begin(epochs: readonly Epoch[]): void {
    const last = this.#epochs.rows.at(-1)
    const known = epochs.findIndex(({ name }) => name === last?.name)
    for (const epoch of epochs.slice(known + 1)) this.#epochs.begin(epoch)
  }

  /** A selection is followed. */
  follow(key: string, from: number, ends: Ends): void {
    this.#from.set(key, from)
    this.#note(ends)
  }

  /** Nobody follows it any more. */
  leave(key: string): void {
    this.#from.delete(key)
  }

  #note(ends: Ends): void {
    for (const [topic, offset] of ends) this.#end(topic, offset)
  }

  #end(topic: string, offset: number): void {
    this.#ends.delete(topic)
    this.#ends.set(topic, offset)
    if (this.#ends.size <= this.#endsMax) return
    for (const oldest of this.#ends.keys()) {
      this.#ends.delete(oldest)
      return
    }
  }
}
