// What this process has seen of a stream: enough to tell, after the server was away, up to where it is the same still.
//
// A message is told by its sequence and the nanosecond at which the server stored it. The newest are all noted; of
// older ones every second, of still older ones every fourth, and so on: where a stream parts from what was seen far
// back, a little more is undone than had to be, never less.

/** A message. */
export interface Seen {
  readonly seq: number
  /** Nanoseconds since 1970, in decimal digits. */
  readonly storedNs: string
}

const DENSE = 4_096

/** See the head of the file. */
export class SeenMessages {
  /** Ascending. */
  #seen: Seen[] = []

  /** Notes a message; they come in order. */
  note(seq: number, storedNs: string): void {
    this.#seen.push({ seq, storedNs })
    if (this.#seen.length < 2 * DENSE) return
    const old = this.#seen.slice(0, DENSE).filter((_, at) => at % 2 === 0)
    this.#seen = [...old, ...this.#seen.slice(DENSE)]
  }

  /** The newest. */
  get last(): Seen | undefined {
    return this.#seen.at(-1)
  }

  /** Everything after this sequence was undone. */
  undo(to: number): void {
    this.#seen = this.#seen.filter(({ seq }) => seq <= to)
  }

  /**
   * Up to where the stream is the same, as far as can be told: `isSame` answers of a message whether it is, and of one
   * that the stream has let go of, undefined.
   */
  async sameTo(isSame: (seen: Seen) => Promise<boolean | undefined>): Promise<number> {
    let [low, high] = [-1, this.#seen.length] // same at low, not so at high
    let guess = high - 1 // most often nothing has happened
    while (high - low > 1) {
      const seen = this.#seen[guess]
      const same = seen === undefined ? true : ((await isSame(seen)) ?? true)
      if (same) low = guess
      else high = guess
      guess = (low + high) >> 1
    }
    return this.#seen[low]?.seq ?? 0
  }
}
