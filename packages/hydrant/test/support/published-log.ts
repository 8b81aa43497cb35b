// What was published, in the log's order: the truth that every stream is judged by.

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

/** The whole log, never trimmed. Events must be added in order. */
export class PublishedLog {
  /** The epoch of its ids; undefined where the log has only one. */
  readonly epoch: string | undefined
  readonly #events: Published[] = []
  readonly #byOffset = new Map<number, Published>()
  /** The newest of each topic and key. */
  readonly #newest = new Map<string, Published>()
  readonly #newer = new Map<Published, Published>()
  readonly #ended = new Set<string>()
  readonly #floors = new Map<number, number>()

  constructor(epoch?: string) {
    this.epoch = epoch
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

  /** The event at this offset. */
  at(offset: number): Published | undefined {
    return this.#byOffset.get(offset)
  }

  /** Events in (after, to] that were wanted. */
  wanted(wanted: Wanted, after: number, to: number): readonly Published[] {
    return this.#events.slice(this.#countUpTo(after), this.#countUpTo(to)).filter((event) => isWanted(wanted, event))
  }

  /** The next event of the same topic and key; events without a key count as one key. */
  newer(event: Published): Published | undefined {
    return this.#newer.get(event)
  }

  /** Whether an event was the newest of its topic and key when the log reached this offset, and no deletion. */
  isState(event: Published, to: number): boolean {
    const newer = this.#newer.get(event)
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
