// NATS as deploy/nats.conf has it, and what deploy/compose-nats.yaml runs around it: as they stand, but for ports and
// paths.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { NatsEngine } from '../../src/engine/nats.ts'
import { ask, post } from '../support/ask.ts'
import { runCommand, ServeCommand } from '../support/command.ts'
import { composeFile, deployText } from '../support/deploy-folder.ts'
import { DeployedNodes } from '../support/deployed-nodes.ts'
import { NATS_SERVERS, NatsServer } from '../support/nats-server.ts'
import { replaceOnce } from '../support/replace-once.ts'
import { StreamClient } from '../support/stream-client.ts'

const FOLDER = mkdtempSync(join(tmpdir(), 'hydrant-deploy-nats-'))
after(() => rmSync(FOLDER, { recursive: true }))
const EVENT_BYTES_MAX = 1_048_576

for (const [at, { name, command }] of NATS_SERVERS.entries()) {
  const start = (changes: Readonly<Record<string, string>> = {}): Promise<NatsServer> => {
    const store = mkdtempSync(join(FOLDER, `${at}-`))
    const config = replaceOnce(deployText('nats.conf'), {
      'listen: 0.0.0.0:4222\n': '',
      'http: 0.0.0.0:8222\n': '',
      'store_dir: /data': `store_dir: ${JSON.stringify(store)}`,
      ...changes,
    })
    return NatsServer.start(command, config)
  }

  test(`${name}: three nodes share the log, over an outage too; the largest event fits`, async () => {
    await using server = await start()
    const broker = ['nats:4222', server.address] as const
    await using deployed = await DeployedNodes.start({ file: 'compose-nats.yaml', broker })
    const streams: StreamClient[] = []
    for (const { url } of deployed.nodes) streams.push(await StreamClient.open(url, '/events/news'))
    assert.equal((await post(deployed.url, '/events/news', 'before')).status, 200)
    await server.kill()
    for (const node of deployed.nodes) await node.until(({ stderr }) => stderr !== '')
    const refused = await post(deployed.nodes[0]?.url ?? '', '/events/news', 'in vain')
    assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '1'])
    const waiting = post(deployed.nodes[0]?.url ?? '', '/events/news', 'meanwhile', { prefer: 'wait=20' })
    await server.start()
    assert.equal((await waiting).status, 200)
    const large = 'x'.repeat(EVENT_BYTES_MAX)
    // That node may have to find NATS again first.
    assert.equal((await post(deployed.nodes[1]?.url ?? '', '/events/news', large, { prefer: 'wait=20' })).status, 200)
    for (const stream of streams) {
      await stream.until(({ data }) => data.length === 3)
      assert.deepEqual(stream.data, ['before', 'meanwhile', large])
      assert.equal(stream.messages.at(-1)?.lastEventId, streams[0]?.messages.at(-1)?.lastEventId)
      stream[Symbol.dispose]()
    }
  })

  test(`${name}: who has no password is refused`, async () => {
    await using server = await start()
    const engine = new NatsEngine({ servers: [server.address], openMs: 1 })
    await assert.rejects(
      engine.open(() => {}),
      /authorization violation/,
    )
    await engine.close()
  })

  test(`${name}: a stream that does not fit max_file is refused, and the node says so`, async () => {
    await using server = await start({ 'max_file: 4GB': 'max_file: 1GB' })
    const env = { ...environment(), HYDRANT_ENGINE: engineAt(server.address) }
    const { result, stderr } = await runCommand(['--port', '0'], { env })
    assert.equal(result, 1)
    assert.match(stderr, /insufficient storage resources available/)
  })
}

test('a stream that is there keeps its own retention', async () => {
  await using server = await NatsServer.start()
  const url = `${server.url}?hub=kept`
  for (const bytes of ['1000000', '65536']) {
    await using node = await ServeCommand.start(['--engine', url, '--retention-bytes', bytes])
    const data = 'x'.repeat(100_000)
    for (let event = 0; event < 3; event += 1) assert.equal((await post(node.url, '/events/a', data)).status, 200)
    const accept = { accept: 'application/json' }
    const { json } = await ask(node.url, 'GET', '/events/a?last=3', { headers: accept })
    assert.ok(Array.isArray(json['events']) && json['events'].length === 3)
  }
})

function environment(): Readonly<Record<string, string>> {
  const { entries } = composeFile('compose-nats.yaml').at('services.hydrant-1.environment')
  return Object.fromEntries(entries.map(([name, { text }]) => [name, text]))
}

function engineAt(address: string): string {
  return replaceOnce(environment()['HYDRANT_ENGINE'] ?? '', { 'nats:4222': address })
}
