// One of very many clients: a bare socket, and as much of HTTP and SSE as it takes to read what hydrant sends. Records
// of the same block are the same object, so that thousands of clients that were told the same can be held and compared.

import { connect, type Socket } from 'node:net'
import { CONTROL_TYPES, type Gap } from 'hydrant-client/wire'
import type { ClientRecord } from '../../src/testing/testing.ts'
import type { Follower } from './fleet-client.ts'

/** See the head of the file. */
export class CrowdClient implements Follower {
  readonly name: string
  readonly topics: readonly string[]
  readonly types = undefined
  readonly records: ClientRecord[]
  readonly complaints: string[] = []
  losses = 0
  readonly #socket: Socket
  readonly #known: Map<string, ClientRecord>
  #bytes = ''
  #body: string | undefined
  #isClosed = false

  /** Comes back after an id. `known` is for all clients of a crowd. */
  constructor(port: number, topics: readonly string[], lastEventId: string, known: Map<string, ClientRecord>) {
    this.name = `one of the crowd after ${lastEventId}`
    this.topics = topics
    this.#known = known
    this.records = [recordOnce(known, lastEventId, () => ({ resumed: lastEventId }))]
    const query = topics.map((topic) => `topic=${topic}`).join('&')
    this.#socket = connect(port, '127.0.0.1')
    this.#socket.setEncoding('latin1').on('data', (text: string) => this.#heard(text))
    this.#socket.on('error', (error) => this.complaints.push(`${this.name}: ${error.message}`))
    this.#socket.on('close', () => {
      if (!this.#isClosed) this.losses += 1
    })
    this.#socket.write(
      `GET /events?${query} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\n` +
        `Last-Event-ID: ${lastEventId}\r\n\r\n`,
    )
  }

  get isOpen(): boolean {
    return this.#body !== undefined
  }

  has(data: string): boolean {
    const last = this.records.at(-1)
    return last !== undefined && 'event' in last && last.event.data === data
  }

  /** Whether another one was told exactly the same. */
  isLike(other: CrowdClient): boolean {
    const { records } = other
    return this.records.length === records.length && this.records.every((record, at) => record === records[at])
  }

  close(): void {
    this.#isClosed = true
    this.#socket.destroy()
  }

  /** The head, then chunks (RFC 9112, 7.1). */
  #heard(text: string): void {
    this.#bytes += text
    if (this.#body === undefined) {
      const end = this.#bytes.indexOf('\r\n\r\n')
      if (end === -1) return
      if (!this.#bytes.startsWith('HTTP/1.1 200 ')) this.complaints.push(`${this.name}: ${this.#bytes.slice(0, end)}`)
      this.#bytes = this.#bytes.slice(end + 4)
      this.#body = ''
    }
    let at = 0
    for (;;) {
      const headEnd = this.#bytes.indexOf('\r\n', at)
      if (headEnd === -1) break
      const end = headEnd + 2 + Number.parseInt(this.#bytes.slice(at, headEnd), 16)
      if (end + 2 > this.#bytes.length) break
      this.#body += this.#bytes.slice(headEnd + 2, end)
      at = end + 2
    }
    this.#bytes = this.#bytes.slice(at)
    this.#blocks(this.#body)
  }

  #blocks(body: string): void {
    let at = 0
    for (let end = body.indexOf('\n\n'); end !== -1; end = body.indexOf('\n\n', at)) {
      const block = body.slice(at, end)
      if (!block.startsWith(':')) this.records.push(recordOnce(this.#known, block, () => recordOf(block)))
      at = end + 2
    }
    this.#body = body.slice(at)
  }
}

/** Those of whom no two were told the same. */
export function distinct(crowd: readonly CrowdClient[]): readonly CrowdClient[] {
  const found: CrowdClient[] = []
  for (const client of crowd) if (!found.some((one) => one.isLike(client))) found.push(client)
  return found
}

function recordOnce(known: Map<string, ClientRecord>, text: string, make: () => ClientRecord): ClientRecord {
  const found = known.get(text)
  if (found !== undefined) return found
  const record = make()
  known.set(text, record)
  return record
}

/** Data of a crowd has one line. */
function recordOf(block: string): ClientRecord {
  const fields = new Map(
    block.split('\n').map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
  )
  const [id = '', type = 'message', data = ''] = ['id', 'event', 'data'].map((name) => fields.get(name))
  if (type === CONTROL_TYPES.gap) return { gap: JSON.parse(data) as Gap }
  return type.startsWith('hydrant:') ? { position: id } : { event: { id, type, data } }
}
