// `connect`: from a URL and options to a stream, with the parts of its transport.

import { systemClock } from './clock.ts'
import { HttpPublisher } from './http-publisher.ts'
import type { ConnectOptions } from './options.ts'
import type { Publisher } from './publisher.ts'
import type { Source } from './source.ts'
import { SseSource } from './sse-source.ts'
import { Stream } from './stream.ts'
import { WebSocketPublisher } from './websocket-publisher.ts'
import { WebSocketSource } from './websocket-source.ts'
import { parseId } from './wire/index.ts'

/** Parts that all of a stream's parts share. */
interface Common {
  readonly clock: NonNullable<ConnectOptions['clock']>
  readonly random: () => number
  readonly backoff: { readonly baseMs: number; readonly maxMs: number }
}

/**
 * Follows topics of a server. `url` is where its events are: `http://localhost:3000/events`, or `/events` in a page.
 *
 * Throws a TypeError for a URL that is none, and for options that cannot be: programs are wrong, not the network.
 */
export function connect(url: string | URL, options: ConnectOptions): Stream {
  check(options)
  const common: Common = {
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    backoff: { baseMs: options.backoffMs ?? 2_000, maxMs: options.backoffMsMax ?? 30_000 },
  }
  const { topics, types, lag, lastEventId, since, last, state } = options
  return new Stream({
    ...common,
    ...transportOf(resolve(url), options, common),
    wanted: { topics, types, lag, lastEventId, since, last, earliest: options.earliest || undefined, state },
    silenceMs: options.silenceMs ?? 45_000,
    queueBytesMax: options.queueBytesMax ?? 4 * 1024 * 1024,
    signal: options.signal,
    handlers: options,
  })
}

function check({ lastEventId, transport, headers }: ConnectOptions): void {
  if (lastEventId !== undefined && parseId(lastEventId) === undefined)
    throw new TypeError(`lastEventId is ${JSON.stringify(lastEventId)}; an id looks like 0123456789ab-42.`)
  if (transport === 'websocket' && headers !== undefined)
    throw new TypeError('A WebSocket cannot send headers: use the transport sse, or leave headers out.')
}

function resolve(url: string | URL): URL {
  return new URL(url, typeof location === 'undefined' ? undefined : location.href)
}

function transportOf(
  url: URL,
  options: ConnectOptions,
  common: Common,
): { readonly source: Source; readonly publisher: Publisher } {
  if (options.transport === 'websocket') {
    const publisher = new WebSocketPublisher(common)
    const socketUrl = new URL(url)
    socketUrl.protocol = url.protocol.replace('http', 'ws')
    const WebSocket = options.WebSocket ?? globalThis.WebSocket
    return { source: new WebSocketSource({ url: socketUrl, publisher, WebSocket }), publisher }
  }
  const headers = options.headers ?? (() => ({}))
  // Browsers' fetch is a method of its window.
  const fetch = options.fetch ?? globalThis.fetch.bind(globalThis)
  return {
    source: new SseSource({ url, headers, fetch }),
    publisher: new HttpPublisher({ ...common, url, headers, fetch }),
  }
}
