// Ends of topics in NATS, which cannot refuse what is published to another subject: whoever loses the race is refused, and
// nobody is told of its event.

import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { connect } from '@nats-io/transport-node'
import { jetstream } from '@nats-io/jetstream'
import { CONTROL_TYPES, parseId } from 'hydrant-client/wire'
import type { Engine } from '../../src/engine/engine.ts'
import { NatsEngine } from '../../src/engine/nats.ts'
import { HydrantError } from '../../src/hub/errors.ts'
import { NATS_SERVERS, NatsServer } from '../support/nats-server.ts'
import { NatsFollower } from '../support/nats-follower.ts'
import { until } from '../support/until.ts'

const TOPICS = 40

for (const { name, command } of NATS_SERVERS) {
  suite(name, () => {
    let server: NatsServer | undefined

    before(async () => {
      server = await NatsServer.start(command)
    })

    after(async () => {
      await server?.[Symbol.asyncDispose]()
    })

    const open = async (hub: string, followed?: 'nothing'): Promise<NatsFollower> => {
      const follower = new NatsFollower(new NatsEngine({ servers: [server?.address ?? ''], hub }), followed)
      await follower.open()
      return follower
    }

    for (const [words, followed] of [
      ['which follows it', undefined] as const,
      ['which does not', 'nothing'] as const,
    ]) {
      test(`an end at one node and events at another, ${words}: acknowledged events stand before the end`, async () => {
        const hub = `race-${followed === undefined ? 'all' : 'none'}`
        const [one, other] = [await open(hub), await open(hub, followed)]
        const outcomes = await Promise.all(
          Array.from({ length: TOPICS }, async (_, at) => {
            const topic = `race/${at}`
            const appends = [0, 1, 2].map(async (place) => append(other.engine, topic, String(place)))
            const [end, ...events] = await Promise.all([endTopic(one.engine, topic), ...appends])
            return { topic, end, events }
          }),
        )
        const last = await one.append('last', 'of all')
        await until(() => one.events.some(({ id }) => id === last), 'the last event')
        const kept = new Set(one.events.map(({ id }) => id))
        assert.deepEqual(
          (await one.log()).map(({ id }) => id),
          one.events.map(({ id }) => id),
        )
        for (const { topic, end, events } of outcomes) {
          const ended = parseId(end)?.offset ?? 0
          assert.equal(one.engine.endOf(topic), ended)
          const acknowledged = events.filter((id) => id !== undefined)
          for (const id of acknowledged) assert.ok(kept.has(id) && (parseId(id)?.offset ?? Infinity) < ended)
          assert.equal(one.events.filter((event) => event.topic === topic).length, acknowledged.length + 1)
        }
        await Promise.all([one.engine.close(), other.engine.close()])
      })
    }

    test('what somebody else publishes after the end of a topic is left out by everybody', async () => {
      const [one, other] = [await open('foreign'), await open('foreign')]
      const connection = await connect({ servers: server?.address ?? '' })
      const js = jetstream(connection)
      await js.publish('hydrant.foreign.a.$.$', 'before')
      await endTopic(one.engine, 'a')
      await js.publish('hydrant.foreign.a.$.$', 'after')
      await js.publish('hydrant.foreign.b.$.a%20key', 'of another')
      await connection.close()
      for (const follower of [one, other]) {
        await until(() => follower.events.at(-1)?.topic === 'b', 'the last event')
        const lines = follower.events.map(({ topic, key, data }) => [topic, key, data])
        assert.deepEqual(lines, [
          ['a', undefined, 'before'],
          ['a', undefined, '{}'],
          ['b', 'a key', 'of another'],
        ])
        assert.deepEqual((await follower.log()).length, 3)
        await follower.engine.close()
      }
    })

    test('an end is known to who opens the log later', async () => {
      const one = await open('later')
      const id = await endTopic(one.engine, 'a/b')
      const late = await open('later', 'nothing')
      assert.equal(late.engine.endOf('a/b'), parseId(id)?.offset)
      assert.equal(await append(late.engine, 'a/b', 'too late'), undefined)
      assert.deepEqual(
        (await late.log()).map(({ type }) => type),
        [CONTROL_TYPES.end],
      )
      await Promise.all([one.engine.close(), late.engine.close()])
    })
  })
}

/** Undefined when the topic has ended. */
async function append(engine: Engine, topic: string, data: string): Promise<string | undefined> {
  try {
    const [id] = await engine.append([{ topic, type: 'message', key: undefined, data }])
    return id
  } catch (error) {
    if (error instanceof HydrantError && error.code === 'topic-ended') return undefined
    throw error
  }
}

async function endTopic(engine: Engine, topic: string): Promise<string> {
  const [id = ''] = await engine.append([{ topic, type: CONTROL_TYPES.end, key: undefined, data: '{}' }])
  return id
}
