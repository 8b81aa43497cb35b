// A whole server on a free port, as the command opens it; errors of its own fail the test.

import type { Engine } from '../../src/engine/engine.ts'
import { MemoryEngine } from '../../src/engine/memory.ts'
import { loadConfiguration } from '../../src/server/configuration.ts'
import { Server, type Timing } from '../../src/server/server.ts'

/** Opens it: `await using server = await openServer()`. Flags as on the command line; sockets are looked at often. */
export async function openServer(
  flags: Readonly<Record<string, string>> = {},
  timing: Partial<Timing> = {},
  engine: Engine = new MemoryEngine(),
): Promise<Server & AsyncDisposable> {
  const { configuration } = loadConfiguration({ flags: new Map(Object.entries({ port: '0', ...flags })) })
  const onError = (error: unknown): void => {
    throw error
  }
  const server = await Server.open(configuration, { onError, engine, timing: { sweepMs: 10, ...timing } })
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.close() })
}
