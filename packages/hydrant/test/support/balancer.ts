// What stands before several nodes: each connection goes to the next of them, so that whoever comes back comes to
// another node.

import { connect, createServer, type Server, type Socket } from 'node:net'
import { closeServerOf, listen, portOf } from './test-server.ts'

/** Where a node listens. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** See the head of the file. */
export class Balancer implements AsyncDisposable {
  readonly #server: Server
  readonly #targets: Target[] = []
  readonly #sockets = new Set<Socket>()
  #connections = 0

  private constructor() {
    this.#server = createServer((client) => this.#take(client))
  }

  /** Starts one on a free port of 127.0.0.1. */
  static async start(targets: readonly Target[]): Promise<Balancer> {
    const balancer = new Balancer()
    balancer.#targets.push(...targets)
    await listen(balancer.#server)
    return balancer
  }

  /** Where clients come to. */
  get url(): string {
    return `http://127.0.0.1:${portOf(this.#server)}`
  }

  /** One node more. */
  add(target: Target): void {
    this.#targets.push(target)
  }

  /** One less; the connections that it has stay. */
  remove(target: Target): void {
    this.#targets.splice(this.#targets.indexOf(target), 1)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await closeServerOf(this.#server)
  }

  #take(client: Socket): void {
    this.#connections += 1
    const target = this.#targets[this.#connections % this.#targets.length]
    if (target === undefined) {
      client.destroy()
      return
    }
    const node = connect(target)
    const hangUp = (): void => {
      node.destroySoon() // what one side has said still comes to the other
      client.destroySoon()
    }
    for (const socket of [client, node]) {
      this.#sockets.add(socket)
      socket.on('error', hangUp)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        hangUp()
      })
    }
    client.pipe(node).pipe(client)
  }
}
