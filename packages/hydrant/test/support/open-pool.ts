// A server with workers on a free port, as the command opens it, whose workers can be ended from here.

import type { Engine } from '../../src/engine/engine.ts'
import { loadConfiguration } from '../../src/server/configuration.ts'
import { WorkerPool, type PoolTiming } from '../../src/workers/worker-pool.ts'

/** How it is opened. */
export interface OpenPoolOptions {
  /** As on the command line. */
  readonly flags?: Readonly<Record<string, string>>
  readonly timing?: Partial<PoolTiming>
  /** Default: the one that the flags name, `memory` if they do not. */
  readonly engine?: Engine
}

/** An open pool, and what it said. */
export interface OpenPool extends AsyncDisposable {
  readonly pool: WorkerPool
  readonly url: string
  /** One line each. */
  readonly warnings: readonly string[]
}

/** Opens it: `await using server = await openPool()`. Errors of its own fail the test. */
export async function openPool({ flags = {}, timing = {}, engine }: OpenPoolOptions = {}): Promise<OpenPool> {
  const given = { port: '0', workers: '2', engine: 'memory', retryMs: '20', ...flags }
  const { configuration } = loadConfiguration({ flags: new Map(Object.entries(given)) })
  const warnings: string[] = []
  const pool = await WorkerPool.open(configuration, {
    timing,
    ...(engine === undefined ? {} : { engine }),
    onWarning: ({ message }) => void warnings.push(message),
    onError: (error) => {
      throw error
    },
  })
  return { pool, url: pool.url, warnings, [Symbol.asyncDispose]: () => pool.close() }
}
