// One subscriber of a node, over SSE or WebSocket. Events carry their number, `#0000000042!`; each is ticked off.

import { once } from 'node:events'
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import type { Protocol } from '../servers.ts'

const DIGITS = 10

/** The data of an event: its number, filled up to a length. */
export function dataOf(number: number, bytes: number): string {
  return `#${String(number).padStart(DIGITS, '0')}!`.padEnd(bytes, 'x')
}

/** What a subscriber connects to. */
export interface Address {
  readonly protocol: Protocol
  readonly port: number
  readonly path: string
  /** What a WebSocket says first. */
  readonly hello?: string | undefined
}

/** See the head of the file. */
export class Receiver {
  /** Distinct numbers that have come since the account began. */
  received = 0
  doubled = 0
  reordered = 0
  /** When the last one came, by `performance.now()`. */
  lastMs = 0
  #from = 0
  #highest = -1
  #seen = new Uint8Array(0)
  #onNumber: ((number: number, nowMs: number) => void) | undefined
  readonly #close: () => void

  private constructor(close: () => void) {
    this.#close = close
  }

  /** Connects; events may come a moment later. */
  static async open({ protocol, port, path, hello }: Address): Promise<Receiver> {
    return protocol === 'sse' ? Receiver.#openStream(port, path) : Receiver.#openSocket(port, path, hello)
  }

  /** Begins an account of numbers from one on, `count` at most. */
  expect(from: number, count: number, onNumber?: (number: number, nowMs: number) => void): void {
    ;[this.received, this.doubled, this.reordered, this.lastMs] = [0, 0, 0, 0]
    this.#from = from
    this.#highest = -1
    this.#seen = new Uint8Array(count)
    this.#onNumber = onNumber
  }

  close(): void {
    this.#close()
  }

  static async #openStream(port: number, path: string): Promise<Receiver> {
    const socket = connect(port, '127.0.0.1')
    const receiver = new Receiver(() => socket.destroy())
    socket.setEncoding('latin1').setNoDelay(true)
    await once(socket, 'connect')
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n`)
    let rest = ''
    socket.on('data', (piece: string) => {
      const text = rest + piece
      rest = text.slice(receiver.#read(text))
    })
    socket.on('error', () => socket.destroy())
    await once(socket, 'data')
    return receiver
  }

  static async #openSocket(port: number, path: string, hello: string | undefined): Promise<Receiver> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false })
    const receiver = new Receiver(() => socket.terminate())
    socket.on('message', (message: Buffer) => {
      if (hello !== undefined && message.length === 1 && message[0] === 0x32) socket.send('3')
      else receiver.#read(message.toString('latin1'))
    })
    socket.on('error', () => {}) // what is missing then is counted
    await once(socket, 'open')
    if (hello !== undefined) socket.send(hello)
    return receiver
  }

  /** Ticks off what stands in the text; answers how far it is read. */
  #read(text: string): number {
    const nowMs = performance.now()
    let at = text.indexOf('#')
    let end = 0
    while (at !== -1) {
      if (at + DIGITS + 2 > text.length) return at
      end = at + DIGITS + 2
      if (text[end - 1] === '!') this.#take(Number(text.slice(at + 1, at + 1 + DIGITS)), nowMs)
      at = text.indexOf('#', end)
    }
    return text.length
  }

  #take(number: number, nowMs: number): void {
    const place = number - this.#from
    if (!(place >= 0 && place < this.#seen.length)) return
    if (this.#seen[place] === 1) {
      this.doubled += 1
      return
    }
    this.#seen[place] = 1
    this.received += 1
    this.lastMs = nowMs
    if (number < this.#highest) this.reordered += 1
    this.#highest = Math.max(this.#highest, number)
    this.#onNumber?.(number, nowMs)
  }
}
