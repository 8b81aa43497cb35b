// A broadcast server that does on purpose what no server should: it drops, doubles and swaps events, and cuts its
// streams anywhere. It knows what it did, so the counting of load.c can be held against it.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'

const WS_ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' // to RFC 6455's sample key, which load.c sends
const FALSE_START = '#' // as a marker begins, directly before one
const PING = Buffer.from('are you there')
const WINDOW_EVENTS = 8 // delivered together: faults happen within them

/** What an awkward server is to do. */
export interface Awkwardness {
  readonly framing: 'plain' | 'chunked' | 'ws'
  /** Events that will be published: the last one flushes what is held. */
  readonly events: number
  /** The share of a client's events, 0 to 1, that is dropped, doubled, or swapped with the one before. */
  readonly faults?: { readonly drop: number; readonly double: number; readonly swap: number }
  /** Sends event 1 before event 0, to all subscribers alike. */
  readonly oneFirst?: boolean
  /** The greatest piece that is written at once; pieces have random lengths up to it. Default: no cuts. */
  readonly pieceBytesMax?: number
  /** What becomes of an event's text on its way, for events inside JSON or damaged ones. */
  readonly rewrite?: (text: string, number: number) => string
  /** Status of the answer to every publish request. Default 200. */
  readonly publishStatus?: number
  /** Events whose publisher is hung up on instead of answered. They are not published. */
  readonly hangUp?: (number: number) => boolean
  /** Where the random numbers begin, so that a run can be had again. Default 1. */
  readonly seed?: number
  /** Subscribers, in the order in which they come, that are refused. */
  readonly refuse?: (subscriber: number) => boolean
  /** Subscribers whose connection ends after the last event. */
  readonly destroy?: (subscriber: number) => boolean
  /** Subscribers that get a WebSocket close frame then, and have to hang up themselves. */
  readonly closeFrame?: (subscriber: number) => boolean
}

/** A running awkward server, and what it has seen and done. */
export interface AwkwardServer {
  readonly port: number
  /** For each subscriber the numbers of the events that it was sent, in that order. */
  readonly orders: readonly (readonly number[])[]
  /** For each subscriber the most bytes that waited for it in this process, beyond what the kernel holds. */
  readonly backlogBytesMax: readonly number[]
  /** What WebSocket clients sent: [opcode, payload]. */
  readonly received: readonly (readonly [number, string])[]
  readonly subprotocols: readonly (string | undefined)[]
  stop(): void
}

interface Subscriber {
  readonly socket: Duplex
  readonly order: number[]
  backlogBytesMax: number
  done: Promise<void>
}

/** Starts one on a free port of 127.0.0.1. */
export async function startAwkwardServer(options: Awkwardness): Promise<AwkwardServer> {
  const random = randomFrom(options.seed ?? 1)
  const { framing, events, faults = { drop: 0, double: 0, swap: 0 }, rewrite = (text) => text } = options
  const subscribers: Subscriber[] = []
  const received: [number, string][] = []
  const subprotocols: (string | undefined)[] = []
  const held: string[] = []
  let published = 0
  let asked = 0

  const server = createServer(onRequest)
  server.on('upgrade', onUpgrade)
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === 'POST') void takeBody(request, response)
    else subscribe(request.socket, sseHead(framing))
  }

  function onUpgrade(request: IncomingMessage, socket: Duplex): void {
    subprotocols.push(request.headers['sec-websocket-protocol'])
    subscribe(socket, wsHead())
    readFrames(socket, (opcode, payload) => received.push([opcode, payload]))
  }

  function subscribe(socket: Duplex, head: string): void {
    socket.on('error', () => {}) // a client that goes away is none of our business
    if (options.refuse?.(asked++) === true) socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n')
    else subscribers.push({ socket, order: [], backlogBytesMax: 0, done: write(socket, Buffer.from(head)) })
  }

  async function takeBody(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isStream = request.headers['content-type'] === 'application/x-ndjson'
    response.statusCode = options.publishStatus ?? 200
    if (isStream) response.write('[') // an answer that begins before its question ends, as it may
    let text = ''
    for await (const piece of request) {
      text += String(piece)
      if (!isStream) continue
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) publish(line)
    }
    if (!isStream && options.hangUp?.(numberOf(text)) === true) {
      request.socket.destroy()
      return
    }
    if (!isStream) publish(text)
    response.end(isStream ? ']' : 'ok')
  }

  function publish(text: string): void {
    held.push(text)
    published++
    if (held.length < WINDOW_EVENTS && published < events) return
    const window = held.splice(0)
    if (options.oneFirst === true) window.sort((a, b) => Number(numberOf(b) === 1) - Number(numberOf(a) === 1))
    for (const subscriber of subscribers) deliver(subscriber, alter(window))
    if (published < events) return
    subscribers.forEach(({ socket, done }, i) => {
      if (options.destroy?.(i) === true) void done.then(() => socket.destroy())
      if (options.closeFrame?.(i) === true) void done.then(() => socket.write(wsFrame(0x88, Buffer.alloc(0))))
    })
  }

  function alter(window: readonly string[]): string[] {
    const altered: string[] = []
    for (const text of window) {
      if (random() < faults.drop) continue
      if (random() < faults.swap) altered.splice(-1, 0, text)
      else altered.push(text)
      if (random() < faults.double) altered.push(text)
    }
    return altered
  }

  function deliver(subscriber: Subscriber, texts: readonly string[]): void {
    for (const text of texts) subscriber.order.push(numberOf(text))
    const bytes = Buffer.concat(texts.map((text) => frame(FALSE_START + rewrite(text, numberOf(text)))))
    subscriber.done = send(subscriber, subscriber.done, bytes)
  }

  async function send(subscriber: Subscriber, before: Promise<void>, bytes: Buffer): Promise<void> {
    await before
    await write(subscriber.socket, bytes)
    subscriber.backlogBytesMax = Math.max(subscriber.backlogBytesMax, subscriber.socket.writableLength)
  }

  function frame(text: string): Buffer {
    if (framing === 'ws') return wsFrames(Buffer.from(text))
    const block = Buffer.from(`: a comment ##\ndata: ${text}\n\n`)
    return framing === 'chunked' ? Buffer.concat(cut(block, 40).map(httpChunk)) : block
  }

  /** A message in one to a few fragments, with pings between them, as RFC 6455 allows. */
  function wsFrames(message: Buffer): Buffer {
    const fragments = cut(message, message.length)
    const frames = fragments.flatMap((fragment, i) => {
      const opcode = i === 0 ? 1 : 0
      const isLast = i === fragments.length - 1
      return isLast ? [wsFrame(0x80 | opcode, fragment)] : [wsFrame(opcode, fragment), wsFrame(0x89, PING)]
    })
    return Buffer.concat(frames)
  }

  function cut(bytes: Buffer, pieceBytesMax: number): Buffer[] {
    const pieces: Buffer[] = []
    for (let at = 0; at < bytes.length;) {
      const length = 1 + Math.floor(random() * pieceBytesMax)
      pieces.push(bytes.subarray(at, at + length))
      at += length
    }
    return pieces
  }

  async function write(socket: Duplex, bytes: Buffer): Promise<void> {
    const { pieceBytesMax } = options
    for (const piece of pieceBytesMax === undefined ? [bytes] : cut(bytes, pieceBytesMax)) {
      socket.write(piece)
      await turn() // so that the pieces arrive one by one
    }
  }

  return {
    port: portOf(server.address()),
    received,
    subprotocols,
    get orders() {
      return subscribers.map(({ order }) => order)
    },
    get backlogBytesMax() {
      return subscribers.map(({ backlogBytesMax }) => backlogBytesMax)
    },
    stop() {
      for (const { socket } of subscribers) socket.destroy()
      server.close()
      server.closeAllConnections()
    },
  }
}

/** What load.c should count for subscribers that were sent these orders of events numbered 0 to events - 1. */
export function countOf(
  orders: readonly (readonly number[])[],
  events: number,
): { lost: number; doubled: number; reordered: number; arrived: number; clientsWrong: number } {
  const sum = { lost: 0, doubled: 0, reordered: 0, arrived: 0, clientsWrong: 0 }
  for (const order of orders) {
    const firsts = [...new Set(order)]
    const reordered = firsts.filter((number, i) => firsts.slice(0, i).some((earlier) => earlier > number)).length
    sum.lost += events - firsts.length
    sum.doubled += order.length - firsts.length
    sum.reordered += reordered
    sum.arrived += firsts.length
    if (firsts.length < events || order.length > firsts.length || reordered > 0) sum.clientsWrong++
  }
  return sum
}

/** Mulberry32: small, and the same numbers for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function httpChunk(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)};extension=1\r\n`), bytes, Buffer.from('\r\n')])
}

function wsFrame(first: number, payload: Buffer): Buffer {
  const { length } = payload
  if (length < 126) return Buffer.concat([Buffer.from([first, length]), payload])
  const head = Buffer.alloc(length < 65_536 ? 4 : 10)
  head[0] = first
  head[1] = length < 65_536 ? 126 : 127
  if (length < 65_536) head.writeUInt16BE(length, 2)
  else head.writeUInt32BE(length, 6)
  return Buffer.concat([head, payload])
}

/** Reads a client's frames: short, whole and masked, as load.c sends them. */
function readFrames(socket: Duplex, onFrame: (opcode: number, payload: string) => void): void {
  let bytes = Buffer.alloc(0)
  socket.on('data', (piece: Buffer) => {
    bytes = Buffer.concat([bytes, piece])
    for (;;) {
      const [first = 0, length = 0] = bytes
      const end = 6 + (length & 127)
      if (bytes.length < end) return
      const mask = bytes.subarray(2, 6)
      const payload = bytes.subarray(6, end).map((byte, i) => byte ^ (mask[i % 4] ?? 0))
      onFrame(first & 15, Buffer.from(payload).toString())
      bytes = bytes.subarray(end)
    }
  })
}

function sseHead(framing: Awkwardness['framing']): string {
  const chunked = framing === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : ''
  return `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n${chunked}\r\n`
}

function wsHead(): string {
  const upgrade = 'Upgrade: websocket\r\nConnection: Upgrade\r\n'
  return `HTTP/1.1 101 Switching Protocols\r\n${upgrade}Sec-WebSocket-Accept: ${WS_ACCEPT}\r\n\r\n`
}

/** An event's number: eight hex digits behind "#!" and sixteen of time, wherever in the text they stand. */
function numberOf(text: string): number {
  const at = text.indexOf('#!') + 18
  return Number.parseInt(text.slice(at, at + 8), 16)
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on a port')
  return address.port
}
