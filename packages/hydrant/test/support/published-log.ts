// What was published, in the log's order: the truth that every stream is judged by.

/** An event as it was published, and the place it got. */
export interface Published {
  readonly offset: number
  readonly topic: string
  readonly type: string
  readonly data: string
}

/** What a subscriber selected, told apart by regular expressions rather than by the code under test. */
export interface Wanted {
  readonly topics: readonly string[]
  readonly types: readonly string[] | undefined
}

/** The whole log, never trimmed. Events must be added in order. */
export class PublishedLog {
  readonly #events: Published[] = []
  readonly #byData = new Map<string, Published>()

  add(event: Published): void {
    if (event.offset <= this.head) throw new Error(`offset ${event.offset} was given after ${this.head}`)
    if (this.#byData.has(event.data)) throw new Error('the data of two events must differ')
    this.#events.push(event)
    this.#byData.set(event.data, event)
  }

  /** The newest offset. */
  get head(): number {
    return this.#events.at(-1)?.offset ?? 0
  }

  /** The event with this data. */
  withData(data: string): Published | undefined {
    return this.#byData.get(data)
  }

  /** Events in (after, to] that were wanted. */
  wanted(wanted: Wanted, after: number, to: number): readonly Published[] {
    return this.#events.slice(this.#countUpTo(after), this.#countUpTo(to)).filter((event) => isWanted(wanted, event))
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
  if (wanted.types !== undefined && !wanted.types.includes(event.type)) return false
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
