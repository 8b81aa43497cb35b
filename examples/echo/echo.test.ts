// The echo example in Chromium.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { launchChromium, openPage } from '../../packages/hydrant/test/support/chromium.ts'
import { startExample } from '../../packages/hydrant/test/support/example-server.ts'

test('the echo page hears exactly what it says, in order', async (context) => {
  const example = await startExample('echo')
  context.after(() => example.stop())
  const browser = await launchChromium()
  context.after(() => browser.close())
  const { page, faults } = await openPage(browser, example.url.href)

  for (const text of ['hello', '<b>ünïcode</b> 🚒', '']) {
    await page.fill('[name=text]', text)
    await page.click('button')
  }
  await page.locator('li:nth-child(3)').waitFor({ state: 'attached' })
  assert.deepEqual(await page.locator('li').allTextContents(), ['', '<b>ünïcode</b> 🚒', 'hello'])
  assert.deepEqual(
    faults.filter((fault) => !fault.includes('404')),
    [],
  )
})
