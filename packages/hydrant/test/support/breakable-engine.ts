// A memory engine that a test can break as a log elsewhere breaks: its tail skips, takes back, or is out of reach.

import type { LogBounds, Tail, TailBreaks } from '../../src/engine/engine.ts'
import { MemoryEngine } from '../../src/engine/memory.ts'
import type { Selection } from '../../src/hub/selection.ts'

/** See the head of the file. */
export class BreakableEngine extends MemoryEngine {
  /** What it suffers from. */
  troubled: string | undefined
  /** The keys of the selections that are followed. */
  readonly follows: string[] = []
  readonly following = {
    add: async ({ key }: Selection): Promise<void> => void this.follows.push(key),
    remove: ({ key }: Selection): void => void this.follows.splice(this.follows.indexOf(key), 1),
    from: (): number => 0,
  }

  #breaks: TailBreaks | undefined

  override open(tail: Tail, breaks?: TailBreaks): Promise<LogBounds> {
    this.#breaks = breaks
    return super.open(tail)
  }

  trouble(): { readonly sinceMs: number; readonly reason: string } | undefined {
    return this.troubled === undefined ? undefined : { sinceMs: 1, reason: this.troubled }
  }

  /** The tail goes on after an offset. */
  skipTo(to: number): void {
    this.#breaks?.skip(to)
  }

  /** Everything after an offset is said to be undone. */
  undoTo(to: number): void {
    this.#breaks?.undo(to)
  }
}
