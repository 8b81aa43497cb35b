// Notices connections that died without a word: a laptop that slept, a router that forgot.

import type { Clock } from './clock.ts'

/** How long a connection has said nothing, judged. */
export type Silence = 'fine' | 'suspicious' | 'dead'

/** At two thirds of `silenceMs` it is time to ask for a sign of life; at all of it the connection is taken for dead. */
export function judgeSilence(silentMs: number, silenceMs: number): Silence {
  if (silentMs >= silenceMs) return 'dead'
  return silentMs >= (silenceMs * 2) / 3 ? 'suspicious' : 'fine'
}

/** What a watchdog does. */
export interface Alarm {
  suspicious(): void
  /** Called at most once, and nothing after it. */
  dead(): void
}

/** Watches one connection, from its making until `stop`. One timer, which events do not touch. */
export class Watchdog {
  readonly #clock: Clock
  readonly #silenceMs: number
  readonly #alarm: Alarm
  #heardMs: number
  #isSuspicious = false
  #cancel: () => void

  constructor(clock: Clock, silenceMs: number, alarm: Alarm) {
    this.#clock = clock
    this.#silenceMs = silenceMs
    this.#alarm = alarm
    this.#heardMs = clock.nowMs()
    this.#cancel = this.#checkAfter((silenceMs * 2) / 3)
  }

  /** There was a sign of life. */
  heard(): void {
    this.#heardMs = this.#clock.nowMs()
    this.#isSuspicious = false
  }

  /** Judges now: timers do not run while a machine sleeps. */
  check(): void {
    this.#cancel()
    const silentMs = this.#clock.nowMs() - this.#heardMs
    if (silentMs < 0) this.heard() // the clock was set back: count from now on
    const silence = judgeSilence(silentMs, this.#silenceMs)
    if (silence === 'dead') return this.#alarm.dead()
    const nextMs = silence === 'fine' ? (this.#silenceMs * 2) / 3 : this.#silenceMs
    this.#cancel = this.#checkAfter(nextMs - Math.max(0, silentMs))
    if (silence === 'fine' || this.#isSuspicious) return
    this.#isSuspicious = true
    this.#alarm.suspicious()
  }

  /** Ends it. */
  stop(): void {
    this.#cancel()
  }

  #checkAfter(delayMs: number): () => void {
    return this.#clock.after(delayMs, () => this.check())
  }
}
