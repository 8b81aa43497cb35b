// Engines as workers have them, over channels to one engine: what the main thread and its workers do, in one thread.

import { MessageChannel } from 'node:worker_threads'
import type { Engine, EngineCapabilities } from '../../src/engine/engine.ts'
import { resolveLimits, type Limits } from '../../src/hub/limits.ts'
import { EngineHost, type EngineHostOptions } from '../../src/workers/engine-host.ts'
import { CONTROL_BYTES } from '../../src/workers/messages.ts'
import { WorkerEngine } from '../../src/workers/worker-engine.ts'

/** See the head of the file. */
export class WorkerEngines {
  readonly host: EngineHost
  readonly #errors: unknown[] = []
  readonly #open = new Set<Engine>()
  #isOpened: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(engine: Engine, options: Partial<EngineHostOptions> = {}) {
    this.host = new EngineHost(engine, { onError: (error) => this.#errors.push(error), ...options })
  }

  /** What the engine failed with. */
  get errors(): readonly unknown[] {
    return this.#errors
  }

  /** One more; when the last is closed, so is the engine behind. */
  async join(limits: Partial<Limits> = {}): Promise<WorkerEngine> {
    this.#isOpened ??= this.host.open()
    await this.#isOpened
    const { port1, port2 } = new MessageChannel()
    const control = new Int32Array(new SharedArrayBuffer(CONTROL_BYTES))
    this.host.connect(port1, control)
    const { capabilities } = this.host.engine
    const engine = new ClosingEngine({ port: port2, control, capabilities, limits: resolveLimits(limits) }, () =>
      this.#left(engine),
    )
    this.#open.add(engine)
    return engine
  }

  async #left(engine: Engine): Promise<void> {
    this.#open.delete(engine)
    if (this.#open.size > 0) return
    this.#closing ??= this.host.close()
    await this.#closing
  }
}

/** What workers' engines over an engine with these capabilities claim. */
export function claimed(capabilities: EngineCapabilities): EngineCapabilities {
  return { ...capabilities, shared: true }
}

class ClosingEngine extends WorkerEngine {
  readonly #onClosed: () => Promise<void>

  constructor(parts: ConstructorParameters<typeof WorkerEngine>[0], onClosed: () => Promise<void>) {
    super(parts)
    this.#onClosed = onClosed
  }

  override async close(): Promise<void> {
    await super.close()
    await this.#onClosed()
  }
}
