// Every connection keeps the contract, on real sockets.

import { createServer, request, type IncomingMessage, type Server } from 'node:http'
import { connect, createServer as createHttp2Server } from 'node:http2'
import type { Socket } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import type { ConnectionOwner } from '../../src/transport/connection.ts'
import { FetchConnection } from '../../src/transport/fetch-connection.ts'
import { SocketConnection } from '../../src/transport/socket-connection.ts'
import { WebSocketConnection } from '../../src/transport/websocket.ts'
import { WritableConnection } from '../../src/transport/writable-connection.ts'
import { listen, portOf } from '../support/test-server.ts'
import { connectionContract, type ConnectionClient, type ConnectionPair } from './connection.ts'

connectionContract('a SocketConnection', {
  frame: (bytes) => Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]),
  open: (owner) =>
    openHttp1((_request, response, socket) => {
      response.writeHead(200, { 'transfer-encoding': 'chunked' })
      response.flushHeaders()
      return new SocketConnection(socket, 'sse', () => response.end(), owner)
    }),
})

connectionContract('a WritableConnection on a response of HTTP/1.1', {
  frame: (bytes) => bytes,
  open: (owner) =>
    openHttp1((_request, response) => {
      response.writeHead(200)
      response.flushHeaders()
      return new WritableConnection(response, 'sse', owner)
    }),
})

connectionContract('a WritableConnection on a stream of HTTP/2', { frame: (bytes) => bytes, open: openHttp2 })

connectionContract('a FetchConnection', { frame: (bytes) => bytes, open: openFetch })

connectionContract('a WebSocketConnection', { frame: binaryFrame, open: openWebSocket })

type Accept = (
  request: IncomingMessage,
  response: Parameters<Parameters<typeof createServer>[1] & object>[1],
  socket: Socket,
) => ConnectionPair['connection']

async function openHttp1(accept: Accept): Promise<ConnectionPair> {
  const server = createServer()
  await listen(server)
  const accepted = new Promise<ConnectionPair['connection']>((resolve) => {
    server.on('request', (incoming, response) => resolve(accept(incoming, response, incoming.socket)))
  })
  const outgoing = request({ port: portOf(server), host: '127.0.0.1', agent: false }).end()
  const response = await new Promise<IncomingMessage>((resolve) => void outgoing.on('response', resolve))
  const parts: Buffer[] = []
  response.on('data', (part: Buffer) => parts.push(part))
  response.on('error', () => {}) // a cut response is told by `complete`
  const client: ConnectionClient = {
    received: () => Buffer.concat(parts),
    pause: () => void response.pause(),
    resume: () => void response.resume(),
    vanish: () => outgoing.destroy(),
    ended: () => (response.closed ? (response.complete ? 'orderly' : 'cut') : undefined),
  }
  return { connection: await accepted, client, close: () => closeHttp1(server, () => outgoing.destroy()) }
}

async function closeHttp1(server: Server, hangUp: () => void): Promise<void> {
  hangUp()
  server.closeAllConnections()
  await new Promise((resolve) => void server.close(resolve))
}

async function openHttp2(owner: ConnectionOwner): Promise<ConnectionPair> {
  const server = createHttp2Server()
  await listen(server)
  const accepted = new Promise<WritableConnection>((resolve) => {
    server.on('request', (_request, response) => {
      response.writeHead(200)
      resolve(new WritableConnection(response, 'sse', owner))
    })
  })
  const session = connect(`http://127.0.0.1:${portOf(server)}`)
  const stream = session.request({ ':path': '/' })
  const parts: Buffer[] = []
  let isEnded = false
  stream.on('data', (part: Buffer) => parts.push(part))
  stream.on('end', () => (isEnded = true))
  stream.on('error', () => {}) // a reset stream is told by its code
  const client: ConnectionClient = {
    received: () => Buffer.concat(parts),
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    vanish: () => session.destroy(),
    ended: () => (isEnded && stream.rstCode === 0 ? 'orderly' : stream.closed ? 'cut' : undefined),
  }
  const close = async (): Promise<void> => {
    session.destroy()
    await new Promise((resolve) => void server.close(resolve))
  }
  return { connection: await accepted, client, close }
}

async function openFetch(owner: ConnectionOwner): Promise<ConnectionPair> {
  const connection = new FetchConnection('sse', owner)
  const client = new BodyClient(connection.body)
  return { connection, client, close: async () => client.vanish() }
}

/** Reads a body, until it is paused. */
class BodyClient implements ConnectionClient {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #parts: Uint8Array[] = []
  #ended: 'orderly' | 'cut' | undefined
  #isReading = false
  #isPaused = false

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader()
    void this.#read()
  }

  received(): Buffer {
    return Buffer.concat(this.#parts)
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    void this.#read()
  }

  vanish(): void {
    this.#reader.cancel().catch(() => undefined)
  }

  ended(): 'orderly' | 'cut' | undefined {
    return this.#ended
  }

  async #read(): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    while (!this.#isPaused && this.#ended === undefined) await this.#readOne()
    this.#isReading = false
  }

  async #readOne(): Promise<void> {
    try {
      const { done, value } = await this.#reader.read()
      if (done) this.#ended = 'orderly'
      else this.#parts.push(value)
    } catch {
      this.#ended = 'cut' // the body failed
    }
  }
}

async function openWebSocket(owner: ConnectionOwner): Promise<ConnectionPair> {
  const http = createServer()
  const server = new WebSocketServer({ noServer: true })
  await listen(http)
  const accepted = new Promise<WebSocketConnection>((resolve) => {
    http.on('upgrade', (incoming, socket: Socket, head) => {
      server.handleUpgrade(incoming, socket, head, (webSocket) => {
        resolve(new WebSocketConnection(webSocket, socket, { isLabelled: false, canShare: false }, owner))
      })
    })
  })
  const webSocket = new WebSocket(`ws://127.0.0.1:${portOf(http)}`)
  await new Promise((resolve) => void webSocket.once('open', resolve))
  const parts: Buffer[] = []
  let closeCode: number | undefined
  webSocket.on('message', (data: Buffer) => parts.push(data))
  webSocket.on('error', () => {}) // the close says it
  webSocket.on('close', (code) => (closeCode = code))
  const client: ConnectionClient = {
    received: () => Buffer.concat(parts),
    pause: () => webSocket.pause(),
    resume: () => webSocket.resume(),
    vanish: () => webSocket.terminate(),
    ended: () => (closeCode === undefined ? undefined : closeCode === 1006 ? 'cut' : 'orderly'),
  }
  return { connection: await accepted, client, close: () => closeHttp1(http, () => webSocket.terminate()) }
}

function binaryFrame(bytes: Buffer): Uint8Array {
  const head = Buffer.alloc(10)
  head[0] = 0x82
  head[1] = 127
  head.writeBigUInt64BE(BigInt(bytes.length), 2)
  if (bytes.length > 65_535) return Buffer.concat([head, bytes])
  if (bytes.length < 126) return Buffer.concat([Buffer.of(0x82, bytes.length), bytes])
  return Buffer.concat([Buffer.of(0x82, 126, bytes.length >> 8, bytes.length & 0xff), bytes])
}
