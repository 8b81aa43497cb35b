// A page in Chromium that reads a log with a plain EventSource, across origins and over a wire that can be cut.

import { createServer, type Server } from 'node:http'
import type { Browser, Page } from 'playwright-core'
import { openPage } from './chromium.ts'
import { SeenLog, type LogReader } from './log-reader.ts'
import { startTcpRelay, type TcpRelay } from './tcp-relay.ts'
import { closeServer, listen, portOf } from './test-server.ts'

/** What a user would write; `opened` and `saw` tell the test. */
const HTML = `<!doctype html>
<pre id="log"></pre>
<script>
  const source = new EventSource(new URLSearchParams(location.search).get('events'))
  source.onopen = () => opened()
  source.onmessage = (event) => {
    log.append(event.data, '\\n')
    saw(event.lastEventId, event.data)
  }
</script>
`

/** Serves the page, from an origin of its own. */
export class PageHost implements AsyncDisposable {
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(): Promise<PageHost> {
    const server = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html; charset=utf-8').end(HTML)
    })
    await listen(server)
    return new PageHost(server)
  }

  /** `http://127.0.0.1:<port>`. */
  get origin(): string {
    return `http://127.0.0.1:${portOf(this.#server)}`
  }

  [Symbol.asyncDispose](): Promise<void> {
    return closeServer(this.#server)
  }
}

/** Where it reads. */
export interface LogPageOptions {
  readonly browser: Browser
  readonly host: PageHost
  /** The server's. */
  readonly port: number
  readonly topic: string
  /** Where it starts the first time: empty, or `?earliest`. */
  readonly query?: string
}

/** A reader that is a page. To kill it is to close its tab; a new one then begins with `?lastEventId=`. */
export class LogPage implements LogReader, AsyncDisposable {
  readonly name: string
  readonly #options: LogPageOptions
  readonly #relay: TcpRelay
  readonly #seen = new SeenLog()
  #opened = 0
  #page: Page | undefined

  private constructor(options: LogPageOptions, relay: TcpRelay) {
    this.name = `page${options.query ?? ''}`
    this.#options = options
    this.#relay = relay
  }

  static async create(options: LogPageOptions): Promise<LogPage> {
    return new LogPage(options, await startTcpRelay({ host: '127.0.0.1', port: options.port }))
  }

  /** How often its EventSource has connected. */
  get opened(): number {
    return this.#opened
  }

  get lines(): readonly string[] {
    return this.#seen.lines
  }

  async start(): Promise<void> {
    const { browser, host, topic, query = '' } = this.#options
    const { lastEventId } = this.#seen
    const events = `http://127.0.0.1:${this.#relay.port}/events/${topic}`
    const start = lastEventId === '' ? query : `?lastEventId=${lastEventId}`
    const { page } = await openPage(browser, 'about:blank')
    await page.exposeFunction('opened', () => (this.#opened += 1))
    await page.exposeFunction('saw', (id: string, data: string) => this.#seen.add(id, 'message', data))
    await page.goto(`${host.origin}/?events=${encodeURIComponent(events + start)}`)
    this.#page = page
  }

  async kill(): Promise<void> {
    if (this.#page === undefined) return
    await this.#page.context().close()
    this.#page = undefined
  }

  /** Cuts its connection; EventSource comes back by itself. */
  cut(): void {
    this.#relay.cut()
  }

  /** The lines that the page shows: those since its tab was opened. */
  async shown(): Promise<readonly string[]> {
    const text = (await this.#page?.locator('#log').textContent()) ?? ''
    return text.split('\n').slice(0, -1)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await this.#relay.close()
  }
}
