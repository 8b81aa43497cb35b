// A broadcast server with topics, ids, a history and compression, made of other people's parts: zlib and ws. It is for the
// tests of load.c, and knows what it has sent.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { constants, createGzip } from 'node:zlib'
import { type WebSocket, WebSocketServer } from 'ws'

/** What a resuming server is to do. */
export interface Resuming {
  /** Sends what was missed to those who come with an id. Default: true. */
  readonly hasHistory?: boolean
  /** Those who come with an id are answered when so many more events were published. Default: 0, at once. */
  readonly backAfterEvents?: number
  /** Compresses for those who ask for it; `anew`: each WebSocket message by itself. Default: not at all. */
  readonly compression?: 'kept' | 'anew'
  /** The topic to which an event for this one goes. */
  readonly reroute?: (topic: string) => string
  /** WebSocket clients get this message first. */
  readonly greeting?: string
}

/** A running resuming server. */
export interface ResumingServer {
  readonly port: number
  /** Deliveries that nobody got, since they were published while a subscriber was away. */
  readonly missed: number
  /** How many subscribers came with an id. */
  readonly returned: number
  /** What WebSocket clients said. */
  readonly said: readonly string[]
  stop(): void
}

interface Subscriber {
  readonly topic: string
  send(number: number, text: string): void
}

/** Starts one on a free port of 127.0.0.1. */
export async function startResumingServer(options: Resuming = {}): Promise<ResumingServer> {
  const { hasHistory = true, backAfterEvents = 0, compression, reroute = (topic) => topic, greeting } = options
  const log: { readonly topic: string; readonly text: string }[] = []
  const subscribers = new Set<Subscriber>()
  const waiting: { readonly at: number; answer(): void }[] = []
  const said: string[] = []
  let [missed, returned] = [0, 0]

  const server = createServer((request, response) => {
    if (request.method === 'POST') void publish(request, response)
    else whenBack(request, () => subscribe(request, response, sseSubscriber(request, response)))
  })
  const perMessageDeflate = compression !== undefined && {
    threshold: 0,
    serverNoContextTakeover: compression === 'anew',
  }
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate })
  server.on('upgrade', (request, socket, head) => {
    whenBack(request, () => {
      sockets.handleUpgrade(request, socket, head, (client) => {
        client.on('message', (message: Buffer) => said.push(message.toString()))
        if (greeting !== undefined) client.send(greeting)
        subscribe(request, client, wsSubscriber(request, client))
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))

  function whenBack(request: IncomingMessage, answer: () => void): void {
    if (idOf(request) === undefined) answer()
    else waiting.push({ at: log.length + backAfterEvents, answer })
    wake()
  }

  function wake(): void {
    while ((waiting[0]?.at ?? Infinity) <= log.length) waiting.shift()?.answer()
  }

  function subscribe(request: IncomingMessage, connection: ServerResponse | WebSocket, one: Subscriber): void {
    const id = idOf(request)
    if (id !== undefined) {
      returned++
      for (let number = id + 1; number < log.length; number++) {
        const event = log[number]
        if (event?.topic !== one.topic) continue
        if (hasHistory) one.send(number, event.text)
        else missed++
      }
    }
    subscribers.add(one)
    connection.on('close', () => subscribers.delete(one))
  }

  async function publish(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const piece of request) text += String(piece)
    const topic = reroute(topicOf(request))
    log.push({ topic, text })
    for (const one of subscribers) if (one.topic === topic) one.send(log.length - 1, text)
    response.end('ok')
    wake()
  }

  function sseSubscriber(request: IncomingMessage, response: ServerResponse): Subscriber {
    const isCompressed = compression !== undefined && request.headers['accept-encoding'] === 'gzip'
    response.writeHead(200, isCompressed ? { 'content-encoding': 'gzip' } : {})
    response.flushHeaders()
    const gzip = isCompressed ? createGzip({ flush: constants.Z_SYNC_FLUSH }) : undefined
    gzip?.pipe(response)
    const out = gzip ?? response
    return { topic: topicOf(request), send: (number, text) => out.write(`data: ${text}\nid: n-${number}\n\n`) }
  }

  return {
    port: portOf(server.address()),
    said,
    get missed() {
      return missed
    },
    get returned() {
      return returned
    },
    stop() {
      for (const client of sockets.clients) client.terminate()
      server.closeAllConnections()
      server.close()
    },
  }
}

function wsSubscriber(request: IncomingMessage, client: WebSocket): Subscriber {
  const send = (number: number, text: string): void => client.send(JSON.stringify({ id: `n-${number}`, data: text }))
  return { topic: topicOf(request), send }
}

function topicOf(request: IncomingMessage): string {
  return request.url?.replace(/\?.*/, '').split('/').at(-1) ?? ''
}

/** The number of the last event that a subscriber has seen, from its header or the query. */
function idOf(request: IncomingMessage): number | undefined {
  const id = request.headers['last-event-id'] ?? /[?&]from=([^&]*)/.exec(request.url ?? '')?.[1]
  return id === undefined ? undefined : Number(/^n-(\d+)$/.exec(String(id))?.[1])
}

function portOf(address: ReturnType<Server['address']>): number {
  if (address === null || typeof address === 'string') throw new Error('the server listens on no port')
  return address.port
}
