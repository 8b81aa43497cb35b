// Keeps a tail going over one connection after the other, bringing what is followed.

import type { Selection } from '../hub/selection.ts'
import { unavailable } from './nats-errors.ts'
import type { NatsLink, StreamState } from './nats-link.ts'
import type { NatsLog } from './nats-log.ts'
import type { NatsMessage } from './nats-message.ts'
import { NatsPull } from './nats-pull.ts'
import { NatsTail } from './nats-tail.ts'

/** How long what nobody follows any more goes on coming: whoever was cut comes back. */
const LINGER_MS = 5_000
/** How long what is on its way may take to arrive, before it is looked for again. */
const LATE_MS = 250
const ENDS_BATCH = 1_000
const ENDS_BYTES = 1_048_576
const ENDS_MS = 10_000

/** See the head of the file. */
export class NatsTailing {
  readonly #log: NatsLog
  readonly #lose: (reason: string) => void
  #link: NatsLink | undefined
  #tail: NatsTail | undefined
  #switching: Promise<void> | undefined
  #linger: NodeJS.Timeout | undefined

  /** `lose` hears when the tail broke: the connection is of no use then. */
  constructor(log: NatsLog, lose: (reason: string) => void) {
    this.#log = log
    this.#lose = lose
  }

  /** Starts after the head, over a new connection. */
  async start(link: NatsLink): Promise<void> {
    this.#link = link
    await this.#loadEnds(link)
    await this.#switch(link)
  }

  /** The connection is gone. */
  stop(): void {
    clearTimeout(this.#linger)
    this.#linger = undefined
    this.#link = undefined
    this.#tail?.end()
    this.#tail = undefined
  }

  /** One follower more; resolves when the tail brings what it follows. */
  async add(selection: Selection): Promise<void> {
    const { followed } = this.#log
    followed.add(selection)
    try {
      while (!followed.covers(selection)) await this.#follow()
      await this.#switching
      await this.advance()
    } catch (error) {
      followed.remove(selection)
      throw error
    }
  }

  /** One less. */
  remove(selection: Selection): void {
    this.#log.followed.remove(selection)
    this.#linger ??= setTimeout(() => {
      this.#linger = undefined
      this.#follow().catch(() => {}) // the connection is lost, and its end is told elsewhere
    }, LINGER_MS).unref()
  }

  /**
   * Called now and then, with the ends of the stream. A tail that brings everything sees where something is missing;
   * one with filters cannot, and so must be far from where the stream is trimmed.
   */
  async keepUp({ first, last }: StreamState): Promise<void> {
    const { followed, head } = this.#log
    followed.isPressed = first > 1 && head < (first + last) / 2
    if (followed.isPressed && !followed.isWhole) await this.#follow()
    if (!followed.isWhole) await this.advance(last)
  }

  /** Until the tail has carried everything that is stored now, or up to a place, also over what it does not bring. */
  async advance(upTo?: number): Promise<void> {
    const last = upTo ?? (await this.#connected().streamState())?.last ?? 0
    while (this.#log.head < last) {
      const [link, tail] = [this.#connected(), this.#tail]
      const due = await this.#due(link, last)
      if (this.#tail !== tail) continue
      if (due === undefined) this.#log.moveTo(last)
      else await this.#carried(due)
    }
  }

  /** The next place up to `last` that the tail has to bring; undefined when it has brought everything. */
  async #due(link: NatsLink, last: number): Promise<number | undefined> {
    const { followed, head } = this.#log
    if (followed.isWhole || this.#tail === undefined) return last
    const next = await Promise.all(followed.filters.map((filter) => link.nextOf(filter, head + 1)))
    const due = Math.min(...next.map((message) => message?.seq ?? Number.POSITIVE_INFINITY))
    return due <= last ? due : undefined
  }

  /** Until it was brought, but not for ever: it may be trimmed before. */
  async #carried(seq: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, LATE_MS)))
    await Promise.race([this.#log.reached(seq), late]).finally(() => clearTimeout(timer))
  }

  #connected(): NatsLink {
    if (this.#link === undefined) throw unavailable('The log is lost.')
    return this.#link
  }

  async #follow(): Promise<void> {
    this.#switching ??= this.#switch(this.#connected()).finally(() => (this.#switching = undefined))
    await this.#switching
  }

  /** Another tail, where the last one is, with other filters. */
  async #switch(link: NatsLink): Promise<void> {
    const { followed, head, subjects } = this.#log
    const wanted = followed.wanted(link.hasManyFilters)
    if (this.#tail !== undefined && String(wanted) === String(followed.filters)) return
    this.#tail?.end()
    followed.switched(wanted, head)
    const tail = new NatsTail(link, {
      take: (messages) => this.#take(link, tail, messages),
      broken: (reason) => this.#lose(reason),
    })
    this.#tail = tail
    await tail.start(head, wanted.includes(subjects.all) ? undefined : wanted)
  }

  #take(link: NatsLink, tail: NatsTail, messages: readonly NatsMessage[]): void {
    if (this.#tail !== tail || this.#log.take(messages)) return
    tail.end() // what it brought was undone: the next begins where the log parts
    this.#tail = undefined
    this.#startAgain(link)
  }

  #startAgain(link: NatsLink): void {
    const before = this.#switching ?? Promise.resolve()
    const again = before
      .catch(() => {}) // told to whom it was for
      .then(() => this.#loadEnds(link))
      .then(() => this.#switch(link))
      .catch((error: unknown) => this.#lose(error instanceof Error ? error.message : 'The tail could not start again.'))
      .finally(() => {
        if (this.#switching === again) this.#switching = undefined
      })
    this.#switching = again
  }

  /** The ends of topics that are kept, up to the head: what comes after, the tail brings. */
  async #loadEnds(link: NatsLink): Promise<void> {
    const { ends, subjects, head } = this.#log
    ends.clear()
    const pull = await NatsPull.open(link, ENDS_MS, { start: 'last-per-subject', filters: [subjects.ends] })
    try {
      for (let isEnd = false; !isEnd;) {
        const pulled = await pull.next(ENDS_BATCH, ENDS_BYTES)
        for (const message of pulled.messages) {
          const subject = subjects.parse(message.subject)
          const end = subject?.kind === 'end' && message.seq <= head ? this.#log.eventOf(message, subject) : undefined
          if (end !== undefined) ends.note(end)
        }
        isEnd = pulled.isEnd
      }
    } finally {
      pull.close()
    }
  }
}
