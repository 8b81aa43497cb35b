// The main thread's side of one worker: what it asks is asked of the engine, and the tail is brought to it.
//
// A worker that does not keep up is brought nothing for a while, and then skipped ahead, as by an engine whose tail
// broke: who wants what lies between reads it. So what waits for a worker is bounded, and it costs the others nothing.

import type { MessagePort, Transferable } from 'node:worker_threads'
import type { History, LogRange } from '../engine/engine.ts'
import { eventAt } from '../engine/file-messages.ts'
import { HydrantError, InvariantError } from '../hub/errors.ts'
import type { LogEvent } from '../hub/event.ts'
import { Selection } from '../hub/selection.ts'
import type { EngineHost } from './engine-host.ts'
import { packEvents, sizeOf, type PackedEvents } from './event-codec.ts'
import {
  Control,
  isReached,
  type AskMessage,
  type Ends,
  type EngineAnswer,
  type EngineAsk,
  type EngineCall,
  type EngineCalls,
  type PackedHistory,
  type PackedSelection,
  type TailStep,
  type TellMessage,
} from './messages.ts'
import type { SharedBuffer } from './shared-buffers.ts'

/** What one is made of. */
export interface EngineLinkParts {
  readonly port: MessagePort
  readonly control: Int32Array
  readonly behindBytesMax: number
}

/** The tail of one turn. */
export interface TailMessage {
  readonly number: number
  readonly steps: readonly TailStep[]
  readonly events: PackedEvents | undefined
  /** What the events take in the buffer. */
  readonly size: number
  readonly buffer: SharedBuffer | undefined
}

type Value = EngineCalls[EngineCall]['answer']
type Answer = { readonly id: number } & (
  | { readonly value: Value }
  /** Looked up when it is sent: the steps of the tail that are sent before it may change it. */
  | { readonly late: () => Value }
  | { readonly error: unknown }
)

/** A message that the worker has not taken in. */
interface Unread {
  readonly number: number
  readonly size: number
  readonly buffer: SharedBuffer | undefined
}

interface Follow {
  readonly selection: Selection
  followers: number
}

/** See the head of the file. */
export class EngineLink {
  readonly #host: EngineHost
  readonly #port: MessagePort
  readonly #control: Int32Array
  readonly #behindBytesMax: number
  readonly #underWay = new Set<Promise<void>>()
  readonly #follows = new Map<string, Follow>()
  #answers: Answer[] = []
  #unread: Unread[] = []
  #unreadBytes = 0
  /** It is brought nothing; `undoneTo`: what it has seen beyond is undone. */
  #held: { undoneTo: number } | undefined
  #isOpen = false
  #floor = -1
  #trouble = ''
  #isGone = false

  constructor(host: EngineHost, { port, control, behindBytesMax }: EngineLinkParts) {
    this.#host = host
    this.#port = port
    this.#control = control
    this.#behindBytesMax = behindBytesMax
    port.on('message', ({ asks }: AskMessage) => {
      for (const ask of asks) this.#take(ask)
    })
    port.on('close', () => this.drop())
  }

  /** Brings it what a turn brought; what it is behind with, and answers that wait, decide how. */
  post(tail: TailMessage): void {
    this.#settle()
    const isTold = this.#isOpen && tail.steps.length > 0 && this.#canTell(tail)
    const canRejoin = this.#unreadBytes <= this.#behindBytesMax / 2
    const mustRejoin = this.#answers.some((answer) => !('value' in answer && Array.isArray(answer.value)))
    const isRejoining = this.#held !== undefined && (canRejoin || mustRejoin)
    const { floor } = this.#host.engine.bounds()
    const trouble = this.#host.engine.trouble?.()
    const troubleText = trouble === undefined ? '' : `${trouble.sinceMs} ${trouble.reason}`
    const isChanged = floor !== this.#floor || troubleText !== this.#trouble
    if (!isTold && !isRejoining && !isChanged && this.#answers.length === 0) return
    this.#floor = floor
    this.#trouble = troubleText
    const steps = isRejoining ? this.#rejoin() : isTold ? tail.steps.map((step) => this.#withEnds(step)) : []
    const events = isTold ? tail.events : undefined
    if (isTold) this.#remember(tail)
    const transfer: Transferable[] = []
    const answers = this.#answers.map((answer) => packAnswer(answer, transfer))
    this.#answers = []
    this.#send({ number: tail.number, steps, events, floor, trouble, answers }, transfer)
  }

  /** The worker is gone: nobody follows for it any more, and nothing is read by it. */
  drop(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#host.detach(this)
    for (const { selection } of this.#follows.values()) this.#host.engine.following?.remove(selection)
    this.#follows.clear()
    for (const one of this.#unread) this.#forget(one)
    this.#unread = []
    this.#port.close()
  }

  // ── questions ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #take(ask: EngineAsk): void {
    if (ask.call === 'leave') return this.#leave(ask.key)
    if (ask.call === 'open') return this.#open(ask.id)
    const done = this.#answer(ask)
    if (ask.call === 'close') return
    const settled: Promise<void> = done.finally(() => this.#underWay.delete(settled))
    this.#underWay.add(settled)
  }

  /** The engine is called before anything is awaited: what was asked first is appended first. */
  async #answer(ask: EngineAsk): Promise<void> {
    try {
      const answer = await this.#ask(ask)
      this.#answers.push({ id: ask.id, ...answer })
    } catch (error) {
      if (!(error instanceof HydrantError)) this.#host.onError(error)
      this.#answers.push({ id: ask.id, error })
    }
    this.#host.schedule()
  }

  async #ask(ask: EngineAsk): Promise<{ readonly value: Value } | { readonly late: () => Value }> {
    const { engine } = this.#host
    switch (ask.call) {
      case 'append': {
        const batch = ask.events.topics.map((_, at) => eventAt(ask.events, at))
        return { value: await engine.append(batch, ask.idempotency, ask.ifLast) }
      }
      case 'read': {
        const history = await engine.read({ ...ask.request, selection: unpackSelection(ask.request.selection) })
        return { value: packHistory(history, history.gap) }
      }
      case 'state': {
        const range = await engine.state({ ...ask.request, selection: unpackSelection(ask.request.selection) })
        return { value: packHistory(range, undefined) }
      }
      case 'seek':
        return { value: await engine.seek(ask.seek, unpackSelection(ask.selection)) }
      case 'synced':
        await engine.synced?.()
        return { value: undefined }
      case 'follow':
        return { late: await this.#follow(unpackSelection(ask.selection), ask.key) }
      case 'close':
        await Promise.all(this.#underWay)
        return { value: undefined }
      case 'open':
      case 'leave':
    }
    throw new InvariantError(`a worker's ${ask.call} was answered in the wrong place`)
  }

  /** At once, so that it is known before the first step of the tail. */
  #open(id: number): void {
    this.#host.flush()
    this.#isOpen = true
    const { floor, epochs } = this.#host.engine.bounds()
    const value = { head: this.#host.head, floor, epochs: [...epochs.rows] }
    const { number } = this.#host
    const trouble = this.#host.engine.trouble?.()
    this.#send({ number, steps: [], events: undefined, floor, trouble, answers: [{ id, value }] }, [])
  }

  async #follow(selection: Selection, key: string): Promise<() => Value> {
    const { following } = this.#host.engine
    await following?.add(selection)
    if (this.#isGone) {
      following?.remove(selection)
      throw new HydrantError('unavailable', 'The worker is gone.')
    }
    const known = this.#follows.get(key)
    if (known === undefined) this.#follows.set(key, { selection, followers: 1 })
    else known.followers += 1
    return () => ({ from: following?.from(selection) ?? 0, ends: this.#endsOf([selection]) })
  }

  #leave(key: string): void {
    const follow = this.#follows.get(key)
    if (follow === undefined) return
    follow.followers -= 1
    if (follow.followers === 0) this.#follows.delete(key)
    this.#host.engine.following?.remove(follow.selection)
  }

  #endsOf(selections: Iterable<Selection>): Ends {
    const ends = new Map<string, number>()
    for (const { exactTopics = [] } of selections) {
      for (const topic of exactTopics) {
        const end = this.#host.engine.endOf(topic)
        if (end !== undefined) ends.set(topic, end)
      }
    }
    return [...ends]
  }

  // ── the tail ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Whether the tail of this turn can be brought; otherwise it is held, and what of it matters later is noted. */
  #canTell({ size, steps }: TailMessage): boolean {
    if (this.#held === undefined && this.#unreadBytes > 0 && this.#unreadBytes + size > this.#behindBytesMax)
      this.#held = { undoneTo: Infinity }
    if (this.#held === undefined) return true
    for (const step of steps) if (step.kind === 'undo') this.#held.undoneTo = Math.min(this.#held.undoneTo, step.to)
    return false
  }

  /** What was not brought is undone as far as it was seen, and skipped. */
  #rejoin(): readonly TailStep[] {
    const { undoneTo = Infinity } = this.#held ?? {}
    this.#held = undefined
    const undo: readonly TailStep[] = undoneTo === Infinity ? [] : [{ kind: 'undo', to: undoneTo }]
    const { rows } = this.#host.engine.bounds().epochs
    const skip = this.#withEnds({ kind: 'skip', to: this.#host.head, ends: [] })
    return [...undo, { kind: 'epochs', epochs: [...rows] }, skip]
  }

  /** What is skipped may have ended topics. */
  #withEnds(step: TailStep): TailStep {
    if (step.kind !== 'skip') return step
    return { ...step, ends: this.#endsOf(Array.from(this.#follows.values(), ({ selection }) => selection)) }
  }

  #remember({ number, size, buffer }: TailMessage): void {
    if (buffer !== undefined) buffer.readers += 1
    this.#unread.push({ number, size, buffer })
    this.#unreadBytes += size
  }

  /** Forgets what the worker has taken in. */
  #settle(): void {
    const read = Atomics.load(this.#control, Control.read)
    let settled = 0
    for (const one of this.#unread) {
      if (!isReached(read, one.number)) break
      this.#forget(one)
      settled += 1
    }
    if (settled > 0) this.#unread.splice(0, settled)
  }

  #forget({ size, buffer }: Unread): void {
    this.#unreadBytes -= size
    if (buffer === undefined) return
    buffer.readers -= 1
    this.#host.release(buffer)
  }

  #send(message: TellMessage, transfer: Transferable[]): void {
    if (!this.#isGone) this.#port.postMessage(message, transfer)
  }
}

function unpackSelection({ topics, types }: PackedSelection): Selection {
  return Selection.of(topics, types ?? undefined, Infinity)
}

function packHistory({ events, to }: LogRange, gap: History['gap']): PackedHistory {
  return { events: packRead(events), to, gap }
}

function packRead(events: readonly LogEvent[]): PackedEvents<ArrayBuffer> {
  return packEvents(events, new ArrayBuffer(sizeOf(events)))
}

function packAnswer(answer: Answer, transfer: Transferable[]): EngineAnswer {
  const { id } = answer
  if ('error' in answer) {
    const { error } = answer
    const code = error instanceof HydrantError ? error.code : null
    return { id, error: { code, message: error instanceof Error ? error.message : String(error) } }
  }
  const value: Value = 'late' in answer ? answer.late() : answer.value
  if (value !== undefined && typeof value === 'object' && 'events' in value) transfer.push(value.events.bytes)
  return { id, value }
}
