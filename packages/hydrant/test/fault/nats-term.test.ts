// A term that another node begins, while nothing was lost: everybody takes it over, and nothing is undone.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NatsEngine } from '../../src/engine/nats.ts'
import { NatsLink } from '../../src/engine/nats-link.ts'
import { natsSettings } from '../../src/engine/nats-options.ts'
import { Subjects } from '../../src/engine/nats-subject.ts'
import { formatRecord, nextRecord, parseRecord } from '../../src/engine/nats-terms.ts'
import { NATS_SERVERS, NatsServer } from '../support/nats-server.ts'
import { NatsFollower } from '../support/nats-follower.ts'
import { until } from '../support/until.ts'

for (const { name, command } of NATS_SERVERS) {
  test(`on ${name}, events before and after a term of another node have the ids of their terms`, async () => {
    await using server = await NatsServer.start(command)
    const [one, some] = [0, 1].map(
      (at) => new NatsFollower(new NatsEngine({ servers: [server.address] }), at === 0 ? undefined : 'nothing'),
    )
    assert.ok(one !== undefined && some !== undefined)
    await one.open()
    await some.open()
    const link = await NatsLink.connect(natsSettings({ servers: [server.address] }, 600_000))
    const { term } = new Subjects('hydrant.main')
    const before = await one.append('a', 'before')
    const found = await link.lastOf(term)
    const { last = 0 } = (await link.streamState()) ?? {}
    const record = parseRecord(new TextDecoder().decode(found?.data))
    const next = nextRecord(record, { name: 'aaaaaaaaaaaa', to: last, isAfterLoss: false, run: 'another' }, 1_000)
    await link.publish({ subject: term, data: formatRecord(next), headers: [], expectedLast: last })
    const after = await one.append('a', 'after')
    assert.deepEqual(
      one.events.map(({ id }) => id),
      [before, after],
    )
    assert.match(after ?? '', /^aaaaaaaaaaaa-/)
    assert.match((await some.append('b', 'of one that follows nothing')) ?? '', /^aaaaaaaaaaaa-/)
    await until(() => some.engine.bounds().head >= one.engine.bounds().head, 'both to be at the same place')
    await one.check()
    for (const { undos, skips, engine } of [one, some]) {
      assert.deepEqual([undos, skips], [[], []])
      await engine.close()
    }
    await link.close()
  })
}
