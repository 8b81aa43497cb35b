// A proxy by somebody else, as a child process on a free port, with a folder of its own.

import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { canConnect, freePort } from './port.ts'

/** How long a proxy may take to start or to stop. */
const PATIENCE_MS = 10_000

/** Debian keeps servers out of the PATH of whoever is not root. */
export const SERVER_ENV: NodeJS.ProcessEnv = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` }

/** See the head of the file. */
export class ProxyProcess implements AsyncDisposable {
  readonly port: number
  readonly folder: string
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  #words = ''

  private constructor(port: number, folder: string, command: string, args: readonly string[]) {
    this.port = port
    this.folder = folder
    this.#child = spawn(command, args, { cwd: folder, env: SERVER_ENV, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout?.on('data', (bytes) => (this.#words += String(bytes)))
    this.#child.stderr?.on('data', (bytes) => (this.#words += String(bytes)))
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', resolve)
      this.#child.once('error', (error) => resolve((this.#words += error.message)))
    })
  }

  /** Writes the files into a new folder, starts the command there, and waits until its port takes connections. */
  static async start(
    files: (port: number, folder: string) => Readonly<Record<string, string>>,
    command: (folder: string) => readonly [string, ...string[]],
  ): Promise<ProxyProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'hydrant-proxy-'))
    chmodSync(folder, 0o755) // the workers of a proxy that root starts are not root
    const port = await freePort()
    for (const [name, text] of Object.entries(files(port, folder))) writeFileSync(join(folder, name), text)
    const [program, ...args] = command(folder)
    const proxy = new ProxyProcess(port, folder, program, args)
    try {
      await proxy.#listening()
      return proxy
    } catch (error) {
      await proxy[Symbol.asyncDispose]()
      throw error
    }
  }

  /** `http://127.0.0.1:<port>`. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** `ws://127.0.0.1:<port>`. */
  get wsUrl(): string {
    return `ws://127.0.0.1:${this.port}`
  }

  /** Its process id. */
  get pid(): number {
    const { pid } = this.#child
    if (pid === undefined) throw new Error(`the proxy did not start: ${this.#words}`)
    return pid
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM') // its workers end with it
    const late = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS)
    await this.#exited
    clearTimeout(late)
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #listening(): Promise<void> {
    const endMs = performance.now() + PATIENCE_MS
    while (!(await canConnect(this.port))) {
      const hasExited = this.#child.exitCode !== null || this.#child.pid === undefined
      if (hasExited || performance.now() > endMs) throw new Error(`the proxy does not listen: ${this.#words}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}
