// nats-server with JetStream, as a child process on a free port, with a folder of its own. It can be killed and started
// again, on the same port, with or without what it stored.

import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SERVER_ENV } from './proxy-process.ts'
import { canConnect, freePort } from './port.ts'

/** Debian's, and a current one where `go install` has put it into .cache. */
export const NATS_SERVERS: readonly { readonly name: string; readonly command: string }[] = [
  { name: 'Debian’s nats-server', command: 'nats-server' },
  ...[fileURLToPath(new URL('../../../../.cache/nats/nats-server', import.meta.url))]
    .filter((path) => existsSync(path))
    .map((command) => ({ name: 'a current nats-server', command })),
]

const PATIENCE_MS = 10_000

/** See the head of the file. */
export class NatsServer implements AsyncDisposable {
  readonly port: number
  readonly #command: string
  readonly #folder: string
  readonly #config: string
  #child: ChildProcess | undefined
  #exited: Promise<unknown> = Promise.resolve()
  #words = ''

  private constructor(command: string, port: number, folder: string, config: string) {
    this.#command = command
    this.port = port
    this.#folder = folder
    this.#config = config
  }

  /** Starts one. `config` is more of its configuration. */
  static async start(command: string = 'nats-server', config = ''): Promise<NatsServer> {
    const folder = mkdtempSync(join(tmpdir(), 'hydrant-nats-'))
    const server = new NatsServer(command, await freePort(), folder, config)
    try {
      await server.start()
      return server
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
  }

  /** `nats://127.0.0.1:<port>`. */
  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  /** `127.0.0.1:<port>`. */
  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Its process id. */
  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error(`nats-server does not run: ${this.#words}`)
    return pid
  }

  /** Starts it again, with what it stored. */
  async start(): Promise<void> {
    const file = join(this.#folder, 'nats.conf')
    const store = JSON.stringify(join(this.#folder, 'store'))
    writeFileSync(
      file,
      `listen: "127.0.0.1:${this.port}"\njetstream { store_dir: ${store}, max_file: 1TB }\n${this.#config}\n`,
    )
    const child = spawn(this.#command, ['-c', file], { env: SERVER_ENV, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    child.stdout.on('data', (bytes) => this.#hear(bytes))
    child.stderr.on('data', (bytes) => this.#hear(bytes))
    this.#exited = new Promise((resolve) => {
      child.once('close', resolve)
      child.once('error', (error) => resolve(this.#hear(error.message)))
    })
    await this.#ready()
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#exited
  }

  /** Stops it where it stands, all its threads; its connections stay open. */
  async freeze(): Promise<void> {
    process.kill(this.pid, 'SIGSTOP')
    const tasks = `/proc/${this.pid}/task`
    const isStopped = (task: string): boolean => / T /.test(readFileSync(join(tasks, task, 'stat'), 'utf8'))
    while (!readdirSync(tasks).every(isStopped)) await new Promise(setImmediate)
  }

  /** Lets it go on. */
  thaw(): void {
    process.kill(this.pid, 'SIGCONT')
  }

  /** Deletes what it stored. Only while it does not run. */
  deleteStore(): void {
    rmSync(join(this.#folder, 'store'), { recursive: true, force: true })
  }

  /** Where it stores. */
  get store(): string {
    return join(this.#folder, 'store')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #hear(words: unknown): void {
    this.#words = `${this.#words}${String(words)}`.slice(-10_000)
  }

  async #ready(): Promise<void> {
    this.#words = ''
    const endMs = performance.now() + PATIENCE_MS
    // It listens before JetStream has read what it stored.
    while (!this.#words.includes('Server is ready') || !(await canConnect(this.port))) {
      const hasExited = this.#child?.exitCode !== null || this.#child.pid === undefined
      if (hasExited || performance.now() > endMs) throw new Error(`nats-server does not start: ${this.#words}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}
