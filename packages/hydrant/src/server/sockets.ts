// Every open socket of the server, and what it is in the middle of.
//
// `server.close()` waits for all of them and tells nobody: a stream never ends by itself, a stalled client never reads
// its end, a silent socket never speaks. Only who knows each socket can end each in the way that is right for it.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { mediaOf } from '../http/media.ts'
import { isNdjson } from '../http/publish.ts'
import { isOverdue, type Patience, type Phase } from './patience.ts'

/** What a socket is in the middle of while `node:http` has no request of it; `open` is in the front door's hands. */
export type Mark = 'silent' | 'kept' | 'idle' | 'open'

/** What is known of a socket; one object for each, so it is small. */
interface Entry {
  response: ServerResponse | undefined
  mark: Mark
  isUpgraded: boolean
  phase: Phase
  phaseMs: number
  movedMs: number
  /** Bytes in the direction that the phase watches, at the last look. */
  position: number
}

/** The registry. Time comes in as milliseconds that only grow; whole ones are kept, for V8 boxes any other number. */
export class Sockets {
  readonly #entries = new Map<Socket, Entry>()
  readonly #patience: Patience
  /** One function for all sockets, so that none has a closure of its own. */
  readonly #onClose: (this: Socket) => void
  #isFinishing = false
  #onEmpty: (() => void) | undefined

  constructor(patience: Patience) {
    this.#patience = patience
    const forget = (socket: Socket): void => this.#forget(socket)
    this.#onClose = function onClose(this: Socket) {
      forget(this)
    }
  }

  /** Takes a socket in, until it is closed. */
  add(socket: Socket, timeMs: number): void {
    const nowMs = Math.trunc(timeMs)
    const entry: Entry = {
      response: undefined,
      mark: 'silent',
      isUpgraded: false,
      phase: 'silent',
      phaseMs: nowMs,
      movedMs: nowMs,
      position: 0,
    }
    this.#entries.set(socket, entry)
    socket.on('close', this.#onClose)
  }

  /** What a socket is in the middle of from now on, until a request begins on it. */
  mark(socket: Socket, mark: Mark): void {
    const entry = this.#entries.get(socket)
    if (entry !== undefined) entry.mark = mark
  }

  /** A request has begun on a socket, at `node:http`; earlier ones on it are answered before it. */
  begin(socket: Socket, response: ServerResponse): void {
    const entry = this.#entries.get(socket)
    if (entry === undefined) return
    entry.response = response
    if (this.#isFinishing) finish(socket, entry)
  }

  /** A socket has become a WebSocket, or was asked to. */
  upgrade(socket: Socket): void {
    const entry = this.#entries.get(socket)
    if (entry !== undefined) entry.isUpgraded = true
  }

  /** Whether a stream or another answer has begun on a socket, so that nothing else can be said on it. */
  isAnswering(socket: Socket): boolean {
    const response = this.#entries.get(socket)?.response
    return response !== undefined && response.headersSent && !response.writableFinished
  }

  /** Whether a socket was answered and waits: who hears no more from it owes it no word. */
  isKept(socket: Socket): boolean {
    const entry = this.#entries.get(socket)
    return entry !== undefined && entry.response === undefined && entry.mark === 'kept'
  }

  /** The sockets that have used up their time. */
  overdue(timeMs: number): readonly Socket[] {
    const nowMs = Math.trunc(timeMs)
    const overdue: Socket[] = []
    for (const [socket, entry] of this.#entries) {
      look(socket, entry, nowMs)
      const standing = { phase: entry.phase, ageMs: nowMs - entry.phaseMs, quietMs: nowMs - entry.movedMs }
      if (isOverdue(standing, this.#patience)) overdue.push(socket)
    }
    return overdue
  }

  /**
   * Ends every socket as soon as it has said what it has to say: at once where nothing is under way, after the answer
   * where one is. WebSockets are left to their closing handshake. Resolves when none is left.
   */
  async finish(): Promise<void> {
    this.#isFinishing = true
    for (const [socket, entry] of this.#entries) finish(socket, entry)
    if (this.#entries.size > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve))
  }

  /** Requests whose bodies still come: they can only be refused, when the log takes nothing any more. */
  unfinishedRequests(): readonly ServerResponse[] {
    const unfinished: ServerResponse[] = []
    for (const { response } of this.#entries.values()) {
      if (response !== undefined && !response.req.complete && !response.headersSent) unfinished.push(response)
    }
    return unfinished
  }

  /** Ends all that are left. */
  destroy(): void {
    for (const socket of this.#entries.keys()) socket.destroy()
  }

  /** Whether what is answered now is the last on its connection. */
  get isFinishing(): boolean {
    return this.#isFinishing
  }

  /** How many are open. */
  get size(): number {
    return this.#entries.size
  }

  #forget(socket: Socket): void {
    this.#entries.delete(socket)
    if (this.#entries.size === 0) this.#onEmpty?.()
  }
}

function finish(socket: Socket, entry: Entry): void {
  const { response, mark, isUpgraded } = entry
  if (isUpgraded || mark === 'open') return // who has it in hand ends it
  if (response === undefined || response.writableFinished) return socket.destroySoon()
  if (!response.headersSent) response.setHeader('connection', 'close')
  response.once('finish', () => socket.destroySoon())
}

/** Notes what moved since the last look. */
function look(socket: Socket, entry: Entry, nowMs: number): void {
  const phase = phaseOf(socket, entry)
  const position = phase === 'ended' ? socket.writableLength : socket.bytesRead
  if (phase !== entry.phase) entry.phaseMs = nowMs
  if (phase !== entry.phase || position !== entry.position) entry.movedMs = nowMs
  entry.phase = phase
  entry.position = position
}

function phaseOf(socket: Socket, { response, mark, isUpgraded }: Entry): Phase {
  if (isUpgraded || socket.writableEnded) return socket.writableEnded ? 'ended' : 'open'
  if (response === undefined) return mark
  if (!response.req.complete) return phaseOfBody(response.req, response)
  if (response.writableFinished) return 'idle'
  return response.writableEnded ? 'ended' : 'open'
}

/** A body that goes on after its answer is nobody's stream any more. */
function phaseOfBody(request: IncomingMessage, response: ServerResponse): Phase {
  if (response.writableEnded) return 'body'
  if (response.headersSent) return 'open'
  return isNdjson(mediaOf(request.headers['content-type'])) ? 'publish-stream' : 'body'
}
