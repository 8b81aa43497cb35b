// Proves that load.c counts right where streams are compressed, belong to topics, or are cut and resumed.

import assert from 'node:assert/strict'
import { before, describe, test, type TestContext } from 'node:test'
import { build, whyNoCompiler } from './build.ts'
import { type Measurement, outputOf, runGenerator } from './generator.ts'
import { type Resuming, type ResumingServer, startResumingServer } from './resuming-server.ts'

const CLIENTS = 4
const EVENTS = 60
const NO_COMPILER = whyNoCompiler()

describe('the load generator', { concurrency: 8, ...(NO_COMPILER !== undefined && { skip: NO_COMPILER }) }, () => {
  let binary = ''
  before(() => {
    binary = build('load')
  })

  async function run(
    t: TestContext,
    protocol: 'sse' | 'ws',
    resuming: Resuming,
    ...args: string[]
  ): Promise<{ found: Measurement; server: ResumingServer }> {
    const server = await startResumingServer(resuming)
    t.after(() => {
      server.stop()
    })
    const given = [
      ['--protocol', protocol, '--port', String(server.port), '--path', '/events/a', '--publish-path', '/events/a'],
      ['--clients', String(CLIENTS), '--events', String(EVENTS)],
      ['--settle', '0.05', '--grace', '2', '--linger', '0.3', '--timeout', '20'],
    ]
    return { found: await runGenerator(binary, [...given.flat(), ...args]), server }
  }

  for (const protocol of ['sse', 'ws'] as const) {
    for (const compression of protocol === 'sse' ? (['kept'] as const) : (['kept', 'anew'] as const)) {
      for (const readBytes of [1, 7, 65_536]) {
        const name = `finds every event in compressed streams over ${protocol}, ${compression}, in reads of ${readBytes}`
        test(name, async (t) => {
          const args = ['--compressed', '1', '--payload', 'prices', '--read-max', String(readBytes)]
          const { found } = await run(t, protocol, { compression }, ...args)
          assert.equal(found.exact, true)
          assert.equal(found.compressed, CLIENTS)
          assert.ok(found.bytesPerDelivery < (compression === 'kept' ? 80 : 180))
        })
      }
    }

    test(`takes plain streams, too, when it asks for compressed ones, over ${protocol}`, async (t) => {
      const { found } = await run(t, protocol, {}, '--compressed', '1')
      assert.equal(found.exact, true)
      assert.equal(found.compressed, 0)
    })

    test(`publishes quotes, each a whole JSON object of the same length, over ${protocol}`, async (t) => {
      const { found } = await run(t, protocol, {}, '--payload', 'prices')
      assert.equal(found.exact, true)
    })

    for (const readBytes of [1, 65_536]) {
      test(`comes back with its id when it is cut, over ${protocol}, in reads of ${readBytes}`, async (t) => {
        const cut = ['--cut', '20', '--rate', '200', '--read-max', String(readBytes), ...resumeOptions(protocol)]
        const { found, server } = await run(t, protocol, { backAfterEvents: 5 }, ...cut)
        assert.equal(server.returned, CLIENTS)
        assert.equal(found.exact, true)
        assert.equal(found.arrived, CLIENTS * EVENTS)
        assert.ok(found.backMs > 0)
      })
    }

    test(`counts as lost what a server without history never sent, over ${protocol}`, async (t) => {
      const resuming = { backAfterEvents: 5, hasHistory: false }
      const { found, server } = await run(
        t,
        protocol,
        resuming,
        '--cut',
        '20',
        '--rate',
        '200',
        ...resumeOptions(protocol),
      )
      assert.ok(server.missed >= CLIENTS * 5)
      assert.equal(found.lost, server.missed)
      assert.equal(found.closed, 0)
    })

    test(`gives each client a topic of its own, over ${protocol}`, async (t) => {
      const { found } = await run(t, protocol, {}, ...topics(CLIENTS))
      assert.equal(found.exact, true)
      assert.equal(found.arrived, EVENTS)
    })

    test(`calls an event of another topic garbled, over ${protocol}`, async (t) => {
      const reroute = (topic: string) => (topic === '00002' ? '00001' : topic)
      const { found } = await run(t, protocol, { reroute }, ...topics(CLIENTS))
      assert.equal(found.garbled, EVENTS / CLIENTS)
      assert.equal(found.lost, EVENTS / CLIENTS)
      assert.equal(found.exact, false)
    })
  }

  test('answers a ping of a protocol above WebSocket', async (t) => {
    const { server } = await run(t, 'ws', { greeting: '2' }, '--ping', '2', '--pong', '3')
    assert.deepEqual(server.said, Array(CLIENTS).fill('3'))
  })

  test('refuses topics that no path names', async () => {
    await assert.rejects(outputOf([binary, '--topics', '100']), /need a \$TOPIC in both paths/)
  })
})

function resumeOptions(protocol: 'sse' | 'ws'): readonly string[] {
  return protocol === 'ws' ? ['--resume-key', 'from'] : []
}

function topics(count: number): readonly string[] {
  return ['--topics', String(count), '--path', '/events/$TOPIC', '--publish-path', '/events/$TOPIC']
}
