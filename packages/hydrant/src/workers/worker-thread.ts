// A worker: a whole server in a thread of its own, over the main thread's log. This file is what the thread runs.

import { parentPort, type MessagePort } from 'node:worker_threads'
import { oneLine } from '../server/lifetime.ts'
import { Server } from '../server/server.ts'
import { StartError } from '../server/start-error.ts'
import { InvariantError } from '../hub/errors.ts'
import { figuresOf } from '../metrics/figures.ts'
import { SharedCount } from './shared-count.ts'
import { Control, type FromWorker, type ToWorker, type WorkerStart } from './messages.ts'
import { WorkerEngine } from './worker-engine.ts'

/** How often it shows that its event loop turns. */
const BEAT_MS = 200
/** How often the main thread is told of what was counted: more than that is not lost with a thread that dies. */
const REPORT_MS = 250

/** See the head of the file. */
class WorkerThread {
  readonly #port: MessagePort
  readonly #metrics = new Map<number, (text: string) => void>()
  #lastId = 0
  #server: Server | undefined

  constructor(port: MessagePort) {
    this.#port = port
    port.on('message', (message: ToWorker) => this.#hear(message))
    process.on('uncaughtException', (error) => this.#die(error))
    this.#say({ kind: 'booted' })
  }

  #hear(message: ToWorker): void {
    switch (message.kind) {
      case 'start':
        return void this.#start(message)
      case 'report':
        return this.#report()
      case 'metrics':
        this.#metrics.get(message.id)?.(message.text)
        this.#metrics.delete(message.id)
        return
      case 'close':
        return void this.#close()
    }
  }

  async #start({ configuration, engine: port, capabilities, ...start }: WorkerStart): Promise<void> {
    const control = new Int32Array(start.control)
    setInterval(() => Atomics.add(control, Control.beats, 1), BEAT_MS)
    setInterval(() => this.#report(), REPORT_MS)
    const { limits } = configuration
    try {
      this.#server = await Server.open(configuration, {
        onError: (error) => this.#complain(error),
        engine: new WorkerEngine({ port, control, capabilities, limits }),
        team: {
          connections: new SharedCount(start.connections, start.place),
          metrics: () => this.#allMetrics(),
          samples: { wanted: () => this.#say({ kind: 'wanted' }), close: () => {} },
        },
      })
      this.#say({ kind: 'listening', port: this.#server.port })
    } catch (error) {
      this.#say({ kind: 'failed', message: error instanceof StartError ? error.message : oneLine(error) })
    }
  }

  /** The main thread asks all, and adds up. */
  #allMetrics(): Promise<string> {
    this.#lastId += 1
    const { promise, resolve } = Promise.withResolvers<string>()
    this.#metrics.set(this.#lastId, resolve)
    this.#say({ kind: 'metrics', id: this.#lastId })
    return promise
  }

  #report(): void {
    if (this.#server !== undefined) this.#say({ kind: 'report', figures: figuresOf(this.#server.hub) })
  }

  async #close(): Promise<void> {
    try {
      await this.#server?.close()
    } catch (error) {
      this.#complain(error)
    }
    this.#report()
    this.#say({ kind: 'closed' })
  }

  /** A request that failed for a reason of ours stops nothing; a broken invariant stops the thread. */
  #complain(error: unknown): void {
    if (error instanceof InvariantError) this.#die(error)
    this.#say({ kind: 'complaint', line: `an error of its own: ${oneLine(error)}` })
  }

  #die(error: unknown): never {
    this.#report()
    this.#say({ kind: 'died', why: oneLine(error) })
    process.exit(1) // of a thread: it alone ends
  }

  #say(message: FromWorker): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
    this.#port.postMessage(message)
  }
}

if (parentPort !== null) void new WorkerThread(parentPort)
