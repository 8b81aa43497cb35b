// A client of an SSE or NDJSON stream over plain HTTP/1.1, that keeps what it got.

import { request, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { SseParser, type SseMessage } from 'hydrant-client/wire'
import { until } from './until.ts'

/** One open stream. */
export class StreamClient implements Disposable {
  readonly response: IncomingMessage
  /** The body so far. */
  text = ''
  /** The blocks of an event stream, ours included. */
  readonly messages: SseMessage[] = []
  readonly comments: string[] = []
  /** Whether the stream ended, in whatever way. */
  isClosed = false
  readonly #outgoing: ClientRequest

  private constructor(outgoing: ClientRequest, response: IncomingMessage) {
    this.#outgoing = outgoing
    this.response = response
    const parser = new SseParser({
      message: (message) => void this.messages.push(message),
      comment: (text) => void this.comments.push(text),
    })
    const isEvents = this.headers['content-type'] === 'text/event-stream'
    response.setEncoding('utf8')
    response.on('data', (text: string) => {
      this.text += text
      if (isEvents) parser.feed(text)
    })
    response.on('error', () => {}) // a cut stream is closed, too
    response.on('close', () => (this.isClosed = true))
  }

  /** Opens a stream; answers once its head is there. */
  static open(url: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<StreamClient> {
    return new Promise((resolve, reject) => {
      const outgoing = request(`${url}${path}`, { headers, agent: false })
      outgoing.on('response', (response) => resolve(new StreamClient(outgoing, response)))
      outgoing.on('error', reject)
      outgoing.end()
    })
  }

  get status(): number {
    return this.response.statusCode ?? 0
  }

  get headers(): IncomingHttpHeaders {
    return this.response.headers
  }

  /** The data of the messages that were published. */
  get data(): readonly string[] {
    return this.messages.filter(({ type }) => !type.startsWith('hydrant:')).map(({ data }) => data)
  }

  /** The lines of an NDJSON stream, without signs of life. */
  get lines(): readonly Readonly<Record<string, unknown>>[] {
    const whole = this.text.slice(0, this.text.lastIndexOf('\n') + 1).split('\n')
    return whole.filter((line) => line !== '').map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
  }

  /** Waits for something in what it got. */
  async until(isSo: (client: this) => boolean): Promise<void> {
    await until(
      () => isSo(this),
      () => `more than ${JSON.stringify(this.text.slice(-400))}`,
    )
  }

  /** Waits for the end of the stream. */
  async closed(): Promise<void> {
    await this.until((client) => client.isClosed)
  }

  [Symbol.dispose](): void {
    this.#outgoing.destroy()
  }
}
