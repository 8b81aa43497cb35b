// A wire to a server that can be slow, or dead without anybody being told: connections stay open, and nothing comes.

import { connect, createServer, type Server, type Socket } from 'node:net'
import { closeServerOf, listen, portOf } from './test-server.ts'

/** See the head of the file. */
export class Wire implements AsyncDisposable {
  /** How long everything is under way, in each direction. */
  delayMs = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Connections over which nothing will ever come again. */
  readonly #dead = new Set<Socket>()
  #isCut = false

  private constructor(target: number) {
    this.#server = createServer((client) => {
      const server = connect(target, '127.0.0.1')
      this.#carry(client, server)
      this.#carry(server, client)
      if (this.#isCut) this.#dead.add(client).add(server)
    })
  }

  /** Starts one to a port of 127.0.0.1. */
  static async start(target: number): Promise<Wire> {
    const wire = new Wire(target)
    await listen(wire.#server)
    return wire
  }

  /** Where it begins, on 127.0.0.1. */
  get port(): number {
    return portOf(this.#server)
  }

  /** From here on nothing comes through, in neither direction, also on connections that are opened now. */
  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) this.#dead.add(socket)
  }

  /** New connections work; those of before are half open for ever: what is said on them goes nowhere. */
  mend(): void {
    this.#isCut = false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await closeServerOf(this.#server)
  }

  /** What was said first arrives first. */
  #carry(from: Socket, to: Socket): void {
    const underWay: { readonly dueMs: number; readonly arrive: () => void }[] = []
    const arrive = (): void => {
      for (let [next] = underWay; next !== undefined; [next] = underWay) {
        const leftMs = next.dueMs - performance.now()
        if (leftMs > 0) return void setTimeout(arrive, Math.ceil(leftMs))
        underWay.shift()
        if (!this.#dead.has(from)) next.arrive()
      }
    }
    const send = (act: () => void): void => {
      underWay.push({ dueMs: performance.now() + this.delayMs, arrive: act })
      if (underWay.length === 1) arrive()
    }
    this.#sockets.add(from)
    from.setNoDelay(true)
    from.on('data', (bytes: Buffer) => send(() => void to.write(bytes)))
    from.on('error', () => {}) // the close says it
    from.on('close', () => {
      this.#sockets.delete(from)
      send(() => to.destroySoon())
    })
  }
}
