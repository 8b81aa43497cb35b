// `createHub`: a hub with doors. The core from hub/, an engine, and handlers for HTTP and WebSocket around them.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Engine } from './engine/engine.ts'
import { MemoryEngine } from './engine/memory.ts'
import type { Clock } from './hub/clock.ts'
import { Hub } from './hub/hub.ts'
import type { Limits } from './hub/limits.ts'
import type { NoSchemas, Schemas } from './hub/schema.ts'
import type { LagPolicies } from './hub/lag.ts'
import type { Rooms } from './http/dispatch.ts'
import { fetchHandler } from './http/fetch.ts'
import { nodeHandler, type Next } from './http/node.ts'
import { Origins } from './http/origin.ts'
import { metricsText } from './metrics/metrics.ts'
import { upgradeHandler } from './http/upgrade.ts'
import { systemClock } from './system-clock.ts'
import { Connections, type ConnectionCount } from './transport/connections.ts'
import { StreamFormats } from './transport/sse.ts'
import type { OnMessage } from './transport/websocket-session.ts'
import { WebSockets } from './transport/websockets.ts'

/** Options of {@link createHub}; all may be left out. */
export interface HubOptions<Of extends Schemas = Schemas> {
  /** What the data of topics must be, by topic or pattern: any Standard Schema. Default: anything. */
  readonly schemas?: Of
  /** Where the log lives. Default: in memory. */
  readonly engine?: Engine
  /** Any of the limits, by name; the others keep their defaults. */
  readonly limits?: Partial<Limits>
  /** Where the handlers are mounted, without a slash at its end: `/api`. Default: at the root. */
  readonly basePath?: string
  /** Web origins other than the server's own that may publish, open WebSockets and read. Default: none. */
  readonly cors?: readonly string[]
  /**
   * What happens to subscribers that cannot keep up and do not say themselves: one policy, or rules by topic, of which
   * the first that covers what they follow holds. Default `disconnect`.
   */
  readonly lag?: LagPolicies
  /**
   * Whether streams and messages are compressed for clients that accept it: once for each feed, whoever follows it.
   * Default false: what is compressed together can be guessed from its length (see docs/operate.md).
   */
  readonly compression?: boolean
  /** Gets every message of plain WebSocket clients; without it they are published to the topic of the client's URL. */
  readonly onMessage?: OnMessage
  /** The text of heartbeat comments on SSE. Default: none, an empty comment. */
  readonly heartbeatText?: string
  /** Hears of errors that have no caller to be told. Default: they end the process, as uncaught errors do. */
  readonly onError?: (error: unknown) => void
  /** Default: real time. */
  readonly clock?: Clock
}

/** What handlers are made of. */
export interface Doors {
  readonly rooms: Rooms
  readonly formats: StreamFormats
  readonly basePath: string
}

/** What a hub shares with others that serve the same log at the same place. */
export interface Shares {
  /** The limit of connections is one for all of them. */
  readonly connections: ConnectionCount
  /** What all of them count. */
  readonly metrics: () => Promise<string>
}

/** A hub with handlers to mount. The handlers need no `this`. */
export class MountedHub<Of extends Schemas = Schemas> extends Hub<Of> {
  /** For `http.createServer(hub.handler)`, or `app.use(hub.handler)` in Express. */
  readonly handler: (request: IncomingMessage, response: ServerResponse, next?: Next) => void
  /** For `server.on('upgrade', hub.upgrade)`: WebSockets. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
  /** The handler in fetch style; SSE and NDJSON streams, publishing and history, but no WebSockets. */
  readonly fetch: (request: Request) => Promise<Response>
  /** @internal For the server's front door, which answers without `node:http`. */
  readonly doors: Doors

  /** `shares` is given by the server that it is a part of. */
  constructor(options: HubOptions<Of>, shares?: Shares) {
    const { limits = {}, lag, onError, schemas } = options
    super({
      engine: options.engine ?? new MemoryEngine({ limits }),
      clock: options.clock ?? systemClock,
      limits,
      ...(lag === undefined ? {} : { lag }),
      ...(schemas === undefined ? {} : { schemas }),
      ...(onError === undefined ? {} : { onError }),
    })
    const { basePath = '', onMessage } = options
    if (basePath !== '' && !/^(\/[^/?#]+)+$/.test(basePath))
      throw new RangeError(`basePath must look like /api, not ${basePath}`)
    const formats = new StreamFormats(options.heartbeatText ?? '')
    const connections = new Connections(this, shares?.connections)
    const { cors = [], compression = false } = options
    const metrics = shares?.metrics ?? ((): string => metricsText(this))
    const rooms: Rooms = { hub: this, connections, origins: new Origins(cors), compresses: compression, metrics }
    this.doors = { rooms, formats, basePath }
    this.handler = nodeHandler(rooms, formats, basePath)
    this.upgrade = upgradeHandler(
      rooms,
      new WebSockets({ hub: this, connections, onMessage, compresses: compression }),
      basePath,
      onMessage === undefined,
    )
    this.fetch = fetchHandler(rooms, formats, basePath)
  }
}

/** Makes a hub. It is usable at once; `await hub.ready` tells whether the engine could be opened. */
export function createHub<const Of extends Schemas = NoSchemas>(options: HubOptions<Of> = {}): MountedHub<Of> {
  return new MountedHub(options)
}
