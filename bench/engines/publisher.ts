// Publishing over HTTP with as little as can be: a socket, one request under way on it, its answer's status looked at.

import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'

/** One connection of a publisher. */
export class Publisher {
  readonly #socket: Socket
  #heard = ''
  #answer: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true).setEncoding('latin1')
    socket.on('data', (piece: string) => this.#hear(piece))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the node closed a connection')))
  }

  /** So many connections to a port. */
  static async open(port: number, count: number): Promise<readonly Publisher[]> {
    return Promise.all(
      Array.from({ length: count }, async () => {
        const socket = connect(port, '127.0.0.1')
        await once(socket, 'connect')
        return new Publisher(socket)
      }),
    )
  }

  /** Whether it waits for an answer. */
  get isBusy(): boolean {
    return this.#answer !== undefined
  }

  /** Posts text in ASCII; resolves with the answer, rejects unless that is a 200. One at a time. */
  post(path: string, body: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    promise.catch(() => {}) // whoever posted looks at it later, or has failed before
    this.#answer = { resolve, reject }
    this.#socket.write(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      'latin1',
    )
    return promise
  }

  close(): void {
    this.#answer = undefined
    this.#socket.destroy()
  }

  #hear(piece: string): void {
    this.#heard += piece
    const end = this.#heard.indexOf('\r\n\r\n')
    if (end === -1) return
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#heard.slice(0, end))?.[1] ?? 0)
    if (this.#heard.length < end + 4 + length) return
    const [heard, answer] = [this.#heard, this.#answer]
    this.#heard = ''
    this.#answer = undefined
    if (heard.startsWith('HTTP/1.1 200')) answer?.resolve()
    else answer?.reject(new Error(`the node answered ${heard.slice(0, 500)}`))
  }

  #fail(error: Error): void {
    this.#answer?.reject(error)
    this.#answer = undefined
  }
}

/**
 * Publishes lines in one request, as fast as they are taken, until `next` has none. Answers how many were acknowledged.
 */
export async function publishLines(port: number, next: () => string | undefined): Promise<number> {
  const outgoing = request({
    port,
    host: '127.0.0.1',
    method: 'POST',
    path: '/events',
    headers: { 'content-type': 'application/x-ndjson' },
  })
  const answering = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject)
  })
  for (let lines = next(); lines !== undefined; lines = next()) {
    if (!outgoing.write(lines)) await once(outgoing, 'drain')
  }
  outgoing.end()
  const answer = await answering
  let text = ''
  for await (const piece of answer) text += String(piece)
  const count = /"published":(\d+)/.exec(text)?.[1]
  if (count === undefined) throw new Error(`the node answered ${text}`)
  return Number(count)
}
