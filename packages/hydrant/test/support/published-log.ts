// What was published, in the log's order: the truth that every stream is judged by. A log that outlives its process has
// several terms, and the end of one may be undone.

import type { EventId } from 'hydrant-client/wire'

/** An event as it was published, and the place it got. */
export interface Published {
  readonly offset: number
  readonly topic: string
  readonly type: string
  readonly key?: string | undefined
  readonly data: string
}

/** What a subscriber selected, told apart by regular expressions rather than by the code under test. */
export interface Wanted {
  readonly topics: readonly string[]
  readonly types: readonly string[] | undefined
}

/** The type of the last event of a topic. */
export const END_TYPE = 'hydrant:end'

/** A term of the log's writer. */
interface Term {
  readonly epoch: string
  /** Its first offset. */
  readonly first: number
  /** The last offset that is left of it; undefined while it goes on. */
  last: number | undefined
}

/** The whole log, never trimmed. Events must be added in order. */
export class PublishedLog {
  readonly #terms: Term[] = []
  #events: Published[] = []
  readonly #byOffset = new Map<number, Published>()
  /** The newest of each topic and key. */
  readonly #newest = new Map<string, Published>()
  readonly #newer = new Map<Published, Published>()
  readonly #ended = new Set<string>()
  readonly #floors = new Map<number, number>()

  /** A term begins. */
  begin(epoch: string, first: number): void {
    if (this.#terms.some((term) => term.epoch === epoch)) throw new Error(`the epoch ${epoch} began before`)
    if (this.head > 0 && first <= this.head)
      throw new Error(`the epoch ${epoch} begins at ${first}, before ${this.head}`)
    const before = this.#terms.at(-1)
    if (before !== undefined) before.last = first - 1
    this.#terms.push({ epoch, first, last: undefined })
  }

  /** Everything after this offset was undone; a term has to begin there. */
  undo(to: number): void {
    const events = this.#events.filter(({ offset }) => offset <= to)
    this.#events = []
    for (const map of [this.#byOffset, this.#newest, this.#newer]) map.clear()
    this.#ended.clear()
    for (const event of events) this.add(event)
  }

  /** The epoch of what is added. */
  get epoch(): string {
    return this.#terms.at(-1)?.epoch ?? ''
  }

  /** Where an id stands: after its own offset, or undefined where it stands for nothing that is there. */
  placeOf(id: EventId | undefined): number | undefined {
    const end = id === undefined ? undefined : this.endOfTerm(id.epoch)
    return id === undefined || end === undefined || id.offset > end ? undefined : id.offset
  }

  /** The last offset of a term; undefined for one that is not of this log. */
  endOfTerm(epoch: string): number | undefined {
    const term = this.#terms.find((one) => one.epoch === epoch)
    return term === undefined ? undefined : (term.last ?? Math.max(this.head, term.first - 1))
  }

  /** The epoch of the event at an offset. */
  epochAt(offset: number): string | undefined {
    return this.#terms.findLast(({ first }) => first <= offset)?.epoch
  }

  add(event: Published): void {
    if (event.offset <= this.head) throw new Error(`offset ${event.offset} was given after ${this.head}`)
    this.#events.push(event)
    this.#byOffset.set(event.offset, event)
    if (event.type === END_TYPE) this.#ended.add(event.topic)
    const name = `${event.topic} ${event.key ?? ''}`
    const before = this.#newest.get(name)
    if (before !== undefined) this.#newer.set(before, event)
    this.#newest.set(name, event)
  }

  /** Notes that everything after `floor` was in the log still when these offsets were stored. */
  noteFloor(offsets: readonly number[], floor: number): void {
    for (const offset of offsets) this.#floors.set(offset, floor)
  }

  /** What had left the log, at the most, before the event at this offset was stored. */
  floorAt(offset: number): number {
    return this.#floors.get(offset) ?? Infinity
  }

  /** The newest offset. */
  get head(): number {
    return this.#events.at(-1)?.offset ?? 0
  }

  /** All events after an offset. */
  after(offset: number): readonly Published[] {
    return this.#events.slice(this.#countUpTo(offset))
  }

  /** The event at this offset. */
  at(offset: number): Published | undefined {
    return this.#byOffset.get(offset)
  }

  /** Events in (after, to] that were wanted. */
  wanted(wanted: Wanted, after: number, to: number): readonly Published[] {
    return this.#events.slice(this.#countUpTo(after), this.#countUpTo(to)).filter((event) => isWanted(wanted, event))
  }

  /** The next event of the same topic and key that is wanted, too; events without a key count as one key. */
  newer(event: Published, wanted: Wanted): Published | undefined {
    let newer = this.#newer.get(event)
    while (newer !== undefined && !isWanted(wanted, newer)) newer = this.#newer.get(newer)
    return newer
  }

  /** Whether an event was the newest of its topic and key when the log reached this offset, and no deletion. */
  isState(event: Published, to: number, wanted: Wanted): boolean {
    const newer = this.newer(event, wanted)
    const isNewest = event.offset <= to && (newer === undefined || newer.offset > to)
    return isNewest && (event.key === undefined || event.data !== '')
  }

  /** Whether a topic has ended. */
  hasEnded(topic: string): boolean {
    return this.#ended.has(topic)
  }

  /** Whether nothing that is wanted can follow. */
  isOver({ topics }: Wanted): boolean {
    return topics.every((topic) => this.#ended.has(topic))
  }

  #countUpTo(offset: number): number {
    let low = 0
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#events[middle]?.offset ?? 0) <= offset) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Whether an event is among what was wanted. */
export function isWanted(wanted: Wanted, event: { readonly topic: string; readonly type: string }): boolean {
  if (wanted.types !== undefined && !wanted.types.includes(event.type) && event.type !== END_TYPE) return false
  return wanted.topics.some((pattern) => expressionOf(pattern).test(event.topic))
}

const expressions = new Map<string, RegExp>()

/** A pattern as a regular expression: `*` is one whole segment, `**` one or more. */
export function expressionOf(pattern: string): RegExp {
  const known = expressions.get(pattern)
  if (known !== undefined) return known
  const parts = pattern
    .split('/')
    .map((segment) => (segment === '**' ? '.+' : segment === '*' ? '[^/]+' : segment.replaceAll(/[.~@:-]/g, '\\$&')))
  const expression = new RegExp(`^${parts.join('/')}$`)
  expressions.set(pattern, expression)
  return expression
}
