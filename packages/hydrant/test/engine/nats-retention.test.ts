// What NATS trims: the table of terms stays, the state stays right, and what is too large is refused before it is sent.

import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { parseId } from 'hydrant-client/wire'
import { NatsEngine, type NatsEngineOptions } from '../../src/engine/nats.ts'
import { HydrantError } from '../../src/hub/errors.ts'
import { Selection } from '../../src/hub/selection.ts'
import { NATS_SERVERS, NatsServer } from '../support/nats-server.ts'
import { NatsFollower } from '../support/nats-follower.ts'
import { until } from '../support/until.ts'

const ALL = Selection.of(['**'], undefined, 100)

for (const { name, command } of NATS_SERVERS) {
  suite(name, () => {
    let server: NatsServer | undefined

    before(async () => {
      server = await NatsServer.start(command)
    })

    after(async () => {
      await server?.[Symbol.asyncDispose]()
    })

    const open = async (options: NatsEngineOptions, followed?: 'nothing'): Promise<NatsFollower> => {
      const follower = new NatsFollower(new NatsEngine({ servers: [server?.address ?? ''], ...options }), followed)
      await follower.open()
      return follower
    }

    test('the table of terms outlives what is trimmed, so that who opens the log later knows its ids', async () => {
      const options = { hub: 'terms', retention: { logBytesMax: 65_536 } }
      const one = await open(options)
      const floorOf = (): number => one.engine.bounds().floor
      for (let round = 1; round <= 3; round += 1) {
        for (const floor = floorOf(); floorOf() <= floor;) {
          await Promise.all(Array.from({ length: 20 }, async () => one.append('loud', 'x'.repeat(1_000))))
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
      }
      const late = await open(options)
      const id = parseId(one.events.at(-1)?.id ?? '')
      assert.ok(id !== undefined)
      const bounds = late.engine.bounds()
      assert.deepEqual(bounds.epochs.resume(id, bounds.floor, bounds.head), { after: id.offset, known: true })
      assert.deepEqual([one.undos, one.skips], [[], []])
      await one.check()
      await Promise.all([one.engine.close(), late.engine.close()])
    })

    test('of a key that is written all the time the state as of a place is the value of then', async () => {
      const one = await open({ hub: 'hot' })
      const write = async (key: string, data: string): Promise<void> => {
        await one.engine.append([{ topic: 'a', type: data === 'odd' ? 'odd' : 'message', key, data }])
      }
      await write('cold', 'cold')
      for (let at = 0; at < 100; at += 1) await write('hot', String(at))
      const { head } = one.engine.bounds()
      await Promise.all(Array.from({ length: 3_000 }, async (_, at) => write('hot', String(100 + at))))
      await write('cold', 'odd')
      const stateOf = async (to: number, types?: readonly string[]): Promise<readonly unknown[]> => {
        const selection = Selection.of(['a'], types, 100)
        const { events } = await one.engine.state({ after: 0, to, selection, eventsMax: 100, bytesMax: 100_000 })
        return events.map(({ data }) => data)
      }
      assert.deepEqual(await stateOf(head), ['cold', '99'])
      assert.deepEqual(await stateOf(one.engine.bounds().head), ['3099', 'odd'])
      assert.deepEqual(await stateOf(one.engine.bounds().head, ['message']), ['cold', '3099'])
      await one.engine.close()
    })

    test('an event that NATS would not take is refused before it is sent, and the connection stays', async () => {
      const one = await open({ hub: 'large', onWarning: () => assert.fail('the connection was lost') })
      await assert.rejects(
        async () => one.append('a', 'x'.repeat(1_048_576)),
        (error) => error instanceof HydrantError && error.code === 'event-too-large',
      )
      assert.notEqual(await one.append('a', 'x'.repeat(1_000_000)), undefined)
      await one.check()
      await one.engine.close()
    })

    test('who follows nothing is brought nothing, and reads all the same what was stored a moment ago', async () => {
      const [one, other] = [await open({ hub: 'quiet' }), await open({ hub: 'quiet' }, 'nothing')]
      for (let at = 0; at < 50; at += 1) {
        const id = await one.append('a', String(at))
        const { head } = other.engine.bounds()
        const { events } = await other.engine.read({ after: head, selection: ALL, eventsMax: 100, bytesMax: 10_000 })
        assert.deepEqual(
          events.map((event) => event.id),
          head >= (parseId(id ?? '')?.offset ?? 0) ? [] : [id],
        )
      }
      await until(() => other.engine.bounds().head >= one.engine.bounds().head, 'both to be at the same place')
      await one.engine.close()
      await other.engine.close()
    })
  })
}
