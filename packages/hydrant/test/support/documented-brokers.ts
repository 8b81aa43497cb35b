// The brokers that a block of the documentation names, started for it: in the text their addresses are where they are.

import { NATS_SERVERS, NatsServer } from './nats-server.ts'
import { RedisServer } from './redis-server.ts'

const REDIS = 'redis://localhost:6379'
const NATS = 'nats://localhost:4222'

/** See the head of the file. */
export class DocumentedBrokers implements AsyncDisposable {
  /** The block, with the addresses of the brokers that run. */
  text: string
  readonly #running: AsyncDisposable[] = []

  private constructor(text: string) {
    this.text = text
  }

  /** Starts those that a text names. */
  static async start(text: string): Promise<DocumentedBrokers> {
    const brokers = new DocumentedBrokers(text)
    if (text.includes(REDIS)) brokers.#place(REDIS, await RedisServer.start(), (server) => server.url())
    if (text.includes(NATS)) brokers.#place(NATS, await NatsServer.start(newestNats()), (server) => server.url)
    return brokers
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const broker of this.#running) await broker[Symbol.asyncDispose]()
  }

  #place<Broker extends AsyncDisposable>(there: string, broker: Broker, urlOf: (broker: Broker) => string): void {
    this.#running.push(broker)
    this.text = this.text.replaceAll(there, urlOf(broker))
  }
}

function newestNats(): string | undefined {
  return NATS_SERVERS.at(-1)?.command
}
