// Lines between the one who reads them and the one who publishes them: what has arrived goes out together, and nothing
// waits for more to arrive.

/** Lines that go out in one request. */
export interface LineBatch {
  /** The number of its first line, from 1. */
  readonly firstLine: number
  readonly lines: readonly string[]
}

/** What one request holds at most: far below the server's bounds, and soon acknowledged. */
const BATCH_LINES_MAX = 1_000
const BATCH_LENGTH_MAX = 262_144
/** What is read ahead of the server; beyond it, the program that writes the lines has to wait. */
const HELD_LENGTH_MAX = 1_048_576

/** One reader pushes, one publisher takes. */
export class LineQueue {
  #lines: string[] = []
  #length = 0
  #taken = 0
  #isEnded = false
  #wakeReader: (() => void) | undefined
  #wakeTaker: (() => void) | undefined

  /** Adds lines, unless it has ended; resolves when there is room for more. */
  async push(lines: readonly string[]): Promise<void> {
    if (this.#isEnded) return
    for (const line of lines) {
      this.#lines.push(line)
      this.#length += line.length
    }
    this.#wakeTaker?.()
    while (this.#length > HELD_LENGTH_MAX || this.#lines.length > BATCH_LINES_MAX) {
      await new Promise<void>((resolve) => (this.#wakeReader = resolve))
    }
  }

  /** No more lines will come. */
  end(): void {
    this.#isEnded = true
    this.#wakeTaker?.()
  }

  /** What has arrived, up to the bounds, as soon as there is something; undefined when all is taken. */
  async take(): Promise<LineBatch | undefined> {
    while (this.#lines.length === 0) {
      if (this.#isEnded) return undefined
      await new Promise<void>((resolve) => (this.#wakeTaker = resolve))
    }
    const lines = this.#lines.splice(0, this.#batchSize())
    const firstLine = this.#taken + 1
    this.#taken += lines.length
    for (const line of lines) this.#length -= line.length
    this.#wakeReader?.()
    return { firstLine, lines }
  }

  /** One line at least, however long it is. */
  #batchSize(): number {
    let length = 0
    const end = this.#lines.findIndex((line, at) => {
      length += line.length
      return at > 0 && (at === BATCH_LINES_MAX || length > BATCH_LENGTH_MAX)
    })
    return end === -1 ? this.#lines.length : end
  }
}
