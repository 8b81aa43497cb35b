// The badge example in Chromium.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { launchChromium, openPage } from '../../packages/hydrant/test/support/chromium.ts'
import { startExample } from '../../packages/hydrant/test/support/example-server.ts'

test('the badge counts what is unread for its own user, also what came while its page was closed', async (context) => {
  const example = await startExample('badge')
  context.after(() => example.stop())
  const browser = await launchChromium()
  context.after(() => browser.close())
  const notify = async (user: string, text: string): Promise<void> => {
    const url = new URL(`/events/users/${user}/notifications`, example.url)
    assert.equal((await fetch(url, { method: 'POST', body: text })).status, 200)
  }

  await notify('ada', 'before anybody looked')
  assert.equal(example.url.search, '?user=ada')
  const { page } = await openPage(browser, example.url.href)
  const badge = page.locator('output')
  await badge.filter({ hasText: /^1$/ }).waitFor()

  await notify('bob', 'for somebody else')
  await notify('ada', '<b>second</b>')
  await badge.filter({ hasText: /^2$/ }).waitFor()
  assert.equal(await page.title(), '(2) Inbox')
  assert.deepEqual(await page.locator('li').allTextContents(), ['<b>second</b>', 'before anybody looked'])

  await page.click('button')
  assert.equal(await badge.textContent(), '')
  assert.equal(await page.title(), 'Inbox')

  await page.goto('about:blank')
  await notify('ada', 'while the page was closed')
  await notify('ada', 'and another')
  await page.goto(example.url.href)
  await badge.filter({ hasText: /^2$/ }).waitFor()
  assert.deepEqual(await page.locator('li').allTextContents(), ['and another', 'while the page was closed'])
})
