// The server: a hub behind `node:http`, with the console page beside it.
//
// Locked by test/server/server.test.ts and test/cli/shutdown.test.ts.

import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http'
import { Server as NetServer, Socket, type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { createConsole, type Samples } from '../console/console.ts'
import { MountedHub, type Shares } from '../create-hub.ts'
import type { Engine } from '../engine/engine.ts'
import { count } from '../hub/counters.ts'
import { HydrantError } from '../hub/errors.ts'
import { problemReply } from '../http/exchange.ts'
import type { Configuration } from './configuration.ts'
import { engineOf, folderOf } from './engine.ts'
import { openFrontDoor } from './front-door.ts'
import { PATIENCE, type Patience } from './patience.ts'
import { refusalOf, refusalText } from './refusal.ts'
import { Sockets } from './sockets.ts'
import { logErrorOf, startErrorOf } from './start-error.ts'

/** Bounds of `node:http`, and of what goes on below it. */
export interface Timing extends Patience {
  /** How often sockets are looked at. */
  readonly sweepMs: number
  /** How long requests whose bodies still come may go on when the server closes. */
  readonly graceMs: number
}

/** The defaults. */
export const TIMING: Timing = { ...PATIENCE, sweepMs: 1_000, graceMs: 1_000 }

/** Heads beyond it are refused: cookies of a whole company fit into it. */
const HEAD_BYTES_MAX = 16_384
/** After so long without a byte the kernel asks whether the other side still lives. */
const KEEP_ALIVE_PROBE_MS = 30_000
/** Connections that no stream needs: health checks, publishers, those that are just coming. */
const SPARE_CONNECTIONS = 1_000
/** A crowd that comes back after a restart stands in this queue, as far as the kernel allows it. */
const BACKLOG = 4_096

/** How a server is opened. */
export interface ServerOptions {
  /** Hears of errors that a request could not be told of. */
  readonly onError: (error: unknown) => void
  /** Hears of what is no error of the server, but of what it stands on: a log out of reach. Default: `onError`. */
  readonly onWarning?: (warning: Error) => void
  readonly timing?: Partial<Timing>
  /** Default: the one that the configuration names. */
  readonly engine?: Engine
  /** Set when it is one of several that share a port and a log. */
  readonly team?: Team
}

/** The server's part among several threads of one process. */
export interface Team extends Shares {
  /** Makes the console's samples, of all of them. */
  readonly samples: Samples
}

/** A server that listens. */
export class Server {
  readonly hub: MountedHub
  readonly #http: HttpServer
  readonly #sockets: Sockets
  readonly #console: { close(): void } | undefined
  readonly #timing: Timing
  readonly #configuration: Configuration
  /** Where the log is on disk. */
  readonly #folder: string | undefined
  readonly #isInTeam: boolean
  #sweeper: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  /** Opens the log and listens. Rejects with a StartError when it cannot. */
  static async open(configuration: Configuration, options: ServerOptions): Promise<Server> {
    const { onError, onWarning = onError } = options
    const server = new Server(configuration, options, options.engine ?? (await engineOf(configuration, onWarning)))
    try {
      await server.#listen(onError)
      return server
    } catch (error) {
      await server.close().catch(() => {}) // why it did not open says more
      throw error
    }
  }

  private constructor(configuration: Configuration, options: ServerOptions, engine: Engine) {
    const timing = { ...TIMING, ...options.timing }
    const { limits, cors, lag, basePath, heartbeatText, compression } = configuration
    const { onError } = options
    const { team } = options
    const hub = new MountedHub({ limits, cors, lag, basePath, heartbeatText, compression, onError, engine }, team)
    const console = configuration.console ? createConsole(hub, basePath, team?.samples) : undefined
    const sockets = new Sockets(timing)
    this.#configuration = configuration
    this.#isInTeam = team !== undefined
    this.#folder = options.engine === undefined ? folderOf(configuration.engine) : undefined
    this.#timing = timing
    this.#sockets = sockets
    this.#console = console
    this.hub = hub
    this.#http = createServer(
      {
        headersTimeout: timing.headMs,
        requestTimeout: 0, // patience.ts says why
        keepAliveTimeout: timing.keepAliveMs,
        connectionsCheckingInterval: timing.sweepMs,
        maxHeaderSize: HEAD_BYTES_MAX,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
        // curl --http2 and others offer h2c with every request; who cannot speak it answers as HTTP/1.1.
        shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
      },
      (request: IncomingMessage, response: ServerResponse) => {
        sockets.begin(request.socket, response)
        if (console?.handle(request, response) !== true) hub.handler(request, response)
      },
    )
    this.#http.maxConnections = limits.connectionsMax + SPARE_CONNECTIONS
    openFrontDoor(this.#http, { ...hub.doors, sockets })
    this.#http.on('drop', () => count(hub.counters.refused, 'too-many-connections'))
    this.#http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      sockets.upgrade(request.socket)
      hub.upgrade(request, socket, head)
    })
    this.#http.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => this.#refuse(error, socket))
  }

  /** Where it is reached: `http://127.0.0.1:3000`. */
  get origin(): string {
    return originOf(this.#configuration.host, this.port)
  }

  /** Where its events are, without `/events`: the origin and the base path. */
  get url(): string {
    return `${this.origin}${this.#configuration.basePath}`
  }

  /** The port that it listens on, also when any would do. */
  get port(): number {
    const address: AddressInfo | string | null = this.#http.address()
    return address === null || typeof address === 'string' ? this.#configuration.port : address.port
  }

  /** How many sockets are open. */
  get sockets(): number {
    return this.#sockets.size
  }

  /**
   * Ends everything: fails readiness, stops listening, says farewell to streams, answers what was asked. Resolves
   * when all is ended, and always within `closeMs`, whatever clients do. Rejects when the log could not be closed.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #listen(onError: (error: unknown) => void): Promise<void> {
    const { host, port } = this.#configuration
    try {
      await this.hub.ready
    } catch (error) {
      throw logErrorOf(error, this.#folder)
    }
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', (error: NodeJS.ErrnoException) => reject(startErrorOf(error, host, port)))
      this.#http.listen({ host, port, backlog: BACKLOG, reusePort: this.#isInTeam }, resolve)
    })
    this.#http.removeAllListeners('error').on('error', onError) // a connection that cannot be accepted stops no other
    this.#sweeper = setInterval(() => this.#sweep(), this.#timing.sweepMs).unref()
  }

  async #close(): Promise<void> {
    const { closeMs } = this.#configuration.limits
    // Not node:http's own close, which cuts sockets whose answers have been given and are still being taken.
    NetServer.prototype.close.call(this.#http)
    const hubClosed = this.hub.close()
    this.#console?.close()
    const finished = this.#sockets.finish()
    const grace = setTimeout(() => this.#refuseUnfinished(), Math.min(this.#timing.graceMs, closeMs / 2))
    let deadline: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => (deadline = setTimeout(resolve, closeMs - marginMs(closeMs))))
    try {
      await Promise.race([Promise.all([hubClosed, finished]), late])
    } finally {
      clearTimeout(grace)
      clearTimeout(deadline)
      clearInterval(this.#sweeper)
      this.#sockets.destroy()
      this.#http.close() // now nothing is left to cut, but its timer
    }
  }

  #sweep(): void {
    for (const socket of this.#sockets.overdue(performance.now())) {
      if (this.#sockets.isKept(socket)) {
        socket.destroy()
        continue
      }
      const code = this.#sockets.isAnswering(socket) ? 'answer-not-taken' : 'request-timeout'
      if (socket.writable) count(this.hub.counters.refused, code)
      this.#say(socket, refusalText('request-timeout'))
    }
  }

  /** What a client sends that is no HTTP costs it its connection, and us a counter. */
  #refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return void socket.destroy()
    const code = refusalOf(error)
    count(this.hub.counters.refused, code)
    this.#say(socket, refusalText(code))
  }

  /** Last words, unless they would stand in the middle of an answer. Who does not take them is overdue soon. */
  #say(socket: Duplex, words: string): void {
    const canSay = socket.writable && socket instanceof Socket && !this.#sockets.isAnswering(socket)
    if (canSay) socket.end(words)
    else socket.destroy()
  }

  #refuseUnfinished(): void {
    const { status, headers, body } = problemReply(new HydrantError('shutting-down', 'The server is shutting down.'))
    for (const response of this.#sockets.unfinishedRequests()) {
      response.writeHead(status, { ...headers, connection: 'close' })
      response.end(body)
    }
  }
}

/** So that the process has ended when `closeMs` is over, and not just begun to. */
export function marginMs(closeMs: number): number {
  return Math.min(500, closeMs / 5)
}

/** Where a server is reached that listens on this address. */
export function originOf(host: string, port: number): string {
  return `http://${hostOfUrl(host)}:${port}`
}

function hostOfUrl(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}
