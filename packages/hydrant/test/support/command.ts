// The command `hydrant` as a process, driven and watched.

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from './until.ts'

/** The file that npm runs as `hydrant`. */
export const BIN: string = fileURLToPath(new URL('../../bin/hydrant.js', import.meta.url))

/** How a command is run. */
export interface CommandOptions {
  /** Added to the environment, which has no HYDRANT_ variables otherwise. */
  readonly env?: Readonly<Record<string, string>>
  /** Default: an empty folder of its own, gone when it ends: without a config file, and with a log of its own. */
  readonly cwd?: string
  /** A command that runs it, in its own place: `ip netns exec <name>`. */
  readonly through?: readonly [string, ...string[]]
}

/** A command that runs, or has run. Killed when it is disposed of. */
export class Command implements AsyncDisposable {
  stdout = ''
  stderr = ''
  readonly child: ChildProcessWithoutNullStreams
  /** The exit code, or the name of the signal that killed it; undefined while it runs. */
  result: number | string | undefined
  readonly #exited: Promise<number | string>

  constructor(args: readonly string[], options: CommandOptions = {}) {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(HYDRANT_|NODE_)/.test(name)))
    const own = options.cwd === undefined ? mkdtempSync(join(tmpdir(), 'hydrant-command-')) : undefined
    const [program, ...words] = [...(options.through ?? []), process.execPath, BIN, ...args]
    this.child = spawn(program, words, {
      cwd: options.cwd ?? own,
      env: { ...env, ...options.env },
    })
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.child.stdin.on('error', () => {}) // it ended before it had read all
    this.#exited = new Promise((resolve) => {
      this.child.on('close', (code, signal) => {
        if (own !== undefined) rmSync(own, { recursive: true })
        resolve((this.result = code ?? signal ?? 'gone'))
      })
    })
  }

  /** Writes to its stdin. */
  say(text: string | Uint8Array): void {
    this.child.stdin.write(text)
  }

  /** Ends its stdin, after a last text. */
  end(text = ''): void {
    this.child.stdin.end(text)
  }

  /** Sends a signal. */
  signal(name: 'SIGTERM' | 'SIGINT' | 'SIGKILL' | 'SIGUSR2'): void {
    this.child.kill(name)
  }

  /** Waits for something in what it printed. */
  async until(isSo: (command: this) => boolean): Promise<void> {
    await until(
      () => isSo(this),
      () => `more than ${JSON.stringify({ stdout: this.stdout.slice(-400), stderr: this.stderr.slice(-400) })}`,
    )
  }

  /** Waits for its end, and answers how it ended. */
  exit(): Promise<number | string> {
    return this.#exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL')
    await this.#exited
  }
}

/** A command that ends by itself: its output and its exit code. */
export async function runCommand(
  args: readonly string[],
  options: CommandOptions & { readonly input?: string | Uint8Array } = {},
): Promise<Command> {
  const command = new Command(args, options)
  command.child.stdin.end(options.input ?? '')
  await command.exit()
  return command
}

/** `hydrant serve`, once it has said where it listens. */
export class ServeCommand extends Command {
  /** `http://127.0.0.1:<port>`. */
  get url(): string {
    return /http:\/\/\S+/.exec(this.stdout)?.[0] ?? ''
  }

  /** Where it listens. */
  get port(): number {
    return Number(new URL(this.url).port)
  }

  /** Starts it; on a free port, if the flags do not say otherwise. */
  static async start(args: readonly string[] = [], options: CommandOptions = {}): Promise<ServeCommand> {
    const command = new ServeCommand(args.includes('--port') ? args : ['--port', '0', ...args], options)
    try {
      await command.until(({ stdout, result }) => stdout.includes('The engine is') || result !== undefined)
      if (command.result !== undefined) throw new Error(`hydrant did not start: ${command.stderr}`)
      return command
    } catch (error) {
      await command[Symbol.asyncDispose]()
      throw error
    }
  }
}
