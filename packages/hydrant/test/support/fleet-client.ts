// A client of a fleet: follows a selection over any number of connections, which the server, the network or the client
// itself may end at any moment, and keeps a record of what it was told.

import type { Gap } from 'hydrant-client/wire'
import type { ClientRecord, ReceivedEvent } from '../../src/testing/testing.ts'
import { openLink, type Link, type LinkListener, type Transport } from './fleet-link.ts'

/** What one is. */
export interface FleetClientOptions {
  readonly name: string
  readonly url: string
  readonly topics: readonly string[]
  readonly types?: readonly string[] | undefined
  /** By which ways it comes, one after the other, and from the first again. */
  readonly transports: readonly [Transport, ...Transport[]]
  /** Whether it starts with everything; otherwise with what comes next. */
  readonly isFromEarliest?: boolean
  /** It goes on after this id. */
  readonly lastEventId?: string
  /** It leaves a connection after at most so many events, at random. Default: never. */
  readonly hopEventsMax?: number
  /** It gives up a connection that says nothing for so long. */
  readonly silenceMs: number
  readonly random: (below: number) => number
}

/** Whoever follows a fleet's topics. */
export interface Follower {
  readonly name: string
  readonly topics: readonly string[]
  readonly types: readonly string[] | undefined
  readonly records: readonly ClientRecord[]
  /** Whether its stream has begun. */
  readonly isOpen: boolean
  /** How many connections it has lost, or given up. */
  readonly losses: number
  /** What should never have been answered. */
  readonly complaints: readonly string[]
  /** Whether it was told of an event with this data. */
  has(data: string): boolean
  close(): void
}

/** Between two connections, so that a server that is away is not called in a loop. */
const RETRY_MS_MIN = 20
const RETRY_MS_SPREAD = 60

/** See the head of the file. */
export class FleetClient implements Follower, LinkListener {
  readonly records: ClientRecord[] = []
  readonly complaints: string[] = []
  losses = 0
  readonly #options: FleetClientOptions
  readonly #patience: NodeJS.Timeout
  #retry: NodeJS.Timeout | undefined
  #link: Link | undefined
  #links = 0
  #lastEventId: string | undefined
  #newest = ''
  #heardMs = 0
  #eventsLeft = Infinity

  constructor(options: FleetClientOptions) {
    this.#options = options
    this.#lastEventId = options.lastEventId
    this.#connect()
    this.#patience = setInterval(() => this.#losePatience(), options.silenceMs / 4)
  }

  get name(): string {
    return this.#options.name
  }

  get topics(): readonly string[] {
    return this.#options.topics
  }

  get types(): readonly string[] | undefined {
    return this.#options.types
  }

  get isOpen(): boolean {
    return this.#lastEventId !== undefined
  }

  /** How many gaps it was told of. */
  get gaps(): number {
    return this.records.filter((record) => 'gap' in record).length
  }

  has(data: string): boolean {
    return this.#newest === data
  }

  close(): void {
    clearInterval(this.#patience)
    clearTimeout(this.#retry)
    this.#link?.close()
    this.#link = undefined
  }

  // ── what a link brings ─────────────────────────────────────────────────────────────────────────────────────────────

  heard(): void {
    this.#heardMs = performance.now()
  }

  opened(id: string): void {
    this.#told({ opened: id }, id)
  }

  position(id: string): void {
    this.#told({ position: id }, id)
  }

  gap(gap: Gap): void {
    this.#told({ gap }, gap.id ?? gap.to)
  }

  event(event: ReceivedEvent): void {
    if (!this.#told({ event }, event.id)) return
    this.#newest = String(event.data)
    this.#eventsLeft -= 1
    if (this.#eventsLeft <= 0) this.#leave()
  }

  refused(what: string): void {
    this.complaints.push(`${this.name}: ${what}`)
  }

  ended(isWhole: boolean): void {
    if (!isWhole) this.losses += 1
    this.#connectLater()
  }

  /** What a piece still held when the client left was not heard. */
  #told(record: ClientRecord, id: string): boolean {
    if (this.#link === undefined) return false
    this.records.push(record)
    this.#lastEventId = id
    return true
  }

  #connect(): void {
    const { transports, hopEventsMax, random, url, topics, types, isFromEarliest = false } = this.#options
    const lastEventId = this.#lastEventId
    const transport = transports[this.#links % transports.length] ?? transports[0]
    this.#links += 1
    if (lastEventId !== undefined) this.records.push({ resumed: lastEventId })
    this.#eventsLeft = hopEventsMax === undefined ? Infinity : 1 + random(hopEventsMax)
    this.heard()
    this.#link = openLink(transport, { url, topics, types, lastEventId, isFromEarliest }, this)
  }

  #connectLater(): void {
    this.#link = undefined
    this.#retry = setTimeout(() => this.#connect(), RETRY_MS_MIN + this.#options.random(RETRY_MS_SPREAD))
  }

  #leave(): void {
    this.#link?.close()
    this.#connectLater()
  }

  #losePatience(): void {
    if (this.#link === undefined || performance.now() - this.#heardMs < this.#options.silenceMs) return
    this.losses += 1
    this.#leave()
  }
}
