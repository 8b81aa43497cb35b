// The life of one connection, as a stream sees it: watched for silence, heard only until its end, ended exactly once.

import type { Clock } from './clock.ts'
import { eventOf, gapOf, type Delivery } from './delivery.ts'
import type { Connection, Listener, Source, Wanted } from './source.ts'
import type { End, WhyCode } from './state.ts'
import { Watchdog } from './watchdog.ts'

/** Open for so long, a connection has served its purpose even when it brought nothing: the backoff starts anew. */
const STABLE_MS = 5_000

/** What a stream does with what its link brings. */
export interface LinkOwner {
  /** The connection serves the stream. Called once. */
  opened(): void
  /** The id at which a stream that was not resumed starts. */
  begins(id: string): void
  delivery(delivery: Delivery): void
  position(id: string): void
  retry(retryMs: number): void
  room(): Promise<void> | undefined
  /** Called once, and nothing after it. `wasUseful`: it brought something, or stood for a while. */
  ended(end: End, wasUseful: boolean): void
}

/** See the head of the file. */
export class Link implements Listener {
  readonly #owner: LinkOwner
  readonly #clock: Clock
  readonly #watchdog: Watchdog
  readonly #connection: Connection
  #openedMs: number | undefined
  #brought = false
  #isOver = false

  constructor(owner: LinkOwner, source: Source, wanted: Wanted, clock: Clock, silenceMs: number) {
    this.#owner = owner
    this.#clock = clock
    this.#watchdog = new Watchdog(clock, silenceMs, {
      suspicious: () => this.#connection.probe?.(),
      dead: () => void this.#die(silenceMs),
    })
    this.#connection = source.open(wanted, this)
  }

  heard(): void {
    if (!this.#isOver) this.#watchdog.heard()
  }

  opened(id?: string): void {
    if (this.#isOver) return
    if (id !== undefined) this.#owner.begins(id)
    if (this.#openedMs !== undefined) return
    this.#openedMs = this.#clock.nowMs()
    this.#owner.opened()
  }

  event(envelope: unknown, bytes?: Uint8Array): void {
    this.#bring(eventOf(envelope, bytes))
  }

  gap(value: unknown): void {
    const gap = gapOf(value)
    this.#bring(gap && { id: gap.id ?? gap.to, gap })
  }

  position(id: string): void {
    if (!this.#isOver) this.#owner.position(id)
  }

  retry(retryMs: number): void {
    this.#owner.retry(retryMs)
  }

  room(): Promise<void> | undefined {
    return this.#owner.room()
  }

  ended(end: End): void {
    if (this.#isOver) return
    const openMs = this.#openedMs === undefined ? 0 : this.#clock.nowMs() - this.#openedMs
    this.close()
    this.#owner.ended(end, this.#brought || openMs >= STABLE_MS)
  }

  /** Lets go of the connection; nothing is heard any more. */
  close(): void {
    this.#isOver = true
    this.#watchdog.stop()
    this.#connection.close()
  }

  /** Something happened that connections may not survive: judge it now. */
  check(): void {
    this.#watchdog.check()
  }

  #bring(delivery: Delivery | undefined): void {
    if (delivery === undefined) return this.#end('malformed', 'Something came that is neither an event nor a gap.')
    this.opened()
    if (this.#isOver) return
    this.#brought = true
    this.#owner.delivery(delivery)
  }

  async #die(silenceMs: number): Promise<void> {
    const room = this.#owner.room()
    if (room === undefined) return this.#end('silent', `Nothing came for ${silenceMs} ms.`)
    await room // it is ourselves who are silent: while there is no room, nothing is read
    this.heard()
    if (!this.#isOver) this.check()
  }

  #end(code: WhyCode, detail: string): void {
    this.ended({ why: { code, detail } })
  }
}
