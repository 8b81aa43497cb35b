// A thread of the file engine: the writer, or the reader. It does what it is asked, one thing after the other.

import { mkdirSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { parentPort, type MessagePort } from 'node:worker_threads'
import type { Epoch } from '../hub/epochs.ts'
import { InvariantError } from '../hub/errors.ts'
import { failureOf, unavailable } from './file-errors.ts'
import { FileHistory } from './file-history.ts'
import { lockFolder } from './file-lock.ts'
import {
  packCommitted,
  type Committed,
  type EventGroup,
  type Opened,
  type PackedCommitted,
  type Reopened,
  type ThreadAnswer,
  type ThreadAsk,
  type ThreadCall,
  type ThreadCalls,
  type ThreadData,
} from './file-messages.ts'
import { FileStore } from './file-store.ts'

type Answer = ThreadCalls[ThreadCall]['answer']

/** A write that failed, and what the caller must know beside that. */
class WriteError extends Error {
  readonly reopened: Reopened | undefined
  readonly isInDoubt: boolean

  constructor(cause: unknown, reopened: Reopened | undefined, isInDoubt: boolean) {
    super('the write failed', { cause })
    this.reopened = reopened
    this.isInDoubt = isInDoubt
  }
}

/** Writes: holds the folder's lock, and the one connection that appends. */
class Writer {
  readonly #data: ThreadData
  #epoch: Epoch | undefined
  #lock: DatabaseSync | undefined
  #store: FileStore | undefined
  /** A transaction whose commit failed, and that may be on disk. */
  #doubtful: Committed | undefined

  constructor(data: ThreadData) {
    this.#data = data
  }

  answer(ask: ThreadAsk): Answer {
    if (ask.call === 'open') return this.#open(ask.nowMs)
    if (ask.call === 'append') return this.#append(ask.group)
    if (ask.call === 'trim') return this.#write(ask.nowMs, (store) => store.trim(ask.nowMs))
    if (ask.call === 'close') return this.#close()
    throw new InvariantError(`the writer was asked to ${ask.call}`)
  }

  #append(group: EventGroup): PackedCommitted {
    const beginMs = performance.now()
    const committed = this.#write(group.timeMs, (store) => store.append(group))
    return packCommitted(committed, performance.now() - beginMs)
  }

  #open(nowMs: number): Opened {
    mkdirSync(this.#data.folder, { recursive: true })
    this.#lock = lockFolder(this.#data.folder)
    return this.#openStore(nowMs).opened
  }

  #openStore(nowMs: number): FileStore {
    const { folder, limits, retention } = this.#data
    this.#store = new FileStore({ folder, limits, retention, nowMs, epoch: this.#epoch })
    this.#epoch = this.#store.epoch
    return this.#store
  }

  #write(nowMs: number, work: (store: FileStore) => Committed): Committed {
    const reopened = this.#store === undefined ? this.#reopen(nowMs) : undefined
    const store = this.#store
    if (store === undefined) throw new InvariantError('the log was asked to write before it was opened')
    try {
      return { ...work(store), reopened }
    } catch (error) {
      if (error instanceof InvariantError) throw error
      if (failureOf(error) !== 'full') return this.#recover(store, error, reopened, nowMs)
      store.relieve(nowMs)
      throw new WriteError(error, reopened, false)
    }
  }

  /**
   * Nobody knows what a failed connection holds. Opening anew reads what is on disk, and writes it there again: after a
   * failed sync the system may say that all is well. What was committed after all is answered as such.
   */
  #recover(store: FileStore, error: unknown, before: Reopened | undefined, nowMs: number): Committed {
    const { uncertain, state } = store
    this.#store = undefined
    // A trim that went through after all has no events that anybody must be told of.
    this.#doubtful = uncertain !== undefined && uncertain.head > state.head ? uncertain : undefined
    try {
      store.close()
    } catch {
      // It is given up in any case.
    }
    let reopened: Reopened
    try {
      reopened = this.#reopen(nowMs)
    } catch {
      throw new WriteError(error, before, this.#doubtful !== undefined) // the first error says more
    }
    const both = { epochs: [...(before?.epochs ?? []), ...reopened.epochs], found: before?.found }
    if (reopened.found === undefined) throw new WriteError(error, both, false)
    return { ...reopened.found, reopened: both }
  }

  #reopen(nowMs: number): Reopened {
    const before = this.#epoch
    const { epoch, state } = this.#openStore(nowMs)
    const found = this.#doubtful?.head === state.head ? this.#doubtful : undefined
    this.#doubtful = undefined
    return { epochs: epoch.name === before?.name ? [] : [epoch], found }
  }

  #close(): undefined {
    this.#store?.close()
    this.#lock?.close()
    return undefined
  }
}

/** Reads, on a connection of its own. */
class Reader {
  readonly #history: FileHistory

  constructor({ folder, limits, told }: ThreadData) {
    this.#history = new FileHistory(folder, limits, told)
  }

  answer(ask: ThreadAsk): Answer {
    if (ask.call === 'read') return this.#history.read(ask.request)
    if (ask.call === 'state') return this.#history.state(ask.request)
    if (ask.call === 'seek') return this.#history.seek(ask.seek, ask.selection)
    if (ask.call === 'close') return this.#close()
    throw new InvariantError(`the reader was asked to ${ask.call}`)
  }

  #close(): undefined {
    this.#history.close()
    return undefined
  }
}

/** Answers one question; every error is an answer, but for those that say that our own state is broken. */
function answerOf(thread: Writer | Reader, ask: ThreadAsk, folder: string): ThreadAnswer {
  try {
    return { id: ask.id, value: thread.answer(ask) }
  } catch (error) {
    if (error instanceof InvariantError) throw error
    const failed = error instanceof WriteError ? error : new WriteError(error, undefined, false)
    const { code, message } = unavailable(failed.cause, folder)
    return { id: ask.id, error: { code, message, reopened: failed.reopened, isInDoubt: failed.isInDoubt } }
  }
}

function run(port: MessagePort, data: ThreadData): void {
  const thread = data.role === 'writer' ? new Writer(data) : new Reader(data)
  port.on('message', (ask: ThreadAsk) => {
    port.postMessage(answerOf(thread, ask, data.folder))
    if (ask.call === 'close') port.close()
  })
}

// The first message says of which log to take care.
const port = parentPort
port?.once('message', (data: ThreadData) => run(port, data))
