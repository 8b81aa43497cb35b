// An EventSource from npm that follows numbers, published one after the other, over cuts of its connection.

import assert from 'node:assert/strict'
import { EventSource } from 'eventsource'
import type { Hub } from '../../src/index.ts'
import { until } from './until.ts'

const TOPIC = 'numbers'

/** See the head of the file. */
export class NumberFollower implements Disposable {
  readonly numbers: number[] = []
  /** How often its connection was opened. */
  opened = 0
  readonly #source: EventSource
  readonly #hub: Hub
  #published = 0

  private constructor(hub: Hub, url: string) {
    this.#hub = hub
    this.#source = new EventSource(`${url}/events/${TOPIC}`)
    this.#source.addEventListener('open', () => (this.opened += 1))
    this.#source.addEventListener('message', ({ data }) => this.numbers.push(Number(data)))
  }

  /** Follows, and has got the first number. */
  static async open(hub: Hub, url: string): Promise<NumberFollower> {
    const follower = new NumberFollower(hub, url)
    await until(() => follower.opened === 1, 'the stream')
    await follower.#publish()
    await until(() => follower.#hasAll, 'the first number')
    return follower
  }

  /** Publishes number after number until the connection was cut and opened again; checks that each came once. */
  async followOverCut(): Promise<void> {
    const { opened } = this
    const isBack = (): boolean => this.opened > opened
    do {
      await this.#publish()
      await until(() => this.#hasAll || isBack(), 'the next number, by the old connection or by a new one')
    } while (!isBack())
    await this.#publish()
    await until(() => this.#hasAll, 'the last number')
    assert.deepEqual(
      this.numbers,
      Array.from({ length: this.#published }, (_, number) => number),
    )
  }

  [Symbol.dispose](): void {
    this.#source.close()
  }

  get #hasAll(): boolean {
    return this.numbers.at(-1) === this.#published - 1
  }

  async #publish(): Promise<void> {
    const number = this.#published
    this.#published += 1
    await this.#hub.publish({ topic: TOPIC, data: number })
  }
}
