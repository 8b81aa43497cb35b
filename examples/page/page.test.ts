// The page example: as long as the README promises, and working in Chromium, with curl, and over a restart.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { launchChromium, openPage } from '../../packages/hydrant/test/support/chromium.ts'
import { startExample } from '../../packages/hydrant/test/support/example-server.ts'
import { startTcpRelay } from '../../packages/hydrant/test/support/tcp-relay.ts'

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

test('the server has at most 15 lines, the client 4', async () => {
  assert.ok((await linesOf('server.ts')) <= 15)
  assert.equal(await linesOf('index.html'), 4)
})

test('the page shows each event as it comes, those of curl too, and comes back after a cut without missing one', async (context) => {
  const example = await startExample('page')
  context.after(() => example.stop())
  const relay = await startTcpRelay({ host: example.url.hostname, port: Number(example.url.port) })
  context.after(() => relay.close())
  const browser = await launchChromium()
  context.after(() => browser.close())
  const { page } = await openPage(browser, `http://127.0.0.1:${relay.port}/`)
  const events = page.locator('#events')

  await events.filter({ hasText: /Z\n.*Z\n/ }).waitFor()
  const curl = (text: string) => promisify(execFile)('curl', ['-s', '-d', text, `${example.url.origin}/events/time`])
  await curl('hello from curl')
  await events.filter({ hasText: 'hello from curl' }).waitFor()
  relay.cut()
  await curl('<i>published while the page was cut off</i>')
  await curl('and this')
  await events.filter({ hasText: 'and this' }).waitFor()

  const lines = (await events.innerText()).trimEnd().split('\n')
  assert.deepEqual(
    lines.filter((line) => !TIME.test(line)),
    ['and this', '<i>published while the page was cut off</i>', 'hello from curl'],
  )
  const times = lines.filter((line) => TIME.test(line))
  assert.deepEqual(times, [...new Set(times)].toSorted().toReversed())
})

async function linesOf(name: string): Promise<number> {
  return (await readFile(new URL(name, import.meta.url), 'utf8')).trimEnd().split('\n').length
}
