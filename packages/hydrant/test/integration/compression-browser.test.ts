// Chromium reads what is compressed once for all, by EventSource, fetch and WebSocket, directly and through nginx.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { launchChromium } from '../support/chromium.ts'
import {
  EVENTS_PER_SEGMENT,
  numbers,
  PRICES,
  pricesOf,
  publishPrices,
  countWritten,
} from '../support/compressed-prices.ts'
import { startDeployedNginx } from '../support/nginx.ts'
import { startServer, type TestServer } from '../support/test-server.ts'

/** A profile of Chromium has six connections to a server: two of each kind, for a WebSocket takes none, and a spare. */
const JOINS_PER_PROFILE = 2
const LAST = 4 * EVENTS_PER_SEGMENT

/** `join` opens one of each kind; all that they read stands in `readers`. */
const SCRIPT = `
  const readers = []
  const numberOf = (data) => Number(data.slice(0, data.indexOf(' ')))
  const kinds = {
    EventSource: (read) => new Promise((resolve) => {
      const source = new EventSource('/events/${PRICES}')
      source.onmessage = ({ data }) => read.push(numberOf(data))
      source.addEventListener('hydrant:open', resolve)
    }),
    fetch: async (read) => {
      const response = await fetch('/events/${PRICES}')
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
      const opening = await reader.read()
      const feed = async () => {
        for (let left = ''; ; ) {
          const blocks = (left + (await reader.read()).value).split('\\n\\n')
          left = blocks.pop()
          for (const block of blocks) read.push(numberOf(block.split('data: ')[1]))
        }
      }
      feed()
    },
    WebSocket: (read) => new Promise((resolve) => {
      const socket = new WebSocket(location.origin.replace('http', 'ws') + '/events', 'hydrant.v1')
      socket.onopen = () => socket.send(JSON.stringify({ subscribe: { sub: 1, topics: ['${PRICES}'] } }))
      socket.onmessage = (event) => {
        const message = JSON.parse(event.data)
        if (message.subscribed) resolve()
        if (message.topic) read.push(numberOf(message.data))
      }
    }),
  }
  async function join(from) {
    for (const [kind, open] of Object.entries(kinds)) {
      const read = []
      await open(read)
      readers.push({ kind, from, read })
    }
  }`

interface Reader {
  readonly kind: string
  readonly from: number
  readonly read: readonly number[]
}

let browser: Browser
before(async () => (browser = await launchChromium()))
after(() => browser.close())

async function openPage(url: string): Promise<Page> {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(`${url}/events`) // a problem, but a page of this origin
  await page.addScriptTag({ content: SCRIPT })
  return page
}

async function followAll(server: TestServer, url: string): Promise<void> {
  const written = countWritten(server)
  const pages: Page[] = []
  let page: Page | undefined
  for (let from = 0; from <= EVENTS_PER_SEGMENT; from += 1) {
    if (page === undefined || from % JOINS_PER_PROFILE === 0) pages.push((page = await openPage(url)))
    await page.evaluate(`join(${from})`)
    await publishPrices(server.hub, from, from + 1)
  }
  await publishPrices(server.hub, EVENTS_PER_SEGMENT + 1, LAST)
  let plain = 0
  for (const one of pages) {
    await one.waitForFunction(`readers.every(({ from, read }) => read.length >= ${LAST} - from)`)
    const readers = await one.evaluate<readonly Reader[]>('readers')
    assert.equal(readers.length, 3 * JOINS_PER_PROFILE)
    for (const { kind, from, read } of readers) {
      assert.deepEqual(read, numbers(from, LAST), `${kind} joined at ${from}`)
      plain += read.reduce((sum, number) => sum + pricesOf(number).length, 0)
    }
    await one.context().close()
  }
  assert.ok(written() < plain * 0.7, `${written()} bytes were written for ${plain}`)
}

const OPTIONS = { compression: true, limits: { shareConnectionsMin: 1 } }

test('Chromium, joined at every point of the cycle, reads every event once and in order', async () => {
  await using server = await startServer(OPTIONS)
  await followAll(server, server.url)
})

test('through nginx it does so, too', async () => {
  await using server = await startServer(OPTIONS)
  await using nginx = await startDeployedNginx(server.port)
  await followAll(server, nginx.url)
})
