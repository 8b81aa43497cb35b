// A client of a fleet that is a process of its own, so that it can be frozen as a laptop is whose lid is closed: curl,
// which is started again with the last id that it printed, or hydrant-client, which comes back by itself.

import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { CONTROL_TYPES, SseParser, type Gap } from 'hydrant-client/wire'
import type { ClientRecord } from '../../src/testing/testing.ts'
import type { Follower } from './fleet-client.ts'

const FOLLOW = fileURLToPath(new URL('follow-stream.ts', import.meta.url))
const RETRY_MS = 50

/** Which program it is. */
export type FollowerProgram = 'curl' | 'client over sse' | 'client over websocket'

/** See the head of the file. */
export class FollowerProcess implements Follower {
  readonly name: string
  readonly topics: readonly string[] = ['**']
  readonly types = undefined
  readonly records: ClientRecord[] = []
  readonly complaints: string[] = []
  losses = 0
  readonly #program: FollowerProgram
  readonly #url: string
  #child: ChildProcess | undefined
  #retry: NodeJS.Timeout | undefined
  #lastEventId: string | undefined
  #newest = ''
  #isClosed = false

  constructor(program: FollowerProgram, url: string) {
    this.name = program
    this.#program = program
    this.#url = url
    this.#start()
  }

  get isOpen(): boolean {
    return this.records.length > 0
  }

  has(data: string): boolean {
    return this.#newest === data
  }

  /** Stops it in the middle of what it does. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  /** Lets it go on. */
  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#retry)
    this.#child?.kill('SIGKILL')
  }

  #start(): void {
    if (this.#lastEventId !== undefined) this.records.push({ resumed: this.#lastEventId })
    const [command, args] = this.#program === 'curl' ? this.#curl() : this.#client()
    const child = (this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }))
    child.stdout.setEncoding('utf8').on('data', this.#program === 'curl' ? this.#blocks() : this.#lines())
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (this.#program !== 'curl') this.complaints.push(`${this.name}: ${text}`)
    })
    child.on('error', (error) => this.complaints.push(`${this.name}: ${error.message}`))
    child.on('close', () => this.#ended())
  }

  #curl(): [string, string[]] {
    const id = this.#lastEventId
    const resume = id === undefined ? [] : ['-H', `Last-Event-ID: ${id}`]
    return ['curl', ['-sSN', ...resume, `${this.#url}/events/**`]]
  }

  #client(): [string, string[]] {
    const transport = this.#program === 'client over sse' ? 'sse' : 'websocket'
    return [process.execPath, ['--conditions=hydrant-source', FOLLOW, `${this.#url}/events`, transport, '**']]
  }

  /** A client that comes back by itself ends with the test; curl ends with its connection. */
  #ended(): void {
    if (this.#isClosed) return
    if (this.#program !== 'curl') {
      this.complaints.push(`${this.name} has ended`)
      return
    }
    this.losses += 1
    this.#retry = setTimeout(() => this.#start(), RETRY_MS)
  }

  #blocks(): (text: string) => void {
    const parser = new SseParser({
      message: ({ type, data, lastEventId: id }) => {
        this.#lastEventId = id
        if (type === CONTROL_TYPES.open) this.records.push({ opened: id })
        else if (type === CONTROL_TYPES.gap) this.records.push({ gap: JSON.parse(data) as Gap })
        else if (type.startsWith('hydrant:')) this.records.push({ position: id })
        else this.#event({ event: { id, type, data } })
      },
    })
    return (text) => parser.feed(text)
  }

  #lines(): (text: string) => void {
    let rest = ''
    return (text) => {
      const lines = `${rest}${text}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const record = JSON.parse(line) as ClientRecord
        if ('resumed' in record) this.losses += 1
        this.#event(record)
      }
    }
  }

  #event(record: ClientRecord): void {
    this.records.push(record)
    if ('event' in record) this.#newest = String(record.event.data)
  }
}
