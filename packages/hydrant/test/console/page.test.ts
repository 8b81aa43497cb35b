// The page in Chromium, against a real server.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { launchChromium, openPage } from '../support/chromium.ts'
import { startConsoleServer, type ConsoleServer } from '../support/console-server.ts'

const BOTH = ['#sse', '#websocket'] as const

let browser: Browser
let server: ConsoleServer
before(async () => {
  browser = await launchChromium()
  server = await startConsoleServer()
})
after(async () => {
  await browser.close()
  await server.close()
})

test('the charts move by themselves, from the first second on, and nothing is blocked or missing', async () => {
  const { page, faults } = await openPage(browser, server.url)
  await page.locator('#machine-state', { hasText: 'live' }).waitFor()
  const charts = ['#cpu', '#memory', '#network', '#events']
  await page.locator('#events .line.first:not([d=""])[d]').waitFor({ state: 'attached' })
  const drawn = await Promise.all(charts.map((chart) => lineOf(page, chart)))
  for (const [at, chart] of charts.entries()) {
    await page.waitForFunction(
      ([selector, line]) => document.querySelector(`${selector} .line.first`)?.getAttribute('d') !== line,
      [chart, drawn[at]] as const,
    )
    assert.match(await page.locator(`${chart} .value b`).innerText(), /^\d/)
  }
  assert.match(await page.locator('#cpu .value b').innerText(), /^(100|\d\d?) %$/)
  assert.deepEqual(faults, [])
  await page.context().close()
})

test('what is published arrives over both transports with its id, as text, whatever it looks like', async () => {
  const { page, faults } = await openPage(browser, server.url)
  const text = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script> & so on\nsecond line`
  await page.fill('#publish [name=topic]', 'demo/markup')
  await page.fill('#publish [name=type]', '<b>note</b>')
  await page.fill('#publish [name=text]', text)
  await page.press('#publish [name=text]', 'Enter')
  const outcome = await page.locator('#published', { hasText: 'Stored as' }).innerText()
  const id = outcome.replace('Stored as ', '')
  for (const column of BOTH) {
    const row = page.locator(`${column} li`, { hasText: id })
    await row.waitFor()
    assert.equal(await row.locator('.id').textContent(), id)
    assert.equal(await row.locator('.topic').textContent(), 'demo/markup')
    assert.equal(await row.locator('.type').textContent(), '<b>note</b>')
    assert.equal(await row.locator('pre').textContent(), text)
  }
  assert.equal(await page.locator('li img, li script, li b').count(), 0)
  assert.equal(await page.title(), 'hydrant')
  assert.deepEqual(faults, [])
  await page.context().close()
})

test('Enter and the button publish, Shift+Enter makes a line', async () => {
  const { page } = await openPage(browser, `${server.url}#keys`)
  await page.fill('#publish [name=topic]', 'keys')
  await page.fill('#publish [name=text]', 'one')
  await page.press('#publish [name=text]', 'Shift+Enter')
  await page.locator('#publish [name=text]').pressSequentially('two')
  await page.press('#publish [name=text]', 'Enter')
  await page.locator('#sse li').waitFor()
  await page.click('#publish button')
  await page.press('#publish [name=topic]', 'Enter')
  await countOf(page, '#sse', 3)
  assert.deepEqual(await page.locator('#sse li pre').allTextContents(), ['one\ntwo', 'one\ntwo', 'one\ntwo'])
  await page.context().close()
})

test('a topic that cannot be says why, in the box to publish and in both columns', async () => {
  const { page } = await openPage(browser, server.url)
  await page.fill('#publish [name=topic]', 'no spaces')
  await page.click('#publish button')
  await page.locator('#published.fault', { hasText: 'no spaces' }).waitFor()
  await page.fill('#watch [name=topic]', 'a/**/b')
  await page.click('#watch button')
  for (const column of BOTH) await page.locator(`${column} .state`, { hasText: 'refused: ' }).waitFor()
  await page.context().close()
})

test('cut off, both columns come back by themselves and have every event once, in order', async () => {
  const { page } = await openPage(browser, `${server.url}#cut/*`)
  await publish(server, 'cut/a', ['1', '2'])
  for (const column of BOTH) await countOf(page, column, 2)
  server.cut()
  await publish(server, 'cut/b', ['3', '4'])
  for (const column of BOTH) {
    await countOf(page, column, 4)
    assert.deepEqual(await page.locator(`${column} li pre`).allTextContents(), ['4', '3', '2', '1'])
    await page.locator(`${column} .state`, { hasText: 'open' }).waitFor()
  }
  await page.context().close()
})

test('a column that was disconnected resumes with what it missed', async () => {
  const { page } = await openPage(browser, `${server.url}#switch`)
  await publish(server, 'switch', ['1'])
  for (const column of BOTH) {
    await countOf(page, column, 1)
    await page.click(`${column} .switch`)
    await page.locator(`${column} .state`, { hasText: 'disconnected' }).waitFor()
  }
  await publish(server, 'switch', ['2', '3'])
  for (const column of BOTH) {
    await page.click(`${column} .switch`)
    await countOf(page, column, 3)
    assert.deepEqual(await page.locator(`${column} li pre`).allTextContents(), ['3', '2', '1'])
  }
  await page.context().close()
})

test('events that are gone for good are a gap in both columns, and what came after them follows', async () => {
  const small = await startConsoleServer({ limits: { windowBytes: 65_536 } })
  const { page, faults } = await openPage(browser, `${small.url}#gone`)
  await publish(small, 'gone', ['first'])
  for (const column of BOTH) {
    await countOf(page, column, 1)
    await page.click(`${column} .switch`)
  }
  await publish(small, 'gone', ['missed', 'missed too'])
  await publish(
    small,
    'noise',
    Array.from({ length: 1_000 }, () => 'x'.repeat(100)),
  )
  await publish(small, 'gone', ['last'])
  for (const column of BOTH) {
    await page.click(`${column} .switch`)
    await countOf(page, column, 2)
    const [last, gap, first] = await page.locator(`${column} li pre`).allTextContents()
    assert.deepEqual([last, first], ['last', 'first'])
    assert.match(gap ?? '', /^Missing: (2 )?events after [0-9a-f]{12}-1, up to [0-9a-f]{12}-\d+$/)
    assert.equal(await page.locator(`${column} li.gap .type`).textContent(), 'gap: trimmed')
  }
  assert.deepEqual(faults, [])
  await page.context().close()
  await small.close()
})

test('of very many events the newest hundred stay, all are counted', async () => {
  const { page } = await openPage(browser, `${server.url}#many`)
  for (const column of BOTH) await page.locator(`${column} .state`, { hasText: 'open' }).waitFor()
  await publish(
    server,
    'many',
    Array.from({ length: 5_000 }, (_, at) => `event ${at}`),
  )
  for (const column of BOTH) {
    await page.locator(`${column} .count`, { hasText: '5,000 events' }).waitFor()
    const texts = await page.locator(`${column} li pre`).allTextContents()
    assert.equal(texts.length, 100)
    assert.deepEqual([texts[0], texts[99]], ['event 4999', 'event 4900'])
  }
  await page.context().close()
})

test('the curl lines do what they say for the topic and text of the form', async () => {
  const { page } = await openPage(browser, server.url)
  await page.fill('#publish [name=topic]', 'it/self')
  await page.fill('#publish [name=text]', "it's $HOME")
  assert.equal(await page.locator('#curl-watch').innerText(), `curl -N ${server.url}events/it/self`)
  const line = String.raw`curl -d 'it'\''s $HOME' ${server.url}events/it/self`
  assert.equal(await page.locator('#curl-publish').innerText(), line)
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.click('[data-copies=curl-publish]')
  await page.locator('[data-copies=curl-publish]', { hasText: 'Copied' }).waitFor()
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), line)
  await page.context().close()
})

test('it finds a hub below a base path, and topics that an address escapes', async () => {
  const below = await startConsoleServer({ basePath: '/api/v1' })
  const { page, faults } = await openPage(browser, `${below.url}#demo/%2A%2A`)
  await page.locator('#machine-state', { hasText: 'live' }).waitFor()
  await page.click('#publish button')
  for (const column of BOTH) await countOf(page, column, 1)
  assert.deepEqual(faults, [])
  await page.context().close()
  await below.close()
})

test('on a phone of 360 pixels nothing stands out at the side', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const { page } = await openPage(browser, server.url, { viewport: { width: 360, height: 740 }, colorScheme })
    await page.locator('#machine-state', { hasText: 'live' }).waitFor()
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360)
    await page.context().close()
  }
})

async function publish(to: ConsoleServer, topic: string, texts: readonly string[]): Promise<void> {
  await to.hub.publishBatch(texts.map((data) => ({ topic, data })))
}

async function countOf(page: Page, column: string, events: number): Promise<void> {
  await page.locator(`${column} .count`, { hasText: new RegExp(`^${events} event`) }).waitFor()
}

function lineOf(page: Page, chart: string): Promise<string | null> {
  return page.locator(`${chart} .line.first`).getAttribute('d')
}
