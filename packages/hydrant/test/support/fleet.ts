// Publishers and clients of a server that faults are done to, and the judgement over all of them at the end: what was
// acknowledged came to every client that selected it, once and in order, or was declared missing.

import assert from 'node:assert/strict'
import { parseId } from 'hydrant-client/wire'
import { check, type Report } from '../../src/testing/testing.ts'
import { randomOf } from '../testing/naive-run.ts'
import { ask } from './ask.ts'
import { FleetClient, type FleetClientOptions, type Follower } from './fleet-client.ts'
import { FleetPublisher } from './fleet-publisher.ts'
import { FleetStream } from './fleet-stream.ts'
import { itemsOf, recordOf } from './record.ts'
import { until } from './until.ts'

/** What a fleet is. */
export interface FleetOptions {
  readonly url: string
  /** Where publishers send to, the first one to the first of these, and so on. Default: to `url`. */
  readonly publisherUrls?: readonly string[]
  /** Decides what is published and when clients hop; the network decides the rest. */
  readonly seed: number
  /** How long publishers and clients wait for a sign of the server. Default 3,000. */
  readonly patienceMs?: number
  /** The longest data of an event, about, in characters. Default 200. */
  readonly dataLengthMax?: number
  /** The most events that are published in one request. Default 5; an engine without atomic batches takes 1. */
  readonly batchMax?: number
}

const TOPICS = ['a/1', 'a/2', 'b', 'c/deep/er'] as const
/** Every client selects it, so that its one event says that they have come to the end. */
const FINALE = 'finale'
const END = 'the last event of all'
const HOP_EVENTS_MAX = 300

type Kind = Omit<FleetClientOptions, 'url' | 'silenceMs' | 'random'>

const CLIENTS: readonly Kind[] = [
  { name: 'sse', topics: ['**'], transports: ['sse'] },
  { name: 'sse of one topic', topics: ['b', FINALE], transports: ['sse'] },
  { name: 'sse from earliest', topics: ['**'], transports: ['sse-envelope'], isFromEarliest: true },
  { name: 'ndjson', topics: ['a/*', FINALE], transports: ['ndjson'] },
  { name: 'websocket', topics: ['**'], transports: ['websocket'] },
  { name: 'websocket of a type', topics: ['**'], types: ['message'], transports: ['websocket'] },
  {
    name: 'hopper',
    topics: ['**'],
    transports: ['sse', 'websocket', 'pages', 'ndjson', 'sse-envelope'],
    hopEventsMax: HOP_EVENTS_MAX,
  },
  {
    name: 'hopper of some',
    topics: ['a/1', 'c/**', FINALE],
    types: ['message'],
    transports: ['websocket', 'ndjson', 'sse', 'pages'],
    hopEventsMax: HOP_EVENTS_MAX,
  },
]

/** Connected, and under load from the start; closed with the block that started it. */
export class Fleet implements Disposable {
  readonly publishers: readonly FleetPublisher[]
  readonly #clients: Follower[]
  readonly #url: string

  private constructor({ url, publisherUrls = [url], seed, patienceMs = 3_000, ...events }: FleetOptions) {
    const random = randomOf(seed)
    this.#url = url
    this.publishers = ['key 1', 'key 2', 'key 3', 'no key'].map(
      (name, at) =>
        new FleetPublisher({
          ...events,
          name,
          url: publisherUrls[at % publisherUrls.length] ?? url,
          topics: TOPICS,
          hasKeys: name !== 'no key',
          patienceMs,
          random,
        }),
    )
    const streams = (['sse', 'websocket'] as const).map(
      (transport) =>
        new FleetStream({ name: `client ${transport}`, url, topics: ['**'], transport, silenceMs: patienceMs }),
    )
    const clients = CLIENTS.map((kind) => new FleetClient({ ...kind, url, silenceMs: patienceMs, random }))
    this.#clients = [...streams, ...clients]
  }

  /** Connects everybody, then begins to publish. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options)
    try {
      await until(() => fleet.clients.every(({ isOpen }) => isOpen), 'every client')
      for (const publisher of fleet.publishers) publisher.start()
      return fleet
    } catch (error) {
      fleet[Symbol.dispose]()
      throw error
    }
  }

  get clients(): readonly Follower[] {
    return this.#clients
  }

  /** How many events were acknowledged so far. */
  get acknowledged(): number {
    return this.publishers.reduce((sum, one) => sum + one.acknowledged, 0)
  }

  /** One more client. It selects {@link Fleet.finale}. */
  join(follower: Follower): void {
    this.#clients.push(follower)
  }

  /** The last event: its topic, which every client selects, and its data. */
  static readonly finale: { readonly topic: string; readonly data: string } = { topic: FINALE, data: END }

  /** Waits until so many more events were acknowledged. */
  async progress(events: number): Promise<void> {
    const { acknowledged } = this
    await until(() => this.acknowledged >= acknowledged + events, `${events} more acknowledged events`, 30_000)
  }

  /** Publishes to a topic of the caller's own; answers the ids. */
  async publish(topic: string, ...data: readonly string[]): Promise<readonly string[]> {
    return (await this.publishers[0]?.publish(topic, ...data)) ?? []
  }

  /** Ends the load; resolves when every client has come to the head. */
  async end(): Promise<void> {
    await Promise.all(this.publishers.map((publisher) => publisher.stop()))
    await this.publish(FINALE, END)
    await until(
      () => this.#clients.every((client) => client.has(END)),
      () =>
        `the end at ${this.#clients
          .filter((client) => !client.has(END))
          .map(({ name }) => name)
          .join(', ')}`,
      30_000,
    )
  }

  /** Judges what every client was told; for the end, when nobody is owed anything. */
  async judge(): Promise<Report> {
    const epochs = await epochsOf(this.#url)
    this.#close()
    const complaints = [...this.publishers, ...this.#clients].flatMap((one) => one.complaints)
    assert.deepEqual(complaints, [])
    return check({ published: this.publishers.flatMap(({ records }) => records), epochs, clients: this.#clients })
  }

  /** Ends the load, and judges. */
  async finish(): Promise<Report> {
    await this.end()
    return this.judge()
  }

  [Symbol.dispose](): void {
    this.#close()
  }

  #close(): void {
    for (const one of [...this.publishers, ...this.#clients]) one.close()
  }
}

/** The epochs of what the log holds, in its order. */
async function epochsOf(url: string): Promise<readonly string[]> {
  const epochs = new Set<string>()
  for (let query = 'earliest'; query !== '';) {
    const headers = { accept: 'application/json' }
    const { json } = await ask(url, 'GET', `/events/**?limit=1000&${query}`, { headers })
    for (const event of itemsOf(json['events'])) epochs.add(parseId(String(recordOf(event)['id']))?.epoch ?? '')
    query = json['more'] === true ? `lastEventId=${String(json['id'])}` : ''
  }
  return [...epochs]
}
