// Which engine a server has, where its folder is, and what is said when that cannot be used.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfiguration, type Configuration, type ConfigurationSources } from '../../src/server/configuration.ts'
import { Server } from '../../src/server/server.ts'
import { StartError } from '../../src/server/start-error.ts'
import { TempFolder } from '../fault/temp-folder.ts'
import { ask, post } from '../support/ask.ts'
import { itemsOf, recordOf } from '../support/record.ts'

function engineOf(sources: ConfigurationSources): string {
  return loadConfiguration(sources).configuration.engine
}

test('by default the log is in hydrant-data, beside the config file', () => {
  const readFile = (): string => '{}'
  assert.equal(engineOf({}), 'file:hydrant-data')
  assert.equal(engineOf({ readFile }), 'file:hydrant-data')
  assert.equal(engineOf({ readFile, env: { HYDRANT_CONFIG: 'etc/a.json' } }), `file:${join('etc', 'hydrant-data')}`)
  assert.equal(engineOf({ readFile, flags: new Map([['config', '/etc/a.json']]) }), 'file:/etc/hydrant-data')
})

test('a relative folder in the config file is beside it, and one of a flag or variable in the working directory', () => {
  const env = { HYDRANT_CONFIG: '/etc/a.json' }
  const readFile = (): string => '{"engine": "file:./data"}'
  assert.equal(engineOf({ readFile, env }), 'file:/etc/data')
  assert.equal(engineOf({ readFile, env: { ...env, HYDRANT_ENGINE: 'file:./data' } }), 'file:./data')
  assert.equal(engineOf({ readFile, env, flags: new Map([['engine', 'file:./data']]) }), 'file:./data')
  assert.equal(engineOf({ readFile: () => '{"engine": "file:/data"}', env }), 'file:/data')
  assert.equal(engineOf({ readFile: () => '{"engine": "memory"}', env }), 'memory')
})

test('the settings of retention reach the log', async () => {
  using folder = new TempFolder()
  await using server = await open({
    engine: `file:${join(folder.path, 'log')}`,
    retention: '[{"topics": "few", "eventsMax": 2}]',
    retentionEvents: '4',
  })
  for (const data of ['1', '2', '3']) await post(server.url, '/events/few', data)
  for (const data of ['1', '2', '3']) await post(server.url, '/events/many', data)
  const { json } = await ask(server.url, 'GET', '/events/**?earliest', { headers: { accept: 'application/json' } })
  const kept = itemsOf(json['events']).map(recordOf)
  assert.deepEqual(
    kept.map(({ topic, data }) => [topic, data]),
    [
      ['few', '3'],
      ['many', '1'],
      ['many', '2'],
      ['many', '3'],
    ],
  )
})

test('a log that another server has is refused in words that say what to do, and that one goes on', async () => {
  using folder = new TempFolder()
  const engine = `file:${folder.path}`
  await using server = await open({ engine })
  await assert.rejects(open({ engine }), (error) => {
    assert.ok(error instanceof StartError)
    assert.match(error.message, /^the log cannot be opened: .* is in use by another process.* Stop the other/)
    assert.match(error.message, / Another folder: --engine file:<folder>\. Nothing on disk: --engine memory\.$/)
    return true
  })
  assert.equal((await post(server.url, '/events/news', 'still here')).status, 200)
})

test('a disk that is full, and one that is read-only, are named as such when the server starts', async () => {
  using folder = new TempFolder()
  for (const [options, prepare, why] of [
    ['size=64k', () => fill(folder.path), /is full: nothing was stored\. Free some space, and try again\./],
    ['size=1m', () => mount(folder.path, 'remount,ro'), /cannot be written: make the folder writable/],
  ] as const) {
    mount(folder.path, options)
    try {
      prepare()
      await assert.rejects(open({ engine: `file:${folder.path}` }), (error) => {
        assert.ok(error instanceof StartError)
        assert.match(error.message, why)
        return true
      })
    } finally {
      spawnSync('umount', [folder.path])
    }
  }
})

test('--engine memory touches no disk', async () => {
  using folder = new TempFolder()
  const config = join(folder.path, 'hydrant.json')
  const sources = {
    flags: new Map([
      ['config', config],
      ['port', '0'],
      ['engine', 'memory'],
    ]),
    readFile: () => '{}',
  }
  await using server = await opened(loadConfiguration(sources).configuration)
  assert.equal((await post(server.url, '/events/news', 'hello')).status, 200)
  assert.ok(!existsSync(join(folder.path, 'hydrant-data')))
})

function mount(path: string, options: string): void {
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { encoding: 'utf8' })
  assert.equal(status, 0, `mount needs root: ${stderr}`)
}

/** To the last byte. */
function fill(folder: string): void {
  for (let bytes = 65_536; bytes > 0; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) appendFileSync(join(folder, 'theirs'), Buffer.alloc(bytes))
    } catch (error) {
      assert.match(String(error), /ENOSPC/)
    }
  }
}

async function open(flags: Readonly<Record<string, string>>): Promise<Server & AsyncDisposable> {
  return opened(loadConfiguration({ flags: new Map(Object.entries({ port: '0', ...flags })) }).configuration)
}

async function opened(configuration: Configuration): Promise<Server & AsyncDisposable> {
  const server = await Server.open(configuration, { onError: (error) => assert.fail(String(error)) })
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.close() })
}
