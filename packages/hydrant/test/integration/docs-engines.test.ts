// docs/engines.md: its commands run, its addresses are understood, and its table says what the engines claim.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Engine, EngineCapabilities } from '../../src/engine/engine.ts'
import { FileEngine } from '../../src/engine/file.ts'
import { MemoryEngine } from '../../src/engine/memory.ts'
import { NatsEngine, natsOptionsOf } from '../../src/engine/nats.ts'
import { RedisEngine } from '../../src/engine/redis.ts'
import { checkEngine } from '../../src/server/engine.ts'
import { ask, post } from '../support/ask.ts'
import { ServeCommand } from '../support/command.ts'
import { DocumentedBrokers } from '../support/documented-brokers.ts'
import { codeOf, Page } from '../support/markdown.ts'
import { StreamClient } from '../support/stream-client.ts'

const page = new Page('engines.md')
const blocks = page.blocks('sh')

test('there are commands, and each starts a server', () => {
  assert.ok(blocks.length >= 2)
  for (const { text } of blocks) assert.match(text, /^npx hydrant --engine \S+\n$/)
})

for (const block of blocks) {
  test(`the command of ${block.place}, twice, is one server to its clients`, async () => {
    await using brokers = await DocumentedBrokers.start(block.text)
    const args = brokers.text.trim().split(' ').slice(2)
    await using one = await ServeCommand.start(args)
    await using other = await ServeCommand.start(args)
    using stream = await StreamClient.open(other.url, '/events/news')
    assert.equal((await post(one.url, '/events/news', 'hello')).status, 200)
    await stream.until(({ data }) => data[0] === 'hello')
    const id = stream.messages[0]?.lastEventId ?? ''
    using resumed = await StreamClient.open(one.url, '/events/news', { 'last-event-id': id })
    await resumed.until(({ data }) => data[0] === 'hello')
    assert.equal((await ask(one.url, 'GET', '/readyz')).status, 200)
  })
}

test('every address that is shown is understood', () => {
  const addresses = page.blocks('text').flatMap(({ text }) => text.trim().split('\n'))
  assert.ok(addresses.length >= 4)
  for (const address of addresses) assert.doesNotThrow(() => checkEngine(address), address)
})

test('the table of promises says of each engine what it claims', () => {
  const engines: readonly Engine[] = [
    new MemoryEngine(),
    new FileEngine({ folder: 'never-opened' }),
    new RedisEngine({ url: 'redis://localhost' }),
    new RedisEngine({ url: 'redis://localhost?history=none' }),
    new NatsEngine(natsOptionsOf('nats://localhost')),
    new NatsEngine(natsOptionsOf('nats://localhost')),
  ]
  const names: readonly (keyof EngineCapabilities)[] = [
    'durable',
    'shared',
    'exactGaps',
    'topicRetention',
    'atomicBatch',
  ]
  const rows = page.table('promise')
  for (const name of names) {
    const row = rows.find(([promise]) => promise?.startsWith(`\`${name}\``)) ?? []
    assert.equal(row.length, engines.length + 1, name)
    const claimed = row.slice(1).map((cell) => !/^(?:no\b|keeps nothing)/.test(cell))
    assert.deepEqual(
      claimed,
      engines.map(({ capabilities }) => capabilities[name]),
      name,
    )
  }
})

test('the tables of what an address can have name everything that it can', () => {
  const known = /there are (.*)\./.exec(messageOf(() => checkEngine('nats://localhost?nonsense=1')))?.[1]?.split(', ')
  assert.ok(known !== undefined && known.length > 5)
  const documented = page.table('in `nats://`').flatMap((row) => row.join(' ').match(/(?<=`)[^`]+(?=`)/g) ?? [])
  for (const key of known) assert.ok(documented.includes(key), key)
  for (const [key] of page.table('in `redis://`')) {
    const name = codeOf(key)
    const value = name === 'history' ? 'none' : 'a'
    if (/^\w+$/.test(name) && !['user', 'mymaster'].includes(name)) checkEngine(`redis://localhost?${name}=${value}`)
  }
  assert.match(
    messageOf(() => checkEngine('redis://localhost?nonsense=1')),
    /no setting nonsense/,
  )
})

function messageOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof Error) return error.message
  }
  return 'nothing was refused'
}
