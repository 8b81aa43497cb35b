// A stream of hydrant-client in a fleet: it reconnects and resumes by itself, and what it hands over is recorded.

import { connect, type Stream, type StreamState } from 'hydrant-client'
import type { ClientRecord } from '../../src/testing/testing.ts'
import type { Follower } from './fleet-client.ts'

/** What one is. */
export interface FleetStreamOptions {
  readonly name: string
  readonly url: string
  readonly topics: readonly string[]
  readonly types?: readonly string[] | undefined
  readonly transport: 'sse' | 'websocket'
  readonly silenceMs: number
}

/** See the head of the file. */
export class FleetStream implements Follower {
  readonly name: string
  readonly topics: readonly string[]
  readonly types: readonly string[] | undefined
  readonly records: ClientRecord[] = []
  readonly complaints: string[] = []
  losses = 0
  readonly #stream: Stream
  #newest = ''

  constructor({ name, url, topics, types, transport, silenceMs }: FleetStreamOptions) {
    this.name = name
    this.topics = topics
    this.types = types
    this.#stream = connect(`${url}/events`, {
      topics,
      types,
      transport,
      silenceMs,
      backoffMs: 50,
      backoffMsMax: 100,
      onEvent: (event) => {
        this.#begin()
        this.records.push({ event })
        this.#newest = String(event.data)
      },
      onGap: (gap) => {
        this.#begin()
        this.records.push({ gap })
      },
      onState: (state) => this.#became(state),
    })
  }

  get isOpen(): boolean {
    this.#begin()
    return this.records.length > 0
  }

  has(data: string): boolean {
    return this.#newest === data
  }

  close(): void {
    if (this.#stream.duplicates > 0) this.complaints.push(`${this.name}: ${this.#stream.duplicates} duplicates`)
    this.#stream.close()
  }

  /** Its first id is where it starts. */
  #begin(): void {
    const { lastEventId } = this.#stream
    if (this.records.length === 0 && lastEventId !== undefined) this.records.push({ opened: lastEventId })
  }

  #became(state: StreamState): void {
    const { lastEventId } = this.#stream
    if (state.status === 'waiting') this.losses += 1
    if (state.status === 'closed' && state.why.code !== 'asked')
      this.complaints.push(`${this.name}: the stream is closed: ${state.why.detail}`)
    if (state.status !== 'connecting' || lastEventId === undefined) return
    this.#begin()
    // A fresher id that it was told on the way is no event: it shows in the id with which it comes back.
    this.records.push({ position: lastEventId }, { resumed: lastEventId })
  }
}
