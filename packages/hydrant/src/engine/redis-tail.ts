// The tail of a node: messages of slots become ranges of the log, in order, or nothing goes on.
//
//   message ─► is it the next of its slot? ─► all of its call's that we follow ─► range
//   mark    ─► are the slots where the log says they are? ─────────────────────► range without events
//              └ no: the tail is held, what comes waits; the streams are read up to the mark, and it goes on
//
// One connection brings everything in the order in which it happened, marks too: the script writes them. So a mark
// means that everything before it has come. A message that was lost shows in the next one of its slot, or, when it was
// the last, in the next mark. Whatever goes wrong is made good in one way: hold, read up to a mark, go on.

import type { LogEvent } from '../hub/event.ts'
import { unpackMessage, SLOTS, type SlotMessage } from './redis-layout.ts'
import type { RedisMark } from './redis-mark.ts'

/** What the tail needs of its engine. */
export interface RedisTailParts {
  readonly wants: (topic: string) => boolean
  /** Takes the next range. The position has moved already. */
  readonly deliver: (events: readonly LogEvent[], to: number) => void
  /** Asks for a mark. */
  readonly askMark: () => void
  /**
   * The tail is held, and here is a mark: brings everything up to there, undoes what is no more, and then calls
   * `resume`; or `hold`, when it could not.
   */
  readonly heal: (mark: RedisMark) => void
  /** A mark was reached, and all that it covers has come. */
  readonly reached: (mark: RedisMark) => void
}

/** The messages of one call, as far as they have come. */
interface Call {
  readonly to: number
  readonly parts: SlotMessage[]
  readonly partSlots: number[]
  missing: number
}

/** What came while the tail is held. */
type Item = { readonly slot: number; readonly message: Buffer } | { readonly mark: RedisMark }

interface Held {
  /** The mark up to which it is being healed. */
  mark: RedisMark | undefined
  items: Item[]
  bytes: number
}

/** No slot's last offset. */
const UNKNOWN = Number.MAX_SAFE_INTEGER

/** Held back at most; beyond it what was held is let go of, and read. */
const HELD_BYTES_MAX = 67_108_864

/** See the head of the file. */
export class RedisTail {
  readonly #parts: RedisTailParts
  /** The last offset of each slot; -1 where it is not followed. */
  readonly #last = new Float64Array(SLOTS).fill(-1)
  readonly #waiting = new Set<{ readonly offset: number; readonly resolve: () => void }>()
  #call: Call | undefined
  #held: Held | undefined = { mark: undefined, items: [], bytes: 0 }
  #epoch = ''
  #head = 0

  constructor(parts: RedisTailParts) {
    this.#parts = parts
  }

  /** The epoch that the position is in. */
  get epoch(): string {
    return this.#epoch
  }

  /** Everything up to here was brought. */
  get head(): number {
    return this.#head
  }

  /** Whether nothing goes on at the moment. */
  get isHeld(): boolean {
    return this.#held !== undefined
  }

  /** The mark up to which it is being healed. */
  get healing(): RedisMark | undefined {
    return this.#held?.mark
  }

  /** The slots that are followed. */
  follows(slot: number): boolean {
    return this.#lastOf(slot) >= 0
  }

  /** The slot's offset up to which everything has come. */
  lastOf(slot: number): number {
    return this.#lastOf(slot)
  }

  /** Moves the position: at the start, and while the tail is held. */
  moveTo(epoch: string, head: number): void {
    this.#epoch = epoch
    this.#head = head
  }

  /** Follows a slot whose last offset is known; from a mark on. */
  follow(slot: number, last: number): void {
    this.#last[slot] = last
  }

  /** Follows a slot no more. */
  leave(slot: number): void {
    this.#last[slot] = -1
    // Its messages of a call that has begun may not come; the next mark shows what is missing.
    if (this.#call !== undefined) this.hold()
  }

  /** The log has another past: of no slot is it known where it was. */
  distrust(): void {
    for (let slot = 0; slot < SLOTS; slot += 1) if (this.follows(slot)) this.#last[slot] = UNKNOWN
  }

  /** Resolves once everything up to an offset was brought, or when that may take long. */
  reach(offset: number): Promise<void> | undefined {
    if (this.#head >= offset || this.#held !== undefined) return undefined
    return new Promise((resolve) => void this.#waiting.add({ offset, resolve }))
  }

  /** Holds: something is missing, and a mark is asked for. What came in part is let go of; it will be read. */
  hold(): void {
    this.#stop()
    this.#parts.askMark()
  }

  /** Holds until `hold` is called: there is no connection. */
  suspend(): void {
    this.#stop()
  }

  /** Goes on after a mark, with the slots that it tells of. */
  resume(mark: RedisMark): void {
    const items = this.#held?.items ?? []
    this.#held = undefined
    for (const [slot, last] of mark.heads) if (this.follows(slot)) this.#last[slot] = last
    this.moveTo(mark.epoch, mark.head)
    this.#release()
    this.#parts.reached(mark)
    for (const item of items) this.#take(item)
  }

  /** Takes a message of a slot. */
  message(slot: number, message: Buffer): void {
    this.#take({ slot, message })
  }

  /** Takes a mark. */
  mark(mark: RedisMark): void {
    this.#take({ mark })
  }

  /** Lets go of everybody who waits. */
  close(): void {
    this.suspend()
    this.#release(true)
  }

  #take(item: Item): void {
    if (this.#held !== undefined) this.#keep(item, this.#held)
    else if ('mark' in item) this.#passMark(item.mark)
    else if (this.follows(item.slot)) this.#pass(item.slot, unpackMessage(item.message, this.#parts.wants))
  }

  #keep(item: Item, held: Held): void {
    if ('mark' in item && held.mark === undefined && item.mark.number > 0) {
      // Everything before is at or below the mark, and will be read.
      this.#startHealing(item.mark, held)
      return
    }
    held.items.push(item)
    held.bytes += 'mark' in item ? 0 : item.message.length
    if (held.bytes > HELD_BYTES_MAX) this.hold()
  }

  #startHealing(mark: RedisMark, held: Held): void {
    held.mark = mark
    held.items = []
    held.bytes = 0
    this.#parts.heal(mark)
  }

  #passMark(mark: RedisMark): void {
    const isWhole = [...mark.heads].every(([slot, last]) => !this.follows(slot) || this.#lastOf(slot) === last)
    if (this.#call !== undefined || mark.epoch !== this.#epoch || mark.head < this.#head || !isWhole) {
      this.#stop()
      if (mark.number > 0 && this.#held !== undefined) this.#startHealing(mark, this.#held)
      else this.#parts.askMark()
      return
    }
    this.#moveOn([], mark.head)
    this.#parts.reached(mark)
  }

  #pass(slot: number, message: SlotMessage): void {
    const { epoch, to, before, slots } = message
    if (epoch === this.#epoch && to <= this.#head) return
    const isNext = epoch === this.#epoch && before === this.#lastOf(slot)
    if (!isNext || (this.#call !== undefined && this.#call.to !== to)) return this.hold()
    const call = (this.#call ??= { to, parts: [], partSlots: [], missing: this.#followedOf(slots) })
    call.parts.push(message)
    call.partSlots.push(slot)
    call.missing -= 1
    if (call.missing === 0) this.#finish(call)
  }

  #finish({ parts, partSlots, to }: Call): void {
    this.#call = undefined
    for (const [at, slot] of partSlots.entries()) this.#last[slot] = parts[at]?.last ?? 0
    const events = parts.length === 1 ? (parts[0]?.events ?? []) : parts.flatMap((part) => part.events)
    this.#moveOn(parts.length === 1 ? events : events.toSorted((one, other) => one.offset - other.offset), to)
  }

  #moveOn(events: readonly LogEvent[], to: number): void {
    if (to === this.#head) return
    this.#head = to
    this.#parts.deliver(events, to)
    this.#release()
  }

  #followedOf(slots: Buffer): number {
    let followed = 0
    for (const slot of slots) if (this.follows(slot)) followed += 1
    return followed
  }

  #lastOf(slot: number): number {
    return this.#last[slot] ?? -1
  }

  #stop(): void {
    this.#call = undefined
    this.#held = { mark: undefined, items: [], bytes: 0 }
    this.#release(true)
  }

  #release(isAll = false): void {
    for (const one of this.#waiting) {
      if (!isAll && one.offset > this.#head) continue
      this.#waiting.delete(one)
      one.resolve()
    }
  }
}
