// Two thousand clients that come back in one moment, each with an id a thousand of its events old: each gets exactly
// what it missed, from the disk and from memory, while others are served as before.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseId } from 'hydrant-client/wire'
import type { ClientRecord } from '../../src/testing/testing.ts'
import { ask } from '../support/ask.ts'
import { CrowdClient, distinct } from '../support/crowd-client.ts'
import { Fleet } from '../support/fleet.ts'
import { KillableServer } from '../support/killable-server.ts'
import { until } from '../support/until.ts'
import { TempFolder } from './temp-folder.ts'

const SEED = 6
const CLIENTS = 2_000
const MISSED = 1_000
/** They were cut off at as many places. */
const PLACES = 10
const BATCH = 20
const MEANWHILE_MAX = 1_000
const TOPICS = ['crowd/*', Fleet.finale.topic]
/** Holds a part of what was missed: the rest is read from the disk, and then comes the step between them. */
const FLAGS = ['--window-bytes', '600000', '--heartbeat-ms', '10000']
/** Whoever asks for a page has to wait for its turn. */
const PATIENCE_MS = 20_000

test(`${CLIENTS} clients that come back at once, ${MISSED} events behind, get exactly these; others notice nothing`, async () => {
  using folder = new TempFolder()
  await using server = await KillableServer.start({ folder: folder.path, flags: FLAGS })
  using fleet = await Fleet.start({ url: server.url, seed: SEED, patienceMs: PATIENCE_MS })
  const ids: string[] = []
  while (ids.length < PLACES + MISSED) ids.push(...(await fleet.publish('crowd/a', ...texts(ids.length))))
  const floor = await windowFloor(server.url)
  assert.ok(floor > offsetOf(ids[PLACES]) && floor < offsetOf(ids.at(-1)), `the window begins at ${floor}`)
  const losses = fleet.clients.map((client) => client.losses)
  const known = new Map<string, ClientRecord>()
  const crowd = Array.from(
    { length: CLIENTS },
    (_, at) => new CrowdClient(server.port, TOPICS, ids[at % PLACES] ?? '', known),
  )
  try {
    const missed = (at: number): number => ids.length - 1 - (at % PLACES)
    for (let more = 0; !crowd.every(({ records }, at) => records.length > missed(at)); more += 1) {
      assert.ok(more < MEANWHILE_MAX, 'the crowd did not get what it missed')
      await fleet.publish('crowd/b', `meanwhile ${more}`)
      await fleet.progress(10)
    }
    await fleet.end()
    await until(() => crowd.every((client) => client.has(Fleet.finale.data)), 'the crowd')
    assert.deepEqual(
      fleet.clients.map((client) => client.losses),
      losses,
      'somebody else lost a connection',
    )
    assert.deepEqual(
      crowd.flatMap((client) => [...client.complaints, ...(client.losses > 0 ? [client.name] : [])]),
      [],
    )
  } finally {
    for (const client of crowd) client.close()
  }
  for (const client of distinct(crowd)) fleet.join(client)
  const report = await fleet.judge()
  assert.ok(report.ok, String(report))
  assert.equal(report.tally.gaps, 0)
  await server.kill()
  assert.equal(server.stderr, '')
})

function texts(from: number): readonly string[] {
  return Array.from({ length: BATCH }, (_, at) => `number ${from + at}`)
}

/** Every event after this offset is in memory. */
async function windowFloor(url: string): Promise<number> {
  const { text } = await ask(url, 'GET', '/metrics')
  return Number(/^hydrant_window_floor (\d+)/m.exec(text)?.[1])
}

function offsetOf(id: string | undefined): number {
  return parseId(id ?? '')?.offset ?? Number.NaN
}
