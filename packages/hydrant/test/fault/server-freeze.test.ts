// The server, stopped in the middle of what it does until nobody waits for it any longer, and let go on: it finds
// requests that were given up, and connections that were left.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fleet } from '../support/fleet.ts'
import { KillableServer } from '../support/killable-server.ts'
import { until } from '../support/until.ts'
import { TempFolder } from './temp-folder.ts'

const FREEZES = 2
const PATIENCE_MS = 700
const SEED = 2

test('frozen until everybody gave it up, and thawed, the server goes on as if nothing had been', async () => {
  using folder = new TempFolder()
  await using server = await KillableServer.start({ folder: folder.path })
  using fleet = await Fleet.start({ url: server.url, seed: SEED, patienceMs: PATIENCE_MS })
  for (let freeze = 0; freeze < FREEZES; freeze += 1) {
    await fleet.progress(200)
    const losses = fleet.clients.map((client) => client.losses)
    const silences = fleet.publishers.map((publisher) => publisher.silences)
    server.freeze()
    await until(() => fleet.clients.every((client, at) => client.losses > (losses[at] ?? 0)), 'all clients to leave')
    await until(
      () => fleet.publishers.every((one, at) => one.silences > (silences[at] ?? 0)),
      'all publishers to ask again',
    )
    server.thaw()
  }
  await fleet.progress(200)
  const report = await fleet.finish()
  assert.ok(report.ok, String(report))
  assert.equal(report.tally.gaps, 0)
  await server.kill()
  assert.equal(server.stderr, '')
})
