// A port that threads share is claimed first: `reusePort` would let a second server of the same user take half of the
// clients, and nobody would be told.
//
// Two things are asked. Does anybody listen there? A listener without `reusePort` finds out. Does another server begin
// at the same moment, or is one there whose workers are just being replaced? On Linux a name in the kernel's own
// namespace of sockets is taken, which lasts as long as the process.

import { once } from 'node:events'
import { createServer, type ListenOptions, type Server } from 'node:net'
import { isErrnoException, StartError, startErrorOf } from '../server/start-error.ts'

/** Where Node can share a port between threads. */
const PLATFORMS: readonly string[] = ['linux', 'freebsd', 'sunos', 'aix']

/** A port that is this process's. */
export class PortClaim {
  readonly #name: Server | undefined

  private constructor(name: Server | undefined) {
    this.#name = name
  }

  /** Throws a StartError where threads cannot share a port. */
  static check(platform: string = process.platform): void {
    if (PLATFORMS.includes(platform)) return
    throw new StartError('threads cannot share a port on this system: leave --workers out, or set it to 1')
  }

  /** Claims it; port 0 is anybody's. Rejects with a StartError when it is taken. */
  static async take(host: string, port: number): Promise<PortClaim> {
    if (port === 0) return new PortClaim(undefined)
    let name: Server | undefined
    try {
      if (process.platform === 'linux') name = (await listen({ path: `\0hydrant ${host} ${port}` })).unref()
      const probe = await listen({ host, port, exclusive: true })
      probe.close()
      await once(probe, 'close')
      return new PortClaim(name)
    } catch (error) {
      name?.close()
      throw isErrnoException(error) ? startErrorOf(error, host, port) : error
    }
  }

  /** Gives it up. */
  release(): void {
    this.#name?.close()
  }
}

async function listen(options: ListenOptions): Promise<Server> {
  const server = createServer((socket) => socket.destroy())
  server.listen(options)
  await once(server, 'listening')
  return server
}
