// A server of several on one log: a process that is asked how it is, frozen, stopped and killed.

import { ask, type Said } from './ask.ts'
import type { Target } from './balancer.ts'
import { ServeCommand } from './command.ts'

/** How it is run. */
export interface ClusterNodeOptions {
  /** `redis://…` or `nats://…`, as this node reaches it. */
  readonly engine: string
  /** Where it listens. Default 127.0.0.1. */
  readonly host?: string
  /** A command that runs it, in its own place. */
  readonly through?: readonly [string, ...string[]]
}

/** So that clients come back soon, and quiet connections are heard of. */
const ENV = { HYDRANT_RETRY_MS: '30', HYDRANT_HEARTBEAT_MS: '500' }

/** See the head of the file. */
export class ClusterNode implements AsyncDisposable {
  readonly target: Target
  readonly #command: ServeCommand

  private constructor(command: ServeCommand, host: string) {
    this.#command = command
    this.target = { host, port: command.port }
  }

  /** Starts one on a free port; resolves when it serves. */
  static async start({ engine, host = '127.0.0.1', through }: ClusterNodeOptions): Promise<ClusterNode> {
    const args = ['--engine', engine, '--host', host]
    const command = await ServeCommand.start(args, { env: ENV, ...(through === undefined ? {} : { through }) })
    return new ClusterNode(command, host)
  }

  get url(): string {
    return `http://${this.target.host}:${this.target.port}`
  }

  /** What it has said on stderr, line by line. */
  get complaints(): readonly string[] {
    return this.#command.stderr.split('\n').filter((line) => line !== '')
  }

  /** How it ended; undefined while it runs. */
  get result(): number | string | undefined {
    return this.#command.result
  }

  /** What it answers to a question about its health. */
  async health(): Promise<Said> {
    return ask(this.url, 'GET', '/readyz')
  }

  /** A number that it counts, by its name without `hydrant_`; NaN when it has none of that name. */
  async metric(name: string): Promise<number> {
    const { text } = await ask(this.url, 'GET', '/metrics')
    return Number(new RegExp(`^hydrant_${name} (\\S+)`, 'm').exec(text)?.[1])
  }

  /** Stops it in the middle of what it does; it lives, and does nothing. */
  freeze(): void {
    this.#command.child.kill('SIGSTOP')
  }

  /** Lets it go on. */
  thaw(): void {
    this.#command.child.kill('SIGCONT')
  }

  /** Asks it to stop; answers how it ended. */
  async stop(): Promise<number | string> {
    this.#command.signal('SIGTERM')
    return this.#command.exit()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.thaw()
    await this.#command[Symbol.asyncDispose]()
  }
}
