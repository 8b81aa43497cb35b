// Every HTML block of docs/ works in Chromium, with nothing else on the page.

import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { after, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { createHub, type MountedHub } from '../../src/index.ts'
import { launchChromium, openPage } from '../support/chromium.ts'
import { Page, type Block } from '../support/markdown.ts'
import { closeServer, listen, portOf } from '../support/test-server.ts'
import { until } from '../support/until.ts'

const LIMITS = { retryMs: 20 }
const [watching, selecting, minding, ...others] = new Page('start.md').blocks('html')

const launched: Promise<Browser> = launchChromium()
after(async () => (await launched).close())

/** A server whose page is one block, and whose hub can be replaced, as by a restart that lost the log. */
class PageServer implements AsyncDisposable {
  hub: MountedHub = createHub({ limits: LIMITS })
  /** How often the page was asked for. */
  loads = 0
  readonly #server = createServer((request, response) => this.#answer(request, response))
  readonly #html: string

  private constructor(block: Block | undefined) {
    this.#html = `<!doctype html><link rel="icon" href="data:,">${block?.text}`
  }

  static async open(block: Block | undefined): Promise<PageServer> {
    const server = new PageServer(block)
    await listen(server.#server)
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${portOf(this.#server)}/`
  }

  async forget(): Promise<void> {
    const before = this.hub
    this.hub = createHub({ limits: LIMITS })
    await before.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hub.close()
    await closeServer(this.#server)
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.hub.handler(request, response, () => {
      this.loads += 1
      response.setHeader('content-type', 'text/html').end(this.#html)
    })
  }
}

test('the pages of docs/start.md are the ones that are tested here', () => {
  assert.equal(others.length, 0)
})

test('the first page shows what is published', async () => {
  await using server = await PageServer.open(watching)
  const { page, faults } = await openPage(await launched, server.url)
  await until(() => server.hub.counters.connections.sse === 1, 'the stream')
  await server.hub.publish({ topic: 'news', data: 'hello' })
  await page.getByText('hello').waitFor()
  assert.deepEqual(faults, [])
})

test('one stream brings several topics, and the page tells them apart', async () => {
  await using server = await PageServer.open(selecting)
  const { page, faults } = await openPage(await launched, server.url)
  await until(() => server.hub.counters.connections.sse === 1, 'the stream')
  await server.hub.publish({ topic: 'stocks/AAPL', data: '187.20' })
  await server.hub.publish({ topic: 'news', data: 'hello' })
  await page.locator('#price', { hasText: '187.20' }).waitFor()
  await page.locator('#news', { hasText: 'hello' }).waitFor()
  assert.deepEqual(faults, [])
})

test('a page that listens to gaps is loaded afresh when the log was lost', async () => {
  await using server = await PageServer.open(minding)
  await openPage(await launched, server.url)
  await until(() => server.hub.counters.connections.sse === 1, 'the stream')
  assert.equal(server.loads, 1)
  await server.forget()
  await until(() => server.loads === 2, 'the page to be loaded again')
})
