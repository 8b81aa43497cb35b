// Redis as deploy/redis.conf and deploy/users.acl have it, and what deploy/compose.yaml runs around it: as they stand,
// but for ports and paths.

import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { EventSource } from 'eventsource'
import { engineContract, type EngineTestOptions } from '../../src/engine/contract.ts'
import { RedisEngine } from '../../src/engine/redis.ts'
import { ask, post } from '../support/ask.ts'
import { deployText } from '../support/deploy-folder.ts'
import { BACKEND, DeployedNodes } from '../support/deployed-nodes.ts'
import { RedisServer } from '../support/redis-server.ts'
import { replaceOnce } from '../support/replace-once.ts'
import { StreamClient } from '../support/stream-client.ts'
import { until } from '../support/until.ts'

const ENGINE = fileURLToPath(new URL('../../src/engine/', import.meta.url))
const FOLDER = mkdtempSync(join(tmpdir(), 'hydrant-acl-'))
after(() => rmSync(FOLDER, { recursive: true }))

const USERS = deployText('users.acl')
const PASSWORD = />(\S+)/.exec(USERS)?.[1] ?? ''
let servers = 0
let logs = 0

const contractServer = await startRedis({}, USERS.replaceAll('{hydrant}', '{log*}'))
after(async () => contractServer[Symbol.asyncDispose]())

// A user who may do no more than that can do all that an engine has to.
engineContract('the Redis engine, as the user of deploy/users.acl', {
  capabilities: { durable: true, shared: true, exactGaps: true, topicRetention: false, atomicBatch: true },
  make: (options) => {
    logs += 1
    return open(options)
  },
  join: open,
})

test('the user of deploy/users.acl may run no command that the engine has no use for', () => {
  const names = globSync('redis*.ts', { cwd: ENGINE })
  const sources = names.map((name) => readFileSync(join(ENGINE, name), 'utf8')).join('\n')
  const ofTheDriver = ['client|setname', 'ssubscribe', 'sunsubscribe']
  const [, user = ''] = USERS.trim().split('\n')
  const allowed = Array.from(user.matchAll(/ \+(\S+)/g), ([, command]) => command ?? '')
  assert.ok(allowed.length > 20)
  const useless = allowed.filter((name) => !ofTheDriver.includes(name) && !sources.includes(`'${name.toUpperCase()}'`))
  assert.deepEqual(useless, [])
})

test('without a password nobody can do more than ask whether Redis lives', async () => {
  await using server = await startRedis()
  assert.deepEqual(await server.ask(['PING']), ['PONG'])
  for (const command of [['GET', 'a'], ['INFO'], ['KEYS', '*'], ['EVAL', 'return 1', '0'], ['CONFIG', 'GET', '*']])
    await assert.rejects(server.ask(command), /NOPERM/)
})

test('what is published through HAProxy comes to the clients of every node, with the same ids', async () => {
  await using server = await startRedis()
  await using deployed = await DeployedNodes.start({ file: 'compose.yaml', broker: brokerOf(server) })
  const streams: StreamClient[] = []
  for (const { url } of deployed.nodes) streams.push(await StreamClient.open(url, '/events/news'))
  for (const data of ['one', 'two', 'three']) assert.equal((await post(deployed.url, '/events/news', data)).status, 200)
  for (const stream of streams) {
    await stream.until(({ data }) => data.length === 3)
    assert.deepEqual(stream.data, ['one', 'two', 'three'])
    assert.equal(stream.messages.at(-1)?.lastEventId, streams[0]?.messages.at(-1)?.lastEventId)
    stream[Symbol.dispose]()
  }
})

test('Redis gone: streams stay, publishers and new streams are told to come back, through HAProxy too; back: all go on', async () => {
  await using server = await startRedis()
  await using deployed = await DeployedNodes.start({ file: 'compose.yaml', broker: brokerOf(server) })
  const { url, nodes } = deployed
  using stream = await StreamClient.open(url, '/events/news')
  await post(url, '/events/news', 'before')
  await stream.until(({ data }) => data.length === 1)

  await server.kill()
  for (const node of nodes) await node.until(({ stderr }) => stderr.includes('cannot be reached'))
  const refused = await untilRefused(url)
  assert.equal(refused.headers['retry-after'], '1')
  for (const node of nodes) {
    const health = await ask(node.url, 'GET', '/readyz')
    assert.equal(health.status, 503)
    assert.match(health.text, /^degraded since /)
    const { text } = await ask(node.url, 'GET', '/metrics')
    assert.match(text, /^hydrant_engine_trouble 1$/m)
  }
  using newcomer = await StreamClient.open(url, '/events/other')
  await newcomer.closed()
  assert.deepEqual([newcomer.status, newcomer.messages.at(-1)?.type], [200, 'hydrant:bye'])
  const waiting = post(url, '/events/news', 'meanwhile', { prefer: 'wait=20' })

  await server.restart()
  assert.equal((await waiting).status, 200)
  await stream.until(({ data }) => data.at(-1) === 'meanwhile')
  for (const node of nodes) await node.until(({ stderr }) => stderr.includes('can be reached again'))
  assert.deepEqual(stream.data, ['before', 'meanwhile'])
  for (const { stderr } of nodes) assert.equal(stderr.trim().split('\n').length, 2, stderr) // no flood
  assert.equal((await post(url, '/events/news', 'after')).status, 200)
  await stream.until(({ data }) => data.at(-1) === 'after')
})

test('each node is replaced in turn: a stock EventSource gets every event, once and in order', async () => {
  await using server = await startRedis()
  await using deployed = await DeployedNodes.start({ file: 'compose.yaml', broker: brokerOf(server) })
  const numbers: number[] = []
  let [gaps, published] = [0, 0]
  const source = new EventSource(`${deployed.url}/events/numbers`)
  source.addEventListener('message', ({ data }) => numbers.push(Number(data)))
  source.addEventListener('hydrant:gap', () => (gaps += 1))
  try {
    await until(() => source.readyState === source.OPEN, 'the stream')
    const replacing = new AbortController()
    const publishing = (async (): Promise<void> => {
      for (; !replacing.signal.aborted; published += 1) {
        const headers = { 'idempotency-key': `number ${published}` }
        while ((await post(deployed.url, '/events/numbers', String(published), headers)).status !== 200) continue
      }
    })()
    for (const at of [0, 1, 2]) {
      const seen = numbers.length
      assert.equal(await deployed.replace(at), 0)
      await until(() => numbers.length > seen + 20, 'events after a node was replaced')
    }
    replacing.abort()
    await publishing
    await until(() => numbers.length >= published, 'the last number')
    assert.deepEqual(
      numbers,
      Array.from({ length: published }, (_, number) => number),
    )
    assert.equal(gaps, 0)
  } finally {
    source.close()
  }
})

test('Redis is full: publishing is refused, and goes on when less is kept', async () => {
  await using server = await startRedis({ 'maxmemory 1gb': 'maxmemory 12mb' })
  const options = { file: 'compose.yaml', broker: brokerOf(server) }
  const data = 'x'.repeat(100_000)
  {
    await using deployed = await DeployedNodes.start(options)
    const { url } = deployed
    using stream = await StreamClient.open(url, '/events/news')
    let answer = await post(url, '/events/news', data)
    for (let tries = 0; answer.status === 200 && tries < 200; tries += 1) answer = await post(url, '/events/news', data)
    assert.equal(answer.json['code'], 'unavailable', answer.text)
    assert.match(answer.text, /OOM/)
    const metrics = await Promise.all(deployed.nodes.map(async (node) => ask(node.url, 'GET', '/metrics')))
    assert.ok(metrics.some(({ text }) => text.includes('hydrant_refused_total{code="unavailable"} 1')))
    assert.ok(!stream.isClosed)
  }
  await using deployed = await DeployedNodes.start({ ...options, env: { HYDRANT_RETENTION_BYTES: '1000000' } })
  while ((await post(deployed.url, '/events/news', data)).status !== 200) continue
})

/** Redis with deploy/redis.conf, changed in single lines. */
async function startRedis(changes: Readonly<Record<string, string>> = {}, users = USERS): Promise<RedisServer> {
  servers += 1
  const file = join(FOLDER, `users-${servers}.acl`)
  writeFileSync(file, users)
  const config = replaceOnce(deployText('redis.conf'), {
    'bind * -::*\nport 6379\n': '',
    'aclfile /usr/local/etc/redis/users.acl': `aclfile ${file}`,
    'dir /data\n': '',
    ...changes,
  })
  return RedisServer.start({ config: config.split('\n') })
}

function brokerOf({ port }: RedisServer): readonly [string, string] {
  return ['redis:6379', `127.0.0.1:${port}`]
}

/** Publishes until HAProxy has noticed, too, that no node reaches Redis. */
async function untilRefused(url: string): ReturnType<typeof post> {
  for (;;) {
    const answer = await post(url, '/events/news', 'in vain')
    assert.equal(answer.json['code'], 'unavailable', answer.text) // a node's own answer, each time
    if (answer.headers[BACKEND] === 'alive') return answer
  }
}

function open({ limits, nowMs }: EngineTestOptions): RedisEngine {
  const retention = limits.windowBytes === undefined ? {} : { logBytesMax: limits.windowBytes }
  const url = contractServer.url(`?prefix=log${logs}`).replace('//', `//hydrant:${PASSWORD}@`)
  return new RedisEngine({ url, limits, nowMs, retention })
}
