// The server as a process on a folder of its own, to be killed, frozen and started again on the same port.

import { ServeCommand } from './command.ts'
import { until } from './until.ts'

/** How it is run. */
export interface KillableServerOptions {
  /** Where its log lives. */
  readonly folder: string
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** So that clients come back soon, and quiet connections are heard of. Flags beat them. */
const ENV = { HYDRANT_RETRY_MS: '30', HYDRANT_HEARTBEAT_MS: '500' }
/** The port is one that others may be given for a moment. */
const STARTS_MAX = 5

/** See the head of the file. */
export class KillableServer implements AsyncDisposable {
  /** How often it was killed. */
  kills = 0
  /** What it has said on stderr, over all its lives. */
  stderr = ''
  readonly port: number
  readonly #args: readonly string[]
  readonly #env: Readonly<Record<string, string>>
  #command: ServeCommand

  private constructor(command: ServeCommand, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#command = command
    this.port = command.port
    this.#args = [...args, '--port', String(this.port)]
    this.#env = env
  }

  /** Starts it on a free port. */
  static async start({ folder, flags = [], env = {} }: KillableServerOptions): Promise<KillableServer> {
    const args = ['--engine', `file:${folder}`, ...flags]
    const all = { ...ENV, ...env }
    return new KillableServer(await ServeCommand.start(args, { env: all }), args, all)
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Kills it; resolves when it is gone. */
  async kill(): Promise<void> {
    this.kills += 1
    this.#command.signal('SIGKILL')
    await this.#gone(this.#command)
  }

  /** Starts it again; resolves when it serves. */
  async restart(): Promise<void> {
    for (let start = 1; ; start += 1) {
      try {
        this.#command = await ServeCommand.start(this.#args, { env: this.#env })
        return
      } catch (error) {
        if (start === STARTS_MAX || !/in use/.test(String(error))) throw error
      }
    }
  }

  /** Starts it, and kills it after so long, wherever in its start that may be. */
  async startAndKill(afterMs: number): Promise<void> {
    const command = new ServeCommand(this.#args, { env: this.#env })
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    this.kills += 1
    command.signal('SIGKILL')
    await this.#gone(command)
  }

  /** Stops it in the middle of what it does; it lives, and does nothing. */
  freeze(): void {
    this.#command.child.kill('SIGSTOP')
  }

  /** Lets it go on. */
  thaw(): void {
    this.#command.child.kill('SIGCONT')
  }

  /** Waits for something that it says on stderr. */
  async hear(words: RegExp): Promise<void> {
    await until(
      () => words.test(this.#command.stderr),
      () => `${words} in ${this.#command.stderr}`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gone(this.#command)
  }

  async #gone(command: ServeCommand): Promise<void> {
    await command[Symbol.asyncDispose]()
    this.stderr += command.stderr
  }
}
