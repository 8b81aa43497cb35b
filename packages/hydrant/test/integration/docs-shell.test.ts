// Every shell block of docs/ that calls curl does what a reader expects, against the server as it is started.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfiguration } from '../../src/server/configuration.ts'
import { Server } from '../../src/server/server.ts'
import { TempFolder } from '../fault/temp-folder.ts'
import { allPages, Page, type Block } from '../support/markdown.ts'
import { HEARTBEAT_TEXT, runShellBlock } from '../support/shell-block.ts'
import { StreamClient } from '../support/stream-client.ts'

async function openServer(): Promise<Server & AsyncDisposable> {
  const folder = new TempFolder()
  const flags = new Map([
    ['port', '0'],
    ['engine', `file:${folder.path}`],
    ['heartbeatMs', '100'],
    ['heartbeatText', HEARTBEAT_TEXT],
  ])
  const server = await Server.open(loadConfiguration({ flags }).configuration, {
    onError: (error) => assert.fail(String(error)),
  })
  return Object.assign(server, {
    [Symbol.asyncDispose]: async () => {
      await server.close()
      folder[Symbol.dispose]()
    },
  })
}

function curlBlocks(page: Page): readonly Block[] {
  return page.blocks('sh').filter(({ text }) => /\bcurl\b/.test(text))
}

for (const page of allPages().filter((one) => curlBlocks(one).length > 0)) {
  test(`the curl commands of ${page.name} work as they stand`, async () => {
    await using server = await openServer()
    for (const block of curlBlocks(page)) {
      const { code, output } = await runShellBlock(block, server.port)
      assert.equal(code, 0, `${block.place} ended with ${code}:\n${output}`)
      assert.doesNotMatch(output, /urn:hydrant:|application\/problem/, `${block.place} met a problem`)
      assert.notEqual(output, '', `${block.place} said nothing`)
    }
  })
}

test('what the first page shows is what a watcher sees', async () => {
  await using server = await openServer()
  using stream = await StreamClient.open(server.url, '/events/news')
  await stream.until(({ messages }) => messages.length === 1)
  await server.hub.publish({ topic: 'news', data: 'hello' })
  await stream.until(({ data }) => data.length === 1)
  const [shown] = new Page('start.md').blocks('text')
  const withoutEpoch = (text: string): string => text.replaceAll(/\b[0-9a-f]{12}-/g, '<epoch>-').trim()
  const seen = stream.text.replaceAll(`: ${HEARTBEAT_TEXT}\n\n`, '')
  assert.equal(withoutEpoch(seen), withoutEpoch(shown?.text ?? ''))
})

test('resuming by hand, as the first page has it, brings what came after the id and nothing else', async () => {
  await using server = await openServer()
  const block = new Page('start.md').blocks('sh').find(({ text }) => text.includes('Last-Event-ID'))
  assert.ok(block !== undefined)
  const { output } = await runShellBlock(block, server.port)
  assert.deepEqual(output.match(/^data: .*/gm), ['data: two'])
})
