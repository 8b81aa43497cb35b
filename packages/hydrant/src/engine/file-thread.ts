// A thread of the file engine, as the main thread sees it: questions and answers. It keeps the process alive only while
// a question is open, and when it dies every question is answered: nobody waits for a thread that is gone.

import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { HydrantError } from '../hub/errors.ts'
import type { ThreadAnswer, ThreadCall, ThreadCalls, ThreadData, ThreadError } from './file-messages.ts'

/** Called when a thread died that was not told to. */
export type OnDeath = (error: Error) => void

/** An error that a thread answered. */
export class ThreadFailure extends HydrantError {
  /** What else the thread said of it. */
  readonly said: ThreadError

  constructor(said: ThreadError) {
    super(said.code, said.message)
    this.said = said
  }
}

interface Question {
  readonly resolve: (value: ThreadCalls[ThreadCall]['answer']) => void
  readonly reject: (error: Error) => void
}

/** See the head of the file. */
export class FileThread {
  readonly #worker: Worker
  readonly #questions = new Map<number, Question>()
  readonly #role: ThreadData['role']
  #lastId = 0
  #isClosing = false
  #death: Error | undefined

  constructor(data: ThreadData, onDeath: OnDeath) {
    this.#role = data.role
    // Sources are .ts, what is published is .js.
    const url = new URL(`./file-worker${extname(import.meta.url)}`, import.meta.url)
    this.#worker = new Worker(url, { name: `hydrant log ${data.role}` })
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
    this.#worker.postMessage(data)
    this.#worker.on('message', (answer: ThreadAnswer) => this.#take(answer))
    this.#worker.on('error', (error: unknown) => this.#die(error, onDeath))
    this.#worker.on('exit', () => this.#die(new Error('it ended'), onDeath))
    this.#worker.unref() // listening for messages holds the process, so this comes last
  }

  /** Asks; rejects with a HydrantError. */
  ask<Call extends ThreadCall>(call: Call, ask: ThreadCalls[Call]['ask']): Promise<ThreadCalls[Call]['answer']>
  ask(call: ThreadCall, ask: object): Promise<ThreadCalls[ThreadCall]['answer']> {
    if (this.#death !== undefined) return Promise.reject(this.#failure(this.#death))
    const { promise, resolve, reject } = Promise.withResolvers<ThreadCalls[ThreadCall]['answer']>()
    this.#lastId += 1
    if (this.#questions.size === 0) this.#worker.ref()
    this.#questions.set(this.#lastId, { resolve, reject })
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
    this.#worker.postMessage({ ...ask, id: this.#lastId, call })
    return promise
  }

  /** Ends the thread, after what it was asked before. */
  async close(): Promise<void> {
    this.#isClosing = true
    try {
      await this.ask('close', {})
    } finally {
      await this.#worker.terminate()
    }
  }

  #take(answer: ThreadAnswer): void {
    const question = this.#questions.get(answer.id)
    this.#questions.delete(answer.id)
    if (this.#questions.size === 0) this.#worker.unref()
    if ('error' in answer) question?.reject(new ThreadFailure(answer.error))
    else question?.resolve(answer.value)
  }

  #die(error: unknown, onDeath: OnDeath): void {
    if (this.#death !== undefined) return
    this.#death = error instanceof Error ? error : new Error(String(error))
    for (const question of this.#questions.values()) question.reject(this.#failure(this.#death))
    this.#questions.clear()
    if (!this.#isClosing) onDeath(this.#failure(this.#death))
  }

  #failure(cause: Error): HydrantError {
    const detail = `The log's ${this.#role} has stopped: ${cause.message}. Start the process again.`
    return new HydrantError('unavailable', detail, { cause })
  }
}
