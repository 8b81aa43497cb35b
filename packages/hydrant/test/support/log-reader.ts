// Those who read a log that is published line by line: each can be killed at any moment, and started again after the
// last id that it saw, which is all that is left of it.

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SseParser } from 'hydrant-client/wire'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const BIN = join(ROOT, 'node_modules', '.bin')
const PYTHON = join(ROOT, '.cache', 'python', 'bin', 'python')
const FOLLOW = fileURLToPath(new URL('follow_log.py', import.meta.url))

/** As a user's shell has it, with this Node in front; no test runner in it, and nothing configured. */
export const USER_ENV: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(HYDRANT_|NODE_)/.test(name))),
  PATH: [BIN, dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
}

/** One of them. */
export interface LogReader {
  readonly name: string
  /** What it has seen, over all its lives. */
  readonly lines: readonly string[]
  /** Starts it: at first where it was told to, later after the last id that it saw. */
  start(): Promise<void>
  /** Kills it without a warning; what it had seen by then is in `lines`. */
  kill(): Promise<void>
}

/** Keeps what a reader saw. Our own events count for the id, and not as lines. */
export class SeenLog {
  readonly lines: string[] = []
  lastEventId = ''

  /** Takes an event. */
  add(id: string, type: string, data: string): void {
    this.lastEventId = id
    if (!type.startsWith('hydrant:')) this.lines.push(data)
  }
}

/** What tells the programs apart. */
interface Program {
  readonly name: string
  /** The program and its arguments; `lastEventId` is empty the first time. */
  readonly command: (lastEventId: string) => readonly [string, ...string[]]
  /** Takes what it prints, piece by piece, for one life of it. */
  readonly reading: (seen: SeenLog) => (text: string) => void
}

/** A reader that is a process, killed by SIGKILL. */
export class LogProcess implements LogReader {
  readonly #program: Program
  readonly #seen = new SeenLog()
  #child: ChildProcessWithoutNullStreams | undefined
  #closed: Promise<unknown> = Promise.resolve()
  #complaint = ''

  constructor(program: Program) {
    this.#program = program
  }

  get name(): string {
    return this.#program.name
  }

  get lines(): readonly string[] {
    return this.#seen.lines
  }

  /** What it said on stderr, over all its lives. */
  get complaint(): string {
    return this.#complaint
  }

  start(): Promise<void> {
    const [command, ...args] = this.#program.command(this.#seen.lastEventId)
    const child = spawn(command, args, { cwd: ROOT, env: USER_ENV })
    child.stdout.setEncoding('utf8').on('data', this.#program.reading(this.#seen))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#complaint += text))
    this.#child = child
    this.#closed = new Promise((resolve) => child.once('close', resolve))
    return new Promise((resolve, reject) => void child.once('spawn', resolve).once('error', reject))
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#closed
  }
}

/** `curl -N`. */
export function curlReader(url: string, topic: string, query = ''): LogProcess {
  return new LogProcess({
    name: `curl${query}`,
    command: (lastEventId) =>
      lastEventId === ''
        ? ['curl', '-sSN', `${url}/events/${topic}${query}`]
        : ['curl', '-sSN', '-H', `Last-Event-ID: ${lastEventId}`, `${url}/events/${topic}`],
    reading: (seen) => {
      const parser = new SseParser({ message: ({ type, data, lastEventId }) => seen.add(lastEventId, type, data) })
      return (text) => parser.feed(text)
    },
  })
}

/** `hydrant tail`. */
export function tailReader(url: string, topic: string, flags: readonly string[] = []): LogProcess {
  return new LogProcess({
    name: ['tail', ...flags].join(' '),
    command: (lastEventId) => [
      join(BIN, 'hydrant'),
      'tail',
      topic,
      '--ids',
      '--url',
      url,
      ...(lastEventId === '' ? flags : ['--id', lastEventId]),
    ],
    reading: (seen) =>
      wholeLines((line) => {
        const at = line.indexOf('\t')
        seen.add(line.slice(0, at), 'message', line.slice(at + 1))
      }),
  })
}

/** Python's sseclient-py. */
export function pythonReader(url: string, topic: string, query = ''): LogProcess {
  return new LogProcess({
    name: `python${query}`,
    command: (lastEventId) =>
      lastEventId === ''
        ? [PYTHON, FOLLOW, `${url}/events/${topic}${query}`]
        : [PYTHON, FOLLOW, `${url}/events/${topic}`, lastEventId],
    reading: (seen) =>
      wholeLines((line) => {
        const [id, type, data] = JSON.parse(line) as [string, string, string]
        seen.add(id, type, data)
      }),
  })
}

/** A line that the end of the process cut off was not printed. */
function wholeLines(take: (line: string) => void): (text: string) => void {
  let rest = ''
  return (text) => {
    const lines = `${rest}${text}`.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) take(line)
  }
}
