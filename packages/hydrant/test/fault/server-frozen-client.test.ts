// Clients that are frozen until the server has given them up, and thawed: each goes on exactly where it was, and nobody
// else noticed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from '../support/ask.ts'
import { Fleet } from '../support/fleet.ts'
import { FollowerProcess } from '../support/follower-process.ts'
import { KillableServer } from '../support/killable-server.ts'
import { until } from '../support/until.ts'
import { TempFolder } from './temp-folder.ts'

const SEED = 5
/** Far less than the events that pile up, so that they are read from the disk. */
const FLAGS = ['--stall-ms', '400', '--window-bytes', '1000000', '--heartbeat-ms', '1000']
/** Some megabytes stand in the buffers of a connection before it stalls. */
const DATA_LENGTH_MAX = 60_000
const ROUNDS_MAX = 200

test('clients that freeze until they are cut off go on exactly where they were, and nobody else notices', async () => {
  using folder = new TempFolder()
  await using server = await KillableServer.start({ folder: folder.path, flags: FLAGS })
  using fleet = await Fleet.start({ url: server.url, seed: SEED, patienceMs: 10_000, dataLengthMax: DATA_LENGTH_MAX })
  const frozen = (['curl', 'client over sse', 'client over websocket'] as const).map(
    (program) => new FollowerProcess(program, server.url),
  )
  for (const client of frozen) fleet.join(client)
  await until(() => frozen.every(({ isOpen }) => isOpen), 'the processes')
  await fleet.progress(50)
  const others = fleet.clients.filter((client) => !(client instanceof FollowerProcess))
  const losses = others.map((client) => client.losses)
  const cut = await cutConnections(server.url)
  for (const client of frozen) client.freeze()
  for (let round = 0; (await cutConnections(server.url)) < cut + frozen.length; round += 1) {
    assert.ok(round < ROUNDS_MAX, 'the server did not give the frozen clients up')
    await fleet.progress(20)
  }
  assert.deepEqual(
    others.map((client) => client.losses),
    losses,
    'somebody else lost a connection',
  )
  for (const client of frozen) client.thaw()
  const report = await fleet.finish()
  for (const { name, losses: lost } of frozen) assert.equal(lost, 1, `${name} lost ${lost} connections`)
  assert.ok(report.ok, String(report))
  assert.equal(report.tally.gaps, 0)
  await server.kill()
  assert.equal(server.stderr, '')
})

/** How many connections the server has ended because they took nothing, or did not answer. */
async function cutConnections(url: string): Promise<number> {
  const { text } = await ask(url, 'GET', '/metrics')
  const ended = text.matchAll(/^hydrant_connections_ended_total\{reason="(?:lagged|unresponsive)"\} (\d+)/gm)
  return Array.from(ended, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0)
}
