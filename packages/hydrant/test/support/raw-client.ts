// A client on a bare socket, for requests that no well-behaved client would send.

import { connect, type Socket } from 'node:net'
import { until } from './until.ts'

/** Says what it is told to, byte by byte, and keeps what it hears. */
export class RawClient implements Disposable {
  readonly socket: Socket
  /** What was heard, one character a byte. */
  text = ''
  isClosed = false
  /** Whether the other side ended its half. */
  isEnded = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes) => (this.text += bytes.toString('latin1')))
    socket.on('end', () => (this.isEnded = true))
    socket.on('error', () => {}) // a reset is a close as well
    socket.on('close', () => (this.isClosed = true))
  }

  /** Connects to the loopback; `allowHalfOpen` keeps this side open when the other ends. */
  static async connect(port: number, options: { readonly allowHalfOpen?: boolean } = {}): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', ...options })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawClient(socket)
  }

  /** Sends text as it is, one byte a character. */
  say(text: string): void {
    this.socket.write(Buffer.from(text, 'latin1'))
  }

  /** Waits until something was heard. */
  async hear(words: string | RegExp): Promise<void> {
    const isHeard = (): boolean => (typeof words === 'string' ? this.text.includes(words) : words.test(this.text))
    await until(isHeard, () => `${String(words)} in ${JSON.stringify(this.text.slice(-400))}`)
  }

  /** Waits until the socket is closed, and answers what was heard. */
  async closed(): Promise<string> {
    await until(
      () => this.isClosed,
      () => `a close after ${JSON.stringify(this.text.slice(-400))}`,
    )
    return this.text
  }

  /** Sends one request and answers what was heard until the server closed; say `connection: close` in it. */
  static async exchange(port: number, text: string): Promise<string> {
    using client = await RawClient.connect(port)
    client.say(text)
    return await client.closed()
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}
