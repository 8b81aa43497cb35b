// The clock of the server's machine, set back an hour while it runs and over a restart, and set right again: nothing
// that was kept is forgotten, a retry is known, and asking for the last seconds yields what they brought.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from '../support/ask.ts'
import { FakedClock } from '../support/faked-clock.ts'
import { FleetClient } from '../support/fleet-client.ts'
import type { Transport } from '../support/fleet-link.ts'
import { Fleet } from '../support/fleet.ts'
import { KillableServer } from '../support/killable-server.ts'
import { itemsOf, recordOf } from '../support/record.ts'
import { TempFolder } from './temp-folder.ts'

const SEED = 4
const HOUR_S = 3_600
const HALF_AN_HOUR_S = 1_800
const OLD = ['one', 'two', 'three']
const TRANSPORTS = ['sse', 'ndjson', 'websocket', 'sse-envelope'] as const

test('a clock set back an hour, also over a restart, costs no event, no idempotency key and no `since`', async () => {
  using folder = new TempFolder()
  using log = new TempFolder()
  const clock = new FakedClock(folder.path)
  await using server = await KillableServer.start({ folder: log.path, env: clock.env })
  using fleet = await Fleet.start({ url: server.url, seed: SEED })
  const follow = new Story(server.url, fleet)
  await fleet.progress(100)
  await follow.tell('before')

  clock.set(-HOUR_S)
  await untilAhead(server.url, -HOUR_S)
  await fleet.progress(100)
  await follow.tell('an hour back')

  await server.kill()
  await server.restart()
  await untilAhead(server.url, -HOUR_S)
  await fleet.progress(100)
  await follow.tell('an hour back, after a restart')

  clock.set(0)
  await untilAhead(server.url, 0)
  await fleet.progress(100)
  await follow.tell('right again')

  const report = await fleet.finish()
  assert.ok(report.ok, String(report))
  assert.equal(report.tally.gaps, 0)
  await server.kill()
  assert.equal(server.stderr, '')
})

test('what is kept for half an hour leaves then, and not before, whatever the clock was set to meanwhile', async () => {
  using folder = new TempFolder()
  using log = new TempFolder()
  const clock = new FakedClock(folder.path)
  const flags = ['--retention-ms', String(HALF_AN_HOUR_S * 1_000)]
  await using server = await KillableServer.start({ folder: log.path, env: clock.env, flags })
  using fleet = await Fleet.start({ url: server.url, seed: SEED + 1 })
  const [first = ''] = await fleet.publish('story', ...OLD)
  await fleet.progress(50)
  for (const aheadS of [-HOUR_S, 0]) {
    clock.set(aheadS)
    await untilAhead(server.url, aheadS)
    await fleet.progress(50)
    await server.kill()
    await server.restart()
    await fleet.publish('story', `set to ${aheadS}`)
    assert.deepEqual((await stories(server.url)).slice(0, OLD.length), OLD)
  }
  clock.set(HALF_AN_HOUR_S + 60)
  await untilAhead(server.url, HALF_AN_HOUR_S + 60)
  await fleet.publish('story', 'new')
  while ((await stories(server.url)).length > 1) await fleet.progress(1)
  assert.deepEqual(await stories(server.url), ['new'])

  const late = TRANSPORTS.map((transport) => lateComer(server.url, transport, first))
  for (const client of late) fleet.join(client)
  clock.set(0)
  await fleet.progress(50)
  const report = await fleet.finish()
  assert.ok(report.ok, String(report))
  for (const { name, gaps } of late) assert.ok(gaps > 0, `${name} was not told that events are gone`)
  assert.equal(report.tally.gaps, late.length)
})

/** Events that are published under keys of their own, and asked for again each time that another one is. */
class Story {
  readonly #url: string
  readonly #fleet: Fleet
  readonly #ids = new Map<string, string>()

  constructor(url: string, fleet: Fleet) {
    this.#url = url
    this.#fleet = fleet
  }

  /** Publishes the next one, and looks at all so far. */
  async tell(data: string): Promise<void> {
    const id = await this.#publish(data)
    this.#ids.set(data, id)
    this.#fleet.publishers[0]?.records.push({ topic: 'story', data, outcome: { id } })
    for (const [said, was] of this.#ids) assert.equal(await this.#publish(said), was, `a retry of “${said}”`)
    assert.deepEqual(await this.#since('2h'), [...this.#ids.keys()])
    assert.equal((await this.#since('1m')).at(-1), data)
  }

  async #publish(data: string): Promise<string> {
    const headers = { 'idempotency-key': data }
    const { status, json, text } = await ask(this.#url, 'POST', '/events/story', { body: data, headers })
    assert.equal(status, 200, text)
    return String(json['id'])
  }

  /** What the topic brought since then; its times never go back. */
  async #since(since: string): Promise<readonly string[]> {
    const accept = { accept: 'application/json' }
    const { json } = await ask(this.#url, 'GET', `/events/story?since=${since}`, { headers: accept })
    const events = itemsOf(json['events']).map((event) => recordOf(event))
    const times = events.map((event) => String(event['time']))
    assert.deepEqual(times, times.toSorted())
    return events.map((event) => String(event['data']))
  }
}

/** What is kept of the topic. */
async function stories(url: string): Promise<readonly string[]> {
  const { json } = await ask(url, 'GET', '/events/story?earliest', { headers: { accept: 'application/json' } })
  return itemsOf(json['events']).map((event) => String(recordOf(event)['data']))
}

/** Comes back with an id whose successors are gone. */
function lateComer(url: string, transport: Transport, lastEventId: string): FleetClient {
  return new FleetClient({
    name: `late by ${transport}`,
    url,
    topics: ['story', Fleet.finale.topic],
    transports: [transport],
    lastEventId,
    silenceMs: 5_000,
    random: (below) => below - 1,
  })
}

/** Waits until the server's clock is about so far ahead of the real one; it says what it is once a second. */
async function untilAhead(url: string, wantedS: number): Promise<void> {
  const endMs = performance.now() + 10_000
  for (;;) {
    const { headers } = await ask(url, 'GET', '/livez')
    const aheadS = (Date.parse(headers.date ?? '') - Date.now()) / 1_000
    if (Math.abs(aheadS - wantedS) < 60) return
    assert.ok(performance.now() < endMs, `the clock is ${aheadS} s ahead, not ${wantedS}`)
  }
}
