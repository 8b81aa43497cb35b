// The chat example in Chromium: two people, a cut wire, and somebody who comes late.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { launchChromium, openPage } from '../../packages/hydrant/test/support/chromium.ts'
import { startExample } from '../../packages/hydrant/test/support/example-server.ts'
import { startTcpRelay } from '../../packages/hydrant/test/support/tcp-relay.ts'

test('two pages see each other’s messages once and in the same order, also after the wire was cut', async (context) => {
  const example = await startExample('chat')
  context.after(() => example.stop())
  const relay = await startTcpRelay({ host: example.url.hostname, port: Number(example.url.port) })
  context.after(() => relay.close())
  const browser = await launchChromium()
  context.after(() => browser.close())
  const enter = async (name: string, room = 'lobby'): Promise<Page> => {
    const { page } = await openPage(browser, `http://127.0.0.1:${relay.port}/?room=${room}&name=${name}`)
    await page.locator('[role=status]', { hasText: 'connected' }).waitFor()
    return page
  }

  const [ada, bob, eve] = [await enter('Ada'), await enter('Bob'), await enter('Eve', 'cellar')]
  await say(ada, 'hello <b>Bob</b>')
  await heard(bob, 'Ada: hello <b>Bob</b>')
  await say(bob, 'hello Ada')
  await heard(ada, 'Bob: hello Ada')

  // Said while both are cut off: what was sent into the void is sent again, and stored once.
  for (const round of ['1', '2', '3']) {
    relay.cut()
    await say(ada, `round ${round}`)
    await say(bob, `answer ${round}`)
    for (const page of [ada, bob]) {
      await heard(page, `Ada: round ${round}`)
      await heard(page, `Bob: answer ${round}`)
    }
  }

  const late = await enter('Zoe')
  await heard(late, 'Bob: answer 3')
  const messages = await messagesOf(ada)
  assert.deepEqual(await messagesOf(bob), messages)
  assert.deepEqual(await messagesOf(late), messages)
  assert.deepEqual(messages.slice(0, 2), ['Ada: hello <b>Bob</b>', 'Bob: hello Ada'])
  assert.deepEqual(messages.toSorted(), [
    'Ada: hello <b>Bob</b>',
    ...['1', '2', '3'].map((round) => `Ada: round ${round}`),
    ...['1', '2', '3'].map((round) => `Bob: answer ${round}`),
    'Bob: hello Ada',
  ])
  assert.deepEqual(await messagesOf(eve), [])
})

test('a message that was stored, but whose acknowledgement was lost, is not said twice', async (context) => {
  const example = await startExample('chat')
  context.after(() => example.stop())
  const relay = await startTcpRelay({ host: example.url.hostname, port: Number(example.url.port) })
  context.after(() => relay.close())
  const browser = await launchChromium()
  context.after(() => browser.close())
  const { page } = await openPage(browser, `http://127.0.0.1:${relay.port}/?name=Ada`)
  await page.locator('[role=status]', { hasText: 'connected' }).waitFor()
  const { page: bob } = await openPage(browser, example.url.href)
  await bob.locator('[role=status]', { hasText: 'connected' }).waitFor()

  relay.mute()
  await say(page, 'once')
  await heard(bob, 'Ada: once')
  relay.cut()
  await heard(page, 'Ada: once')
  await say(page, 'and on')
  for (const one of [page, bob]) {
    await heard(one, 'Ada: and on')
    assert.deepEqual(await messagesOf(one), ['Ada: once', 'Ada: and on'])
  }
})

test('who comes in gets the last 50 messages', async (context) => {
  const example = await startExample('chat')
  context.after(() => example.stop())
  const browser = await launchChromium()
  context.after(() => browser.close())
  const events = Array.from({ length: 60 }, (_, at) => ({ topic: 'chat/lobby', data: `Bot: ${at}` }))
  await fetch(new URL('/events', example.url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(events),
  })
  const { page } = await openPage(browser, example.url.href)
  await heard(page, 'Bot: 59')
  assert.deepEqual(
    await messagesOf(page),
    events.slice(10).map((event) => event.data),
  )
})

async function say(page: Page, text: string): Promise<void> {
  await page.fill('[name=text]', text)
  await page.press('[name=text]', 'Enter')
}

async function heard(page: Page, text: string): Promise<void> {
  await page.locator('li').getByText(text, { exact: true }).waitFor({ state: 'attached' })
}

function messagesOf(page: Page): Promise<string[]> {
  return page.locator('li').allTextContents()
}
