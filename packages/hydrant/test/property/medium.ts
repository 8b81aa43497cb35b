// What a log of the simulation is kept on, and what of it outlives the process: how an engine can fail is a parameter.
//
//   memory   nothing outlives the process
//   disk     what was acknowledged outlives it; what was written and not synced may
//   shared   the same, but callers may hear before the tail does, and the end of what was acknowledged can be undone
//   file     the file engine's own store and reader, on real files (see file-medium.ts)

import type { Engine, LogRange, StateRequest } from '../../src/engine/engine.ts'
import { MemoryEngine } from '../../src/engine/memory.ts'
import type { Epoch } from '../../src/hub/epochs.ts'
import type { CheckedEvent } from '../../src/hub/event.ts'
import type { Limits } from '../../src/hub/limits.ts'
import { SlowEngine } from '../support/slow-engine.ts'
import type { VirtualClock } from '../support/virtual-clock.ts'

/** How an engine can fail. */
export interface FailureModel {
  /** What a new process finds: nothing, everything that was acknowledged, or all of it but for some of its end. */
  readonly survives: 'nothing' | 'acknowledged' | 'most'
  /** Whether a caller may hear of its event before the tail does. */
  readonly isTailLate: boolean
}

/** What a process gives to its engine. */
export interface Life {
  readonly clock: VirtualClock
  readonly limits: Partial<Limits>
  /** The name of the term that begins, for engines that let it be given. */
  readonly epoch: string
  /** How long a reading takes; undefined: no time. */
  readonly readMs: (() => number) | undefined
  /** How long a step of the engine takes. */
  readonly stepMs: () => number
  /** Called when a term begins, also within a life. */
  readonly onTerm: (term: Epoch) => void
}

/** An event that is kept. */
export interface Kept extends CheckedEvent {
  readonly offset: number
}

/** What is left of a log. */
export interface Survivors {
  readonly head: number
  /** Everything after it is here. */
  readonly floor: number
  readonly events: readonly Kept[]
}

/** See the head of the file. */
export interface Medium {
  readonly failures: FailureModel
  /** A process opens the log. Answers undefined when the process crashed meanwhile. */
  open(life: Life): Engine | undefined
  /** Everything after this offset is in the log. */
  readonly floor: number
  /** The next thing that the engine has to do, now rather than later. */
  step(): void
  /** The process is gone; `kept` of what may be lost is not, 0 is nothing and 1 is all. */
  crash(kept: number): void
  /** The next sync fails, and the log is opened anew; `kept` of what was written is there all the same. */
  failSync(kept: number): void
  /** Takes out all but so many events. */
  trim(events: number): void
  /** The next message to the tail is lost, if it can be. */
  loseTail(): void
  /** The end of the log, about so many events, is undone while the process lives, if the log can do so. */
  undo(events: number): void
  /** What is kept, after a crash. */
  survivors(): Survivors
  /** Gives back what it took of the machine. */
  dispose(): void
}

/** The memory engine: nothing survives. */
export class MemoryMedium implements Medium {
  readonly failures: FailureModel = { survives: 'nothing', isTailLate: false }
  #engine: MemoryEngine | undefined

  open({ clock, limits, epoch, readMs, onTerm }: Life): Engine {
    const options = { limits, epoch, nowMs: () => clock.nowMs() }
    this.#engine = readMs === undefined ? new MemoryEngine(options) : new SlowStateEngine(options, clock, readMs)
    onTerm({ name: epoch, first: 0 })
    return this.#engine
  }

  get floor(): number {
    return this.#engine?.window.floor ?? 0
  }

  step(): void {}
  crash(): void {}
  failSync(): void {}
  trim(): void {}
  loseTail(): void {}
  undo(): void {}
  dispose(): void {}

  survivors(): Survivors {
    return { head: 0, floor: 0, events: [] }
  }
}

/** Readings of the state take time as well. */
class SlowStateEngine extends SlowEngine {
  readonly #wait: () => Promise<void>

  constructor(options: ConstructorParameters<typeof SlowEngine>[0], clock: VirtualClock, delayMs: () => number) {
    super(options, clock, delayMs)
    this.#wait = () => new Promise((resolve) => void clock.after(delayMs(), resolve))
  }

  override async state(request: StateRequest): Promise<LogRange> {
    const range = await super.state(request)
    await this.#wait()
    return range
  }
}
