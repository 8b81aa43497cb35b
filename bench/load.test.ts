// Proves that load.c counts right: whatever it says of a server that was awkward on purpose is what that server did.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { before, describe, test, type TestContext } from 'node:test'
import { type Awkwardness, type AwkwardServer, countOf, startAwkwardServer } from './awkward-server.ts'
import { build, whyNoCompiler } from './build.ts'
import { type Measurement, outputOf, runGenerator } from './generator.ts'

const FRAMINGS = ['plain', 'chunked', 'ws'] as const
const MARK_BYTES = 27 // of load.c's marker: reads one below and above it are where off-by-one errors would live
const CLIENTS = 4
const EVENTS = 50
const FAULTS = { drop: 0.1, double: 0.1, swap: 0.1 }
const NO_COMPILER = whyNoCompiler()

describe('the load generator', { concurrency: 8, ...(NO_COMPILER !== undefined && { skip: NO_COMPILER }) }, () => {
  let binary = ''
  before(() => {
    binary = build('load')
  })

  /** Runs the generator against an awkward server; the test's end stops that. */
  async function run(
    t: TestContext,
    awkwardness: Partial<Awkwardness> & Pick<Awkwardness, 'framing'>,
    ...args: string[]
  ): Promise<{ found: Measurement; server: AwkwardServer }> {
    const server = await startAwkwardServer({ events: EVENTS, ...awkwardness })
    t.after(() => {
      server.stop()
    })
    const given = [
      ['--protocol', awkwardness.framing === 'ws' ? 'ws' : 'sse'],
      ['--port', String(server.port)],
      ['--clients', String(CLIENTS)],
      ['--events', String(awkwardness.events ?? EVENTS)],
      ['--settle', '0.05', '--grace', '2', '--linger', '0.3', '--timeout', '20'],
    ]
    return { found: await runGenerator(binary, [...given.flat(), ...args]), server }
  }

  test('clients that come for what they missed ask each from a place of its own, and count that alone', async (t) => {
    const asked: number[] = []
    const server = createServer((request, response) => {
      asked.push(Number(request.url?.split('-').at(-1)))
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const number of [99, 100, 101, 102, 103, 5]) response.write(`data: ${markOf(number)}\n\n`)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close().closeAllConnections())
    const address = server.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    const place = ['--path', '/a?lastEventId=e-$OFFSET', '--offset', '50', '--spread', '2']
    const missed = ['--missed', '3', '--missed-first', '100', '--clients', '4', '--grace', '1', '--linger', '0']
    const found = await runGenerator(binary, ['--port', String(port), ...place, ...missed])
    assert.deepEqual([found.exact, found.delivered, found.lost, found.foreign], [true, 12, 0, 12])
    assert.deepEqual(
      asked.toSorted((left, right) => left - right),
      [49, 49, 50, 50],
    )
  })

  for (const framing of FRAMINGS) {
    for (const readBytes of [1, 2, MARK_BYTES - 1, MARK_BYTES, MARK_BYTES + 1, 65_536]) {
      test(`finds every event once, in order, over ${framing} in reads of ${readBytes}`, async (t) => {
        const { found } = await run(t, { framing }, '--read-max', String(readBytes))
        assert.equal(found.exact, true)
        assert.deepEqual(countsIn(found), countOf(Array(CLIENTS).fill(inOrder(EVENTS)), EVENTS))
        assert.equal(found.delivered, CLIENTS * EVENTS)
      })
    }

    for (const seed of [1, 2, 3]) {
      test(`counts what was lost, doubled and reordered over ${framing}, cut anywhere (${seed})`, async (t) => {
        const { found, server } = await run(t, { framing, seed, faults: FAULTS, pieceBytesMax: 200 })
        const expected = countOf(server.orders, EVENTS)
        assert.deepEqual(countsIn(found), expected)
        assert.ok(expected.lost > 0 && expected.doubled > 0 && expected.reordered > 0, 'all three happened')
        assert.equal(found.exact, false)
        assert.equal(found.garbled, 0)
      })
    }

    test(`finds events inside JSON, of 70,000 bytes, over ${framing}`, async (t) => {
      const rewrite = (text: string) => JSON.stringify({ topic: 'a', data: text })
      const { found } = await run(t, { framing, rewrite, events: 10 }, '--bytes', '70000')
      assert.equal(found.exact, true)
      assert.equal(found.arrived, CLIENTS * 10)
    })

    test(`calls an event with a damaged marker garbled, and lost, over ${framing}`, async (t) => {
      const rewrite = (text: string, number: number) => {
        if (number === 7) return text.replace('0', 'z')
        return number === 9 ? text.replace(/!(?=[a-z])/, '?') : text
      }
      const { found } = await run(t, { framing, rewrite }, '--read-max', '5')
      assert.equal(found.garbled, 2 * CLIENTS)
      assert.equal(found.lost, 2 * CLIENTS)
      assert.equal(found.exact, false)
    })

    test(`counts subscribers that are refused or closed, over ${framing}`, async (t) => {
      const isSecond = (subscriber: number) => subscriber === 1
      const { found } = await run(t, { framing, refuse: isSecond, destroy: isSecond })
      assert.equal(found.refused, 1)
      assert.equal(found.clients, CLIENTS - 1)
      assert.equal(found.closed, 1)
      assert.equal(found.lost, 0)
      assert.equal(found.exact, false)
    })

    test(`counts slow subscribers that are given up, over ${framing}`, async (t) => {
      const isSlow = (subscriber: number) => subscriber >= CLIENTS
      const { found } = await run(t, { framing, destroy: isSlow }, '--slow', '3')
      assert.equal(found.exact, true)
      assert.equal(found.arrived, CLIENTS * EVENTS)
      assert.equal(found.slowClosed, 3)
    })
  }

  test('leaves to its slow subscribers what they are sent', async (t) => {
    const { found, server } = await run(t, { framing: 'plain', events: 300 }, '--slow', '1', '--bytes', '100000')
    assert.equal(found.exact, true)
    assert.equal(found.slowClosed, 0)
    const slowBacklogBytes = server.backlogBytesMax[CLIENTS] ?? 0
    assert.ok(slowBacklogBytes > 10_000_000, `of 30 MB ${slowBacklogBytes} bytes waited`)
  })

  test('counts the warm-up, but does not time it', async (t) => {
    const { found } = await run(t, { framing: 'plain' }, '--warmup', '8', '--events', String(EVENTS - 8))
    assert.equal(found.exact, true)
    assert.equal(found.arrived, CLIENTS * EVENTS)
    assert.equal(found.delivered, CLIENTS * (EVENTS - 8))
  })

  test('publishes at a rate, on several connections', async (t) => {
    const { found } = await run(t, { framing: 'plain' }, '--rate', '500', '--connections', '3')
    assert.equal(found.exact, true)
    assert.equal(found.answered, EVENTS)
  })

  test('knows no order between publishers, but one within each', async (t) => {
    const two = await run(t, { framing: 'plain', oneFirst: true }, '--connections', '2')
    assert.equal(two.found.exact, true)
    const one = await run(t, { framing: 'plain', oneFirst: true }, '--connections', '1')
    assert.equal(one.found.reordered, CLIENTS)
  })

  test('finds subscribers that see the events of several publishers in different orders', async (t) => {
    const faults = { drop: 0, double: 0, swap: 0.3 }
    const { found } = await run(t, { framing: 'plain', faults }, '--connections', '8')
    assert.equal(found.arrived, CLIENTS * EVENTS)
    assert.ok(found.clientsApart > 0)
    assert.equal(found.exact, false)
  })

  test('publishes lines in one long request', async (t) => {
    const line = ['--body', '{"topic":"a","data":"$EVENT"}', '--content-type', 'application/x-ndjson']
    const { found, server } = await run(t, { framing: 'plain', events: 3_000 }, '--publish', 'stream', ...line)
    assert.equal(found.exact, true)
    assert.equal(found.answered, 1)
    assert.deepEqual(server.orders[0], inOrder(3_000))
  })

  test('does not run further ahead than it may', async (t) => {
    const lines = ['--publish', 'stream', '--content-type', 'application/x-ndjson', '--timeout', '1']
    const enough = await run(t, { framing: 'plain' }, ...lines, '--ahead', '8')
    assert.equal(enough.found.exact, true)
    const tooFew = await run(t, { framing: 'plain' }, ...lines, '--ahead', '4') // the server delivers eight at a time
    assert.equal(tooFew.found.published, 4)
  })

  test('fails when publishing is refused', async (t) => {
    const { found } = await run(t, { framing: 'plain', publishStatus: 503 })
    assert.equal(found.publishFailed, EVENTS)
    assert.equal(found.exact, false)
  })

  test('fails when a publisher is hung up on, and goes on publishing', async (t) => {
    const hangUp = (number: number) => number === 5
    const { found } = await run(t, { framing: 'plain', hangUp, events: EVENTS })
    assert.equal(found.publishFailed, 1)
    assert.equal(found.answered, EVENTS - 1)
    assert.equal(found.exact, false)
  })

  test('says hello, asks for a subprotocol and answers pings', async (t) => {
    const hello = ['--subprotocol', 'hydrant.v1', '--hello', '{"subscribe":"a"}', '--bytes', '300']
    const { found, server } = await run(t, { framing: 'ws' }, ...hello)
    assert.equal(found.exact, true)
    assert.deepEqual(server.subprotocols, Array(CLIENTS).fill('hydrant.v1'))
    assert.equal(server.received.filter(([, payload]) => payload === '{"subscribe":"a"}').length, CLIENTS)
    assert.ok(server.received.some(([opcode, payload]) => opcode === 10 && payload === 'are you there'))
  })

  test('hangs up when it gets a close frame', async (t) => {
    const { found } = await run(t, { framing: 'ws', closeFrame: (subscriber) => subscriber === 0 })
    assert.equal(found.closed, 1)
    assert.equal(found.lost, 0)
  })

  test('refuses options that it does not know', async () => {
    await assert.rejects(outputOf([binary, '--nonsense', '1']), /no such option/)
  })
})

function inOrder(events: number): number[] {
  return Array.from({ length: events }, (_, i) => i)
}

function countsIn(found: Measurement): ReturnType<typeof countOf> {
  const { lost, doubled, reordered, arrived, clientsWrong } = found
  return { lost, doubled, reordered, arrived, clientsWrong }
}

/** A payload as the generator makes it: due at 0, with a number. */
function markOf(number: number): string {
  return `#!${'0'.repeat(16)}${number.toString(16).padStart(8, '0')}!`
}
