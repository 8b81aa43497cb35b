// A stream that is followed by handlers, and everything that it said.

import {
  connect,
  type ConnectOptions,
  type Gap,
  type Stream,
  type StreamEvent,
  type StreamState,
} from '../../src/index.ts'
import { until } from '../../../hydrant/test/support/until.ts'

/** The transports of the client: what holds for one holds for the other. */
export const TRANSPORTS = ['sse', 'websocket'] as const

/** One of them. */
export type TransportName = (typeof TRANSPORTS)[number]

/** What a stream said, in order. Closed with the block that opened it: `using followed = follow(…)`. */
export class Followed implements Disposable {
  readonly stream: Stream
  readonly events: StreamEvent[] = []
  readonly gaps: Gap[] = []
  readonly states: StreamState[] = []

  constructor(url: string, options: ConnectOptions) {
    this.stream = connect(url, {
      backoffMs: 2,
      backoffMsMax: 20,
      ...options,
      onEvent: (event) => {
        this.events.push(event)
        options.onEvent?.(event)
      },
      onGap: (gap) => void this.gaps.push(gap),
      onState: (state) => void this.states.push(state),
    })
  }

  /** The data of the events. */
  get data(): readonly (string | Uint8Array)[] {
    return this.events.map(({ data }) => data)
  }

  /** The names of the states it went through. */
  get statuses(): readonly string[] {
    return this.states.map(({ status }) => status)
  }

  /** How often it has been open. */
  get timesOpen(): number {
    return this.statuses.filter((status) => status === 'open').length
  }

  /** Waits until something holds. */
  async until(isSo: (followed: this) => boolean, what = 'more'): Promise<void> {
    await until(
      () => isSo(this),
      () => `${what}; it has ${this.events.length} events, is ${JSON.stringify(this.stream.state)}`,
    )
  }

  /** Waits until the stream is open for the n-th time. */
  async opened(times = 1): Promise<void> {
    await this.until(({ timesOpen }) => timesOpen >= times, `the stream to open ${times} times`)
  }

  [Symbol.dispose](): void {
    this.stream.close()
  }
}

/** Follows topics with handlers; waits between connections are short. */
export function follow(url: string, options: ConnectOptions): Followed {
  return new Followed(url, options)
}
