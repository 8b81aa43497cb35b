// The engine as a worker has it: the main thread's, over a port. It decides nothing: order, ids, idempotency and
// conditions are the one engine's.
//
// What a turn of the event loop asks goes in one message. Locked by test/workers/worker-engine.test.ts.

import type { MessagePort } from 'node:worker_threads'
import type {
  Engine,
  EngineCapabilities,
  Following,
  History,
  Idempotency,
  IfLast,
  LogBounds,
  LogRange,
  ReadRequest,
  Seek,
  StateRequest,
  Tail,
  TailBreaks,
  Trouble,
} from '../engine/engine.ts'
import { addEvent, emptyColumns } from '../engine/file-messages.ts'
import { HydrantError } from '../hub/errors.ts'
import type { CheckedEvent } from '../hub/event.ts'
import type { Limits } from '../hub/limits.ts'
import type { Selection } from '../hub/selection.ts'
import { unpackEvents } from './event-codec.ts'
import {
  Control,
  type EngineAnswer,
  type EngineCall,
  type EngineCalls,
  type PackedHistory,
  type PackedSelection,
  type TellMessage,
} from './messages.ts'
import { Mirror } from './mirror.ts'

/** What one is made of. */
export interface WorkerEngineParts {
  /** Its end of the channel. */
  readonly port: MessagePort
  readonly control: Int32Array
  /** The main thread's engine's. */
  readonly capabilities: EngineCapabilities
  readonly limits: Pick<Limits, 'trimmedTopicsMax' | 'epochsMax'>
}

interface Question {
  readonly resolve: (value: EngineCalls[EngineCall]['answer']) => void
  readonly reject: (error: Error) => void
}

/** What waits for the main thread to store it. Beyond it publishers are refused. */
const APPENDED_BYTES_MAX = 67_108_864
/** What an event costs beside its data while it waits. */
const OVERHEAD_BYTES = 128
/** Questions that wait for the main thread: several for each client that comes in a crowd. */
const QUESTIONS_MAX = 1_000_000

/** See the head of the file. */
export class WorkerEngine implements Engine {
  readonly capabilities: EngineCapabilities
  readonly following: Following
  readonly #port: MessagePort
  readonly #control: Int32Array
  readonly #mirror: Mirror
  readonly #questions = new Map<number, Question>()
  readonly #followers = new Map<string, number>()
  #asks: object[] = []
  #lastId = 0
  #appendedBytes = 0
  #tail: Tail | undefined
  #breaks: TailBreaks | undefined
  #trouble: Trouble | undefined
  #closing: Promise<void> | undefined

  constructor({ port, control, capabilities, limits }: WorkerEngineParts) {
    this.capabilities = { ...capabilities, shared: true } // the other workers append to it as well
    this.#port = port
    this.#control = control
    this.#mirror = new Mirror(limits)
    this.following = {
      add: (selection) => this.#follow(selection),
      remove: (selection) => this.#leave(selection),
      from: ({ key }) => this.#mirror.from(key),
    }
    port.on('message', (message: TellMessage) => this.#hear(message))
  }

  async open(tail: Tail, breaks?: TailBreaks): Promise<LogBounds> {
    this.#tail = tail
    this.#breaks = breaks
    const { head, floor, epochs } = await this.#ask('open', {})
    this.#mirror.begin(epochs)
    this.#mirror.raise(floor)
    this.#mirror.reach([], head)
    return this.bounds()
  }

  bounds(): LogBounds {
    return this.#mirror.bounds()
  }

  endOf(topic: string): number | undefined {
    return this.#mirror.endOf(topic)
  }

  async append(batch: readonly CheckedEvent[], idempotency?: Idempotency, ifLast?: IfLast): Promise<readonly string[]> {
    const events = emptyColumns()
    let bytes = 0
    for (const event of batch) {
      addEvent(events, event)
      bytes += event.data.length + OVERHEAD_BYTES
    }
    if (this.#appendedBytes > 0 && this.#appendedBytes + bytes > APPENDED_BYTES_MAX)
      throw new HydrantError('unavailable', 'More is waiting to be stored than the log keeps up with. Try again.')
    this.#appendedBytes += bytes
    try {
      return await this.#ask('append', { events, idempotency, ifLast })
    } finally {
      this.#appendedBytes -= bytes
    }
  }

  async read({ selection, latest = false, ...request }: ReadRequest): Promise<History> {
    const packed = await this.#ask('read', { request: { ...request, latest, selection: packSelection(selection) } })
    return { ...unpackRange(packed), gap: packed.gap }
  }

  async state({ selection, ...request }: StateRequest): Promise<LogRange> {
    return unpackRange(await this.#ask('state', { request: { ...request, selection: packSelection(selection) } }))
  }

  async seek(seek: Seek, selection: Selection): Promise<number> {
    return this.#ask('seek', { seek, selection: packSelection(selection) })
  }

  async synced(): Promise<void> {
    await this.#ask('synced', {})
  }

  trouble(): Trouble | undefined {
    return this.#trouble
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#ask('close', {})
    this.#tail = this.#breaks = undefined
    for (const { reject } of this.#questions.values()) reject(closed())
    this.#questions.clear()
    this.#port.close()
  }

  async #follow(selection: Selection): Promise<void> {
    const { key } = selection
    const { from, ends } = await this.#ask('follow', { selection: packSelection(selection), key })
    this.#followers.set(key, (this.#followers.get(key) ?? 0) + 1)
    this.#mirror.follow(key, from, ends)
  }

  #leave({ key }: Selection): void {
    const followers = (this.#followers.get(key) ?? 0) - 1
    if (followers < 0) return // it was never followed
    if (followers > 0) this.#followers.set(key, followers)
    else {
      this.#followers.delete(key)
      this.#mirror.leave(key)
    }
    if (this.#closing === undefined) this.#send({ id: 0, call: 'leave', key })
  }

  /** Asks. What awaits the answer goes on before anything is heard that comes after it. */
  #ask<Call extends EngineCall>(call: Call, ask: EngineCalls[Call]['ask']): Promise<EngineCalls[Call]['answer']>
  #ask(call: EngineCall, ask: object): Promise<EngineCalls[EngineCall]['answer']> {
    if (this.#closing !== undefined && call !== 'close') return Promise.reject(closed())
    if (this.#questions.size >= QUESTIONS_MAX)
      return Promise.reject(new HydrantError('unavailable', 'More is asked of the log than it answers. Try again.'))
    const { promise, resolve, reject } = Promise.withResolvers<EngineCalls[EngineCall]['answer']>()
    this.#lastId += 1
    this.#questions.set(this.#lastId, { resolve, reject })
    this.#send({ ...ask, id: this.#lastId, call })
    return promise
  }

  #send(ask: object): void {
    this.#asks.push(ask)
    if (this.#asks.length > 1) return
    setImmediate(() => {
      const asks = this.#asks
      this.#asks = []
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
      this.#port.postMessage({ asks })
    })
  }

  #hear({ number, steps, events: packed, floor, trouble, answers }: TellMessage): void {
    const events = packed === undefined ? [] : unpackEvents(packed)
    Atomics.store(this.#control, Control.read, number)
    this.#mirror.raise(floor)
    this.#trouble = trouble
    let at = 0
    for (const step of steps) {
      if (step.kind === 'range') {
        const range = step.count === events.length ? events : events.slice(at, at + step.count)
        at += step.count
        this.#mirror.reach(range, step.to)
        this.#tail?.({ events: range, to: step.to })
      } else if (step.kind === 'skip') {
        this.#mirror.skip(step.to, step.ends)
        this.#breaks?.skip(step.to)
      } else if (step.kind === 'undo') {
        this.#mirror.undo(step.to)
        this.#breaks?.undo(step.to)
      } else this.#mirror.begin(step.epochs)
    }
    for (const answer of answers) this.#answered(answer)
  }

  #answered(answer: EngineAnswer): void {
    const question = this.#questions.get(answer.id)
    this.#questions.delete(answer.id)
    if ('value' in answer) return question?.resolve(answer.value)
    const { code, message } = answer.error
    question?.reject(code === null ? new Error(message) : new HydrantError(code, message))
  }
}

function closed(): HydrantError {
  return new HydrantError('unavailable', 'The log is not open.')
}

function packSelection({ topics, types }: Selection): PackedSelection {
  return { topics, types: types === undefined ? null : [...types] }
}

function unpackRange({ events, to }: PackedHistory): LogRange {
  return { events: unpackEvents(events), to }
}
