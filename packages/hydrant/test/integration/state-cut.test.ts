// A client of the state that comes back behind a gap, and is cut again before the state is whole: on every transport it
// comes back with the id that it was told, and is in step.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from 'hydrant-client'
import { parseId, SUBPROTOCOL } from 'hydrant-client/wire'
import { CuttingRelay } from '../support/cutting-relay.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer, type TestServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

/** One thing that a client was told: what it is, and the id to come back with. */
interface Told {
  readonly what: string
  readonly id: string
}

/** Comes with an id, or none; answers what it was told up to the sign that the state is whole. */
type Follow = (server: TestServer, lastEventId: string) => Promise<readonly Told[]>

const PATH = '/events/prices?state=latest&lag=disconnect&lastEventId='
const KEYS = 12

/** A server that has let go of the first event, and the id of that. */
async function serverWithGap(): Promise<{ readonly server: TestServer; readonly first: string }> {
  const server = await startServer({ limits: { windowBytes: 65_536, flushBytesMax: 4_096 } })
  const [first = ''] = await server.hub.publishBatch([{ topic: 'prices', key: 'k0', data: 'first' }])
  const long = 'x'.repeat(2_000)
  for (let at = 0; at < 60; at += 1)
    await server.hub.publish({ topic: 'prices', key: `k${at % KEYS}`, data: `${at} ${long}` })
  assert.ok(server.hub.window.floor > 1)
  return { server, first }
}

const wordOf = (data: unknown): string => String(data).split(' ')[0] ?? ''

const sse: Follow = async (server, lastEventId) => {
  using client = await StreamClient.open(server.url, PATH + lastEventId)
  await client.until(({ messages }) => messages.some(({ type }) => type === 'hydrant:live'))
  return client.messages.map(({ type, data, lastEventId: id }) => ({
    what: type.startsWith('hydrant:') ? type.slice('hydrant:'.length) : wordOf(data),
    id,
  }))
}

const ndjson: Follow = async (server, lastEventId) => {
  using client = await StreamClient.open(server.url, PATH + lastEventId, { accept: 'application/x-ndjson' })
  await client.until(({ lines }) => lines.some(({ live }) => live !== undefined))
  return client.lines.flatMap(toldOf)
}

const websocket: Follow = async (server, lastEventId) => {
  using client = await WsClient.open(server.wsUrl + PATH + lastEventId, SUBPROTOCOL)
  await client.until(({ json }) => json.some(({ live }) => live !== undefined))
  return client.json.flatMap(toldOf)
}

/** As a program of anybody's own would read it, by PROTOCOL.md. */
function toldOf(message: Readonly<Record<string, unknown>>): readonly Told[] {
  const { gap, live, id, data } = message
  if (typeof live === 'string') return [{ what: 'live', id: live }]
  if (typeof gap === 'object' && gap !== null && 'to' in gap)
    return [{ what: 'gap', id: String('id' in gap ? gap.id : gap.to) }]
  return typeof id === 'string' ? [{ what: wordOf(data), id }] : []
}

const NEWEST = Array.from({ length: KEYS }, (_, at) => String(60 - KEYS + at))

for (const [name, follow] of Object.entries({ sse, ndjson, websocket })) {
  test(`${name}: cut anywhere between the gap and the sign, a client of the state comes back without loss`, async () => {
    const { server, first } = await serverWithGap()
    await using _ = server
    const whole = await follow(server, first)
    assert.deepEqual(
      whole.map(({ what }) => what),
      ['gap', ...NEWEST, 'live'],
    )
    assert.equal(parseId(whole[0]?.id ?? '')?.offset, 0)
    for (let cut = 1; cut < whole.length - 1; cut += 1) {
      const arrived = whole.slice(0, cut)
      const id = arrived.at(-1)?.id ?? ''
      if (cut === 1) {
        // Nothing of the state came: the gap and all of it again.
        assert.deepEqual(await follow(server, id), whole)
        continue
      }
      // Some of it came: the rest, each event once. There is no sign any more, for it goes on as a stream.
      using rest = await StreamClient.open(server.url, PATH + id)
      await rest.until(({ data }) => wordOf(data.at(-1)) === NEWEST.at(-1))
      assert.deepEqual([...arrived.slice(1).map(({ what }) => what), ...rest.data.map(wordOf)], NEWEST)
    }
  })
}

for (const transport of ['sse', 'websocket'] as const) {
  test(`hydrant-client over ${transport}: cut right behind the gap, it has the whole state in the end`, async () => {
    const { server, first } = await serverWithGap()
    await using _ = server
    for (const cutAfterBytes of [500, 700, 1_000, 3_000]) {
      await using relay = await CuttingRelay.start(server.port, [cutAfterBytes])
      const state = new Map<string, string>()
      const stream = connect(`http://127.0.0.1:${relay.port}/events`, {
        topics: ['prices'],
        transport,
        state: 'latest',
        lastEventId: first,
        backoffMs: 1,
        onEvent: ({ key = '', data }) => void state.set(key, wordOf(data)),
      })
      await until(() => stream.lastEventId === server.hub.idAt(server.hub.window.head), 'the state')
      stream.close()
      assert.deepEqual([...state.values()].toSorted(), NEWEST.toSorted(), `cut after ${cutAfterBytes}`)
      assert.equal(relay.cuts, 1)
    }
  })
}
