// The machine's own live metrics as events: real input from the first second on, for the page and for everybody else.
//
// Published only while somebody looks: a log on disk should not fill with samples that nobody reads, nor should
// whoever follows `**` see them all day. The page asks for one of its files every half minute while it is visible;
// each asking buys a minute. A health check that asks for `/` buys nothing.

import type { EventInput } from '../hub/event.ts'
import type { Hub } from '../hub/hub.ts'
import { readMachine, sampleBetween, type Counted, type Reading } from './reading.ts'

/** Where the samples go: one {@link MachineSample} as JSON, each second. */
export const MACHINE_TOPIC = 'hydrant/machine'

const SAMPLE_MS = 1_000
const WANTED_MS = 60_000

/** Of a hub, what this needs. */
export interface Publishing extends Counted, Pick<Hub, 'isClosing'> {
  publish(event: EventInput & { readonly topic: string }): Promise<unknown>
}

/** Publishes samples while they are wanted. */
export class Machine {
  readonly #hub: Publishing
  readonly #read: (hub: Publishing) => Reading
  #wantedUntilMs = 0
  #stopTimer: (() => void) | undefined
  #isStoring = false

  /** `read` is given by tests. */
  constructor(hub: Publishing, read: (hub: Publishing) => Reading = readMachine) {
    this.#hub = hub
    this.#read = read
  }

  /** Somebody looks: samples are published for a minute from now. */
  wanted(): void {
    this.#wantedUntilMs = this.#hub.clock.monotonicMs() + WANTED_MS
    if (this.#stopTimer === undefined) this.#sampleLater(this.#read(this.#hub))
  }

  /** Stops at once. */
  close(): void {
    this.#stopTimer?.()
    this.#stopTimer = undefined
  }

  #sampleLater(before: Reading): void {
    this.#stopTimer = this.#hub.clock.after(SAMPLE_MS, () => {
      this.#stopTimer = undefined
      if (this.#hub.isClosing || this.#hub.clock.monotonicMs() >= this.#wantedUntilMs) return
      const after = this.#read(this.#hub)
      void this.#publish(before, after)
      this.#sampleLater(after)
    })
  }

  /** A log that takes longer than a second for one event is not given more of these. */
  async #publish(before: Reading, after: Reading): Promise<void> {
    if (this.#isStoring) return
    this.#isStoring = true
    try {
      await this.#hub.publish({
        topic: MACHINE_TOPIC,
        key: 'machine',
        data: JSON.stringify(sampleBetween(before, after)),
      })
    } catch {
      // The log is closing or cannot take events: its publishers are told so, and one sample less is no loss.
    } finally {
      this.#isStoring = false
    }
  }
}
