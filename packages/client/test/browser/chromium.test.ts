// The client in a real browser, as one file without a build step, over both transports: it comes back by itself when
// its connection is cut, at once when the network is back or the page is looked at, and misses nothing.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { launchChromium, openPage } from '../../../hydrant/test/support/chromium.ts'
import { until } from '../../../hydrant/test/support/until.ts'
import { bundleClient } from '../support/bundle.ts'
import { startCuttable, type CuttableServer } from '../support/cuttable-server.ts'
import { TRANSPORTS, type TransportName } from '../support/followed.ts'

const PAGE = `<!doctype html>
<title>client</title>
<script type="module">
  import { connect } from '/hydrant-client.js'
  const query = new URLSearchParams(location.search)
  const seen = { data: [], gaps: [], states: [], failed: '' }
  const stream = connect('/events', {
    topics: ['a/*'],
    transport: query.get('transport'),
    backoffMs: Number(query.get('backoffMs')),
    onEvent: ({ data }) => seen.data.push(typeof data === 'string' ? data : [...data].join()),
    onGap: (gap) => seen.gaps.push(gap),
    onState: ({ status }) => seen.states.push(status),
  })
  Object.assign(window, { stream, seen })
</script>`

interface Seen {
  readonly data: readonly string[]
  readonly gaps: readonly unknown[]
  readonly states: readonly string[]
}

/** A server of events that serves the page and the client, too. */
async function startPageServer(retryMs: number): Promise<CuttableServer> {
  const client = await bundleClient()
  const server = await startCuttable({ limits: { retryMs } })
  const [handler] = server.server.listeners('request')
  server.server.removeListener('request', handler as () => void)
  server.server.on('request', (request, response) => {
    if (request.url?.startsWith('/events') === true) return server.hub.handler(request, response)
    const isClient = request.url === '/hydrant-client.js'
    response.setHeader('content-type', isClient ? 'text/javascript' : 'text/html')
    response.end(isClient ? client : PAGE)
  })
  return server
}

let browser: Browser
before(async () => (browser = await launchChromium()))
after(() => browser.close())

async function open(server: CuttableServer, transport: TransportName): Promise<Page> {
  const { page } = await openPage(
    browser,
    server.url.replace('/events', `/?transport=${transport}&backoffMs=${server.hub.limits.retryMs}`),
  )
  await page.waitForFunction("stream.state.status === 'open'")
  return page
}

async function seenBy(page: Page): Promise<Seen> {
  const seen = await page.evaluate<Seen>('seen')
  return seen
}

for (const transport of TRANSPORTS) {
  test(`${transport}: a page whose connection is cut again and again gets every event once, in order`, async () => {
    await using server = await startPageServer(2)
    const page = await open(server, transport)
    const published: string[] = []
    for (let round = 1; round <= 5; round += 1) {
      for (let at = 0; at < 20; at += 1) {
        const data = `${round}/${at} ü😀`
        published.push(data)
        await server.hub.publish({ topic: 'a/x', data })
        if (at === 10) server.cut()
      }
      await page.waitForFunction(`seen.data.length >= ${published.length}`)
    }
    await server.hub.publish({ topic: 'a/x', data: Uint8Array.of(0, 255, 128) })
    await page.waitForFunction(`seen.data.length > ${published.length}`)
    const { data, gaps, states } = await seenBy(page)
    assert.deepEqual(data, [...published, '0,255,128'])
    assert.deepEqual(gaps, [])
    assert.ok(states.filter((status) => status === 'open').length > 1)
    await page.close()
  })

  test(`${transport}: a page publishes, and hears of it`, async () => {
    await using server = await startPageServer(2)
    const page = await open(server, transport)
    const id = await page.evaluate<string>("stream.publish({ topic: 'a/b', data: { from: 'a page' } })")
    await page.waitForFunction('seen.data.length === 1')
    assert.deepEqual((await seenBy(page)).data, ['{"from":"a page"}'])
    assert.equal(id, server.hub.idAt(1))
    await page.close()
  })

  for (const [what, wake] of [
    ['the network is back', "window.dispatchEvent(new Event('online'))"],
    ['the page is looked at', "document.dispatchEvent(new Event('visibilitychange'))"],
  ] as const) {
    test(`${transport}: when ${what} a page does not wait any longer`, async () => {
      await using server = await startPageServer(250_000)
      const page = await open(server, transport)
      await page.evaluate('Math.random = () => 0.9')
      server.cut()
      await page.waitForFunction("stream.state.status === 'waiting' && stream.state.untilMs > Date.now() + 1000")
      await page.evaluate(wake)
      await page.waitForFunction("stream.state.status === 'open'")
      await server.hub.publish({ topic: 'a/x', data: 'after' })
      await page.waitForFunction('seen.data.length === 1')
      await page.close()
    })
  }

  test(`${transport}: a page that closes its stream lets go of the connection`, async () => {
    await using server = await startPageServer(2)
    const page = await open(server, transport)
    await page.evaluate('stream.close()')
    await until(() => server.hub.counters.connections[transport] === 0, 'the connection to end')
    await page.close()
  })
}

test('a page of another origin follows and publishes where it is allowed to', async () => {
  await using pages = await startPageServer(2)
  const hub = await startCuttable({ cors: [new URL(pages.url).origin] })
  const { page } = await openPage(browser, pages.url.replace('/events', '/?transport=sse&backoffMs=2'))
  const script = `import('/hydrant-client.js').then(async ({ connect }) => {
    const heard = new Promise((onEvent) => (window.other = connect('${hub.url}', { topics: ['b'], earliest: true, onEvent })))
    await window.other.publish({ topic: 'b', data: 'from elsewhere' })
    return (await heard).data
  })`
  assert.equal(await page.evaluate(script), 'from elsewhere')
  await page.close()
  await hub[Symbol.asyncDispose]()
})
