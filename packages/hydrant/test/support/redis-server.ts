// A real Redis server on a free port, to be killed, started again, paused and asked.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@redis/client'

/** How it is run. */
export interface RedisServerOptions {
  /** Whether it writes what it is told to disk before it answers. Default: nothing is written. */
  readonly isPersistent?: boolean
  /** More of its command line. */
  readonly args?: readonly string[]
  /** Listens with TLS too, by these. */
  readonly tlsArgs?: readonly string[]
  /** Lines of a configuration file, for what cannot be said on the command line; sentinels write into it. */
  readonly config?: readonly string[]
}

/** None outlives the process that started it, whatever becomes of that. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

const STARTS_MAX = 5
const WAIT_MS = 10_000

/** See the head of the file. */
export class RedisServer implements AsyncDisposable {
  readonly port: number
  /** Where it listens with TLS. */
  readonly tlsPort: number
  readonly #folder: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined

  private constructor(port: number, tlsPort: number, folder: string, options: RedisServerOptions) {
    const { isPersistent = false, args = [], tlsArgs, config } = options
    this.port = port
    this.tlsPort = tlsPort
    this.#folder = folder
    if (config !== undefined) {
      const file = join(folder, 'redis.conf')
      writeFileSync(file, [`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, ...config, ''].join('\n'))
      this.#args = [file, ...args]
      return
    }
    const persistence = isPersistent ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no']
    this.#args = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      folder,
      '--save',
      '',
      ...persistence,
      ...args,
      ...(tlsArgs === undefined ? [] : ['--tls-port', String(tlsPort), ...tlsArgs]),
    ]
  }

  /** Starts one. */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const folder = mkdtempSync(join(tmpdir(), 'hydrant-redis-'))
    for (let start = 1; ; start += 1) {
      const server = new RedisServer(await freePort(), await freePort(), folder, options)
      try {
        await server.restart()
        return server
      } catch (error) {
        if (start === STARTS_MAX) throw error
      }
    }
  }

  /** Its address, with settings of the log. */
  url(search = ''): string {
    return `redis://127.0.0.1:${this.port}${search}`
  }

  /** Starts it again; resolves when it answers. */
  async restart(): Promise<void> {
    const child = spawn('redis-server', [...this.#args], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child = child
    running.add(child)
    child.once('exit', () => running.delete(child))
    child.stdout.resume()
    const endMs = performance.now() + WAIT_MS
    while (child.exitCode === null && child.signalCode === null) {
      if (await isAnswering(this.port)) return
      if (performance.now() > endMs) break
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    child.kill('SIGKILL')
    throw new Error(`redis-server does not answer on port ${this.port}`)
  }

  /** Ends it at once; resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined) return
    const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
    child.kill('SIGKILL')
    await gone
  }

  /** Stops it in the middle of what it does; connections stay open, and nothing answers. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  /** Lets it go on. */
  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Sends commands, on a connection of their own. */
  async ask(...commands: readonly (readonly string[])[]): Promise<readonly unknown[]> {
    const client = createClient({ RESP: 2, socket: { host: '127.0.0.1', port: this.port, reconnectStrategy: false } })
    client.on('error', () => {}) // the commands tell
    await client.connect()
    try {
      return await Promise.all(commands.map(async (command) => client.sendCommand([...command])))
    } finally {
      client.destroy()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/**
 * Below the ports that connections are given, which could take it while the server is down; and so far below that a
 * server of a cluster can listen 10,000 ports higher too.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 10_000)
    const server = createServer()
    const isFree = await once(server.listen(port, '127.0.0.1'), 'listening').then(
      () => true,
      () => false,
    )
    await new Promise((resolve) => void server.close(resolve))
    if (isFree) return port
  }
}

/** Whether it takes commands: not while it loads what it has on disk. */
async function isAnswering(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('connect', () => void socket.write('PING\r\n'))
    socket.on('data', (data) => {
      socket.destroy()
      resolve(data.toString().startsWith('+PONG'))
    })
    socket.on('error', () => resolve(false))
  })
}
