// A WebSocket client by `ws` that keeps what it got.

import { WebSocket, type ClientOptions } from 'ws'
import { until } from './until.ts'

/** One open WebSocket. */
export class WsClient implements Disposable {
  readonly socket: WebSocket
  /** Text as text, binary as bytes. */
  readonly messages: (string | Buffer)[] = []
  closeCode: number | undefined
  closeReason = ''

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data: Buffer, isBinary) => void this.messages.push(isBinary ? data : data.toString()))
    socket.on('error', () => {}) // the close says it
    socket.on('close', (code, reason) => {
      this.closeCode = code
      this.closeReason = reason.toString()
    })
  }

  /** Opens; rejects when the handshake is refused. */
  static async open(url: string, protocol?: string, options: ClientOptions = {}): Promise<WsClient> {
    const client = new WsClient(new WebSocket(url, protocol === undefined ? [] : [protocol], options))
    await new Promise<void>((resolve, reject) => {
      client.socket.once('open', resolve)
      client.socket.once('error', reject)
    })
    return client
  }

  /** Sends an object as JSON. */
  say(message: object): void {
    this.socket.send(JSON.stringify(message))
  }

  /** The text messages as JSON objects. */
  get json(): readonly Readonly<Record<string, unknown>>[] {
    return this.messages
      .filter((message) => typeof message === 'string')
      .map((text) => JSON.parse(text) as Readonly<Record<string, unknown>>)
  }

  /** Waits for something in what it got. */
  async until(isSo: (client: this) => boolean): Promise<void> {
    await until(
      () => isSo(this),
      () => `more than ${this.messages.length} messages, the last ${String(this.messages.at(-1)).slice(0, 400)}`,
    )
  }

  /** Waits for the close and answers its code. */
  async closed(): Promise<number> {
    await this.until((client) => client.closeCode !== undefined)
    return this.closeCode ?? 0
  }

  [Symbol.dispose](): void {
    this.socket.terminate()
  }
}
