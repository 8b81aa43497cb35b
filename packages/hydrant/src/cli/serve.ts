// `hydrant serve`, which is also plain `hydrant`: opens the server, says how to use it, and runs until it is stopped.

import { engineWords } from '../server/engine.ts'
import { oneLine, runUntilStopped } from '../server/lifetime.ts'
import { Server } from '../server/server.ts'
import { StartError } from '../server/start-error.ts'
import { InvariantError } from '../hub/errors.ts'
import { WorkerPool } from '../workers/worker-pool.ts'
import { UsageError, type Command } from './command.ts'
import { configurationOf, LIMIT_FLAGS, SETTING_FLAGS } from './setting-flags.ts'
import { complain } from './stderr.ts'

/** See the head of the file. */
export const serve: Command = {
  name: 'serve',
  usage: '',
  summary: 'serve events over SSE and WebSocket (also without any command)',
  details: [
    'Every setting is a flag, a variable and a key of the config file: --heartbeat-ms, HYDRANT_HEARTBEAT_MS and',
    'heartbeatMs. A flag beats a variable, a variable beats the file. hydrant config shows what comes out.',
  ].join('\n'),
  flags: [...SETTING_FLAGS, ...LIMIT_FLAGS],
  words: { min: 0, max: 0 },
  run: async (_words, flags) => {
    const { configuration } = configurationOf(flags)
    const options = { onError, onWarning }
    const isAlone = configuration.workers === 1
    const server = await open<Server | WorkerPool>(() =>
      isAlone ? Server.open(configuration, options) : WorkerPool.open(configuration, options),
    )
    process.stdout.write(greeting(server.origin, server.url, configuration.engine))
    return runUntilStopped(server, complain)
  },
}

/** What is said on start. The curl lines work as they are. */
export function greeting(origin: string, url: string, engine: string): string {
  return [
    `hydrant listens on ${origin}`,
    '',
    `  curl -N ${url}/events/news`,
    `  curl -d hello ${url}/events/news`,
    '',
    engineWords(engine),
    '',
  ].join('\n')
}

async function open<Opened>(opening: () => Promise<Opened>): Promise<Opened> {
  try {
    return await opening()
  } catch (error) {
    throw error instanceof StartError ? new UsageError(error.message, { cause: error }) : error
  }
}

/** Said in one line: a stack would lead nowhere. */
function onWarning({ message }: Error): void {
  complain(message)
}

/** A request that failed for a reason of ours stops nothing; a broken invariant stops the server. */
function onError(error: unknown): void {
  if (!(error instanceof InvariantError)) return complain(`an error of its own: ${oneLine(error)}`)
  queueMicrotask(() => {
    throw error
  })
}
