// One connection of a client that belongs to a fleet, in each way in which a stream can be followed. What it brings is
// told in one vocabulary, so that a client can come back by another way than the one it left by.

import { request, type IncomingMessage } from 'node:http'
import { CONTROL_TYPES, SseParser, SUBPROTOCOL, type Envelope, type Gap } from 'hydrant-client/wire'
import { WebSocket } from 'ws'
import type { ReceivedEvent } from '../../src/testing/testing.ts'

/** The ways. `pages` asks for JSON pages until there are no more, and is over then; it needs an id to start from. */
export type Transport = 'sse' | 'sse-envelope' | 'ndjson' | 'websocket' | 'pages'

/** What is asked for. */
export interface LinkRequest {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string
  readonly topics: readonly string[]
  readonly types: readonly string[] | undefined
  /** Where to go on; without one the stream starts now, or with everything. */
  readonly lastEventId: string | undefined
  readonly isFromEarliest: boolean
}

/** Hears what a link brings. Nothing is told after `ended`, nor after the link was closed. */
export interface LinkListener {
  /** A stream that was not resumed starts here. */
  opened(id: string): void
  /** A sign of life, of whatever kind. */
  heard(): void
  event(event: ReceivedEvent): void
  gap(gap: Gap): void
  position(id: string): void
  /** The server answered what it should never answer. */
  refused(what: string): void
  /** It is over: all was said that there was to say, or it was cut. */
  ended(isWhole: boolean): void
}

/** An open link, or one that is being opened. */
export interface Link {
  /** Cuts it, without a farewell. */
  close(): void
}

/** Opens a link. */
export function openLink(transport: Transport, wanted: LinkRequest, listener: LinkListener): Link {
  if (transport === 'websocket') return new SocketLink(wanted, listener)
  return transport === 'pages' ? new PagesLink(wanted, listener) : new StreamLink(transport, wanted, listener)
}

/** An answer over HTTP, until it is over or cut. */
abstract class HttpLink implements Link {
  protected readonly listener: LinkListener
  #isOver = false
  #outgoing: ReturnType<typeof request> | undefined

  constructor(listener: LinkListener) {
    this.listener = listener
  }

  close(): void {
    this.#isOver = true
    this.#outgoing?.destroy()
  }

  protected ask(url: string, accept: string, take: (text: string) => void, whole: () => void): void {
    if (this.#isOver) return
    const outgoing = (this.#outgoing = request(url, { agent: false, headers: { accept } }))
    outgoing.on('response', (response) => this.#answered(response, take, whole))
    outgoing.on('error', () => this.end())
    outgoing.end()
  }

  protected end(isWhole = false): void {
    if (this.#isOver) return
    this.close()
    this.listener.ended(isWhole)
  }

  #answered(response: IncomingMessage, take: (text: string) => void, whole: () => void): void {
    const { statusCode = 0 } = response
    if (statusCode !== 200 && statusCode !== 503) this.listener.refused(`status ${statusCode}`)
    response.setEncoding('utf8')
    response.on('data', (text: string) => {
      if (this.#isOver) return
      this.listener.heard()
      if (statusCode === 200) take(text)
    })
    response.on('error', () => this.end())
    response.on('close', () => {
      if (response.complete && !this.#isOver) whole()
      else this.end()
    })
  }
}

/** SSE, plain or with envelopes, and NDJSON. */
class StreamLink extends HttpLink {
  readonly #isResumed: boolean

  constructor(transport: 'sse' | 'sse-envelope' | 'ndjson', wanted: LinkRequest, listener: LinkListener) {
    super(listener)
    this.#isResumed = wanted.lastEventId !== undefined
    const isEnveloped = transport === 'sse-envelope'
    const query = queryOf(wanted, isEnveloped ? { format: 'envelope' } : {})
    const take = transport === 'ndjson' ? this.#lines() : this.#blocks(isEnveloped)
    const accept = transport === 'ndjson' ? 'application/x-ndjson' : 'text/event-stream'
    this.ask(`${wanted.url}/events?${query}`, accept, take, () => this.end())
  }

  #blocks(isEnveloped: boolean): (text: string) => void {
    const parser = new SseParser({
      message: ({ type, data, lastEventId: id }) => {
        if (type === CONTROL_TYPES.open) this.listener.opened(id)
        else if (type === CONTROL_TYPES.gap) this.listener.gap(JSON.parse(data) as Gap)
        else if (type === CONTROL_TYPES.bye) this.#farewell(id)
        else if (type === CONTROL_TYPES.position) this.listener.position(id)
        else this.listener.event(isEnveloped ? eventOf(JSON.parse(data)) : { id, type, data })
      },
    })
    return (text) => parser.feed(text)
  }

  #lines(): (text: string) => void {
    let rest = ''
    return (text) => {
      const lines = `${rest}${text}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line !== '') this.#line(JSON.parse(line) as Line)
    }
  }

  #line(line: Line): void {
    if ('open' in line) this.listener.opened(line.open)
    else if ('gap' in line) this.listener.gap(line.gap)
    else if ('bye' in line) this.#farewell(line.bye.id)
    else if ('position' in line) this.listener.position(line.position)
    else this.listener.event(eventOf(line))
  }

  /** A farewell to a stream that never began names a place at which the client has not been. */
  #farewell(id: string): void {
    if (this.#isResumed) this.listener.position(id)
  }
}

type Line = { open: string } | { gap: Gap } | { bye: { id: string } } | { position: string } | Envelope

interface Page {
  readonly events: readonly Envelope[]
  readonly gap?: Gap
  readonly id: string
  readonly more: boolean
}

/** History, page by page. */
class PagesLink extends HttpLink {
  readonly #wanted: LinkRequest

  constructor(wanted: LinkRequest, listener: LinkListener) {
    super(listener)
    this.#wanted = wanted
    this.#next(wanted.lastEventId)
  }

  #next(lastEventId: string | undefined): void {
    let body = ''
    const query = queryOf({ ...this.#wanted, lastEventId }, { limit: '200' })
    const take = (text: string): void => void (body += text)
    this.ask(`${this.#wanted.url}/events?${query}`, 'application/json', take, () => {
      if (body === '') this.end()
      else this.#page(JSON.parse(body) as Page)
    })
  }

  #page({ events, gap, id, more }: Page): void {
    if (gap !== undefined) this.listener.gap(gap)
    for (const event of events) this.listener.event(eventOf(event))
    this.listener.position(id)
    if (more) this.#next(id)
    else this.end(true)
  }
}

type Message = { subscribed: { id: string } } | { gap: Gap } | { position: string } | { error: { status: number } }

/** The WebSocket subprotocol, with one subscription. */
class SocketLink implements Link {
  readonly #socket: WebSocket
  readonly #wanted: LinkRequest
  readonly #listener: LinkListener
  #isOver = false

  constructor(wanted: LinkRequest, listener: LinkListener) {
    this.#wanted = wanted
    this.#listener = listener
    this.#socket = new WebSocket(`${wanted.url.replace('http', 'ws')}/events`, [SUBPROTOCOL])
    this.#socket.on('open', () => this.#subscribe())
    this.#socket.on('ping', () => listener.heard())
    this.#socket.on('message', (data: Buffer) => this.#message(data))
    this.#socket.on('error', () => {}) // the close says it
    this.#socket.on('close', () => this.#end())
  }

  close(): void {
    this.#isOver = true
    this.#socket.terminate()
  }

  #subscribe(): void {
    const { topics, types, lastEventId, isFromEarliest } = this.#wanted
    const start = lastEventId === undefined ? (isFromEarliest ? { earliest: true } : {}) : { lastEventId }
    this.#socket.send(JSON.stringify({ subscribe: { sub: 1, topics, types, ...start } }))
  }

  #message(data: Buffer): void {
    if (this.#isOver) return
    this.#listener.heard()
    const message = JSON.parse(data.toString()) as Message | Envelope
    if ('topic' in message) this.#listener.event(eventOf(message))
    else if ('gap' in message) this.#listener.gap(message.gap)
    else if ('position' in message) this.#listener.position(message.position)
    else if ('subscribed' in message) this.#subscribed(message.subscribed.id)
    else if ('error' in message) this.#refused(message.error)
  }

  #subscribed(id: string): void {
    if (this.#wanted.lastEventId === undefined) this.#listener.opened(id)
  }

  #refused(problem: { readonly status: number }): void {
    if (problem.status !== 503) this.#listener.refused(JSON.stringify(problem))
    this.#socket.terminate()
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#listener.ended(false)
  }
}

function queryOf(wanted: LinkRequest, more: Readonly<Record<string, string>>): string {
  const { topics, types = [], lastEventId, isFromEarliest } = wanted
  const query = new URLSearchParams(more)
  for (const topic of topics) query.append('topic', topic)
  for (const type of types) query.append('type', type)
  if (lastEventId !== undefined) query.append('lastEventId', lastEventId)
  else if (isFromEarliest) query.append('earliest', '')
  return query.toString()
}

function eventOf(envelope: unknown): ReceivedEvent {
  const { id, topic, type, key, data = '' } = envelope as Envelope
  return { id, topic, type, key, data }
}
