// The server on a disk that others fill to the last byte under load: publishers are told to come back later, streams
// and history go on, also after a restart, and once there is space so does everything else.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, post } from '../support/ask.ts'
import { Fleet } from '../support/fleet.ts'
import { KillableServer } from '../support/killable-server.ts'
import { recordOf, itemsOf } from '../support/record.ts'
import { SmallDisk } from '../support/small-disk.ts'
import { StreamClient } from '../support/stream-client.ts'
import { until } from '../support/until.ts'

const MEGABYTES = 64
const SEED = 3

test('a full disk refuses publishers with 503, keeps streams up, and loses nothing; freed, everything goes on', async () => {
  using disk = new SmallDisk(MEGABYTES)
  await using server = await KillableServer.start({ folder: disk.log, flags: ['--heartbeat-ms', '1000'] })
  using fleet = await Fleet.start({ url: server.url, seed: SEED, patienceMs: 10_000, dataLengthMax: 2_000 })
  await fleet.progress(100)

  await fillUntilRefused(disk, fleet)
  const losses = lossesOf(fleet)
  const refused = await post(server.url, '/events/a/1', 'refused')
  assert.equal(refused.status, 503)
  assert.equal(refused.json['code'], 'unavailable')
  assert.match(String(refused.json['detail']), /is full/)
  assert.match(String(refused.headers['retry-after']), /^[1-9]\d*$/)
  await streamsAndHistory(server.url)
  await until(
    () => fleet.publishers.every(({ unavailable }) => unavailable >= 2),
    'every publisher to be refused again',
  )
  assert.deepEqual(lossesOf(fleet), losses, 'a client lost its stream')

  disk.free()
  await fleet.progress(200)
  assert.deepEqual(lossesOf(fleet), losses, 'a client lost its stream')

  await fillUntilRefused(disk, fleet)
  await server.kill()
  await server.restart()
  await fillUntilRefused(disk, fleet) // opening the log has given back a little
  await streamsAndHistory(server.url)
  assert.equal((await post(server.url, '/events/a/1', 'refused')).status, 503)
  disk.free()
  await fleet.progress(200)

  const report = await fleet.finish()
  assert.ok(report.ok, String(report))
  assert.equal(report.tally.gaps, 0)
})

/** Under load the log gives room back and takes it again: until everybody was refused, others take what there is. */
async function fillUntilRefused(disk: SmallDisk, fleet: Fleet): Promise<void> {
  const before = fleet.publishers.map(({ unavailable }) => unavailable)
  const isRefused = (): boolean => fleet.publishers.every((one, at) => one.unavailable > (before[at] ?? 0))
  await until(() => {
    disk.fill()
    return isRefused() && disk.isFull
  }, 'every publisher to be refused')
}

/** How many connections each client lost. */
function lossesOf(fleet: Fleet): readonly number[] {
  return fleet.clients.map(({ losses }) => losses)
}

/** Somebody new is served: history, and a stream that goes on after it. */
async function streamsAndHistory(url: string): Promise<void> {
  const accept = { accept: 'application/json' }
  const { status, json } = await ask(url, 'GET', '/events/**?earliest&limit=50', { headers: accept })
  assert.equal(status, 200)
  assert.equal(itemsOf(json['events']).length, 50)
  const first = String(recordOf(itemsOf(json['events'])[0])['id'])
  using stream = await StreamClient.open(url, '/events/**', { 'last-event-id': first })
  await stream.until(({ data }) => data.length >= 100)
  await stream.until(({ comments }) => comments.length >= 2) // it says hello, and that it lives
}
