// NATS goes away and comes back, with what it stored or without, while two processes append and follow: nothing is lost or
// doubled without a word.

import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { suite, test } from 'node:test'
import { parseId } from 'hydrant-client/wire'
import { NatsEngine, type NatsEngineOptions } from '../../src/engine/nats.ts'
import { Selection } from '../../src/hub/selection.ts'
import { NatsFollower } from '../support/nats-follower.ts'
import { NATS_SERVERS, NatsServer } from '../support/nats-server.ts'
import { until } from '../support/until.ts'

const ALL = Selection.of(['**'], undefined, 100)

for (const { name, command } of NATS_SERVERS) {
  suite(name, () => {
    test('killed and started again: the log goes on, nothing is undone that was stored', async () => {
      await using room = await Room.open(command)
      const stop = room.appendAll()
      await until(() => room.followers.every(({ acknowledged }) => acknowledged.size > 200), 'appends')
      for (let round = 0; round < 3; round += 1) {
        await room.server.kill()
        await room.untilTrouble()
        await room.server.start()
        await room.untilWell()
        const before = room.acknowledged
        await until(() => room.acknowledged > before + 100, 'more appends')
      }
      await stop()
      await room.check()
      assert.ok(room.followers.some(({ refused }) => refused > 0))
    })

    test('its storage deleted: everything was undone, and ids of before are known to be of another log', async () => {
      await using room = await Room.open(command)
      await room.append(20)
      const [one, other] = room.followers
      const old = one.events.at(-1)?.id ?? ''
      await room.server.kill()
      room.server.deleteStore()
      await room.server.start()
      await room.untilWell()
      await room.append(20)
      for (const follower of room.followers) {
        assert.equal(follower.undone.length, 20)
        assert.ok(follower.undos.every((to) => to === 0))
      }
      assert.deepEqual(
        one.events.map(({ id }) => id),
        other.events.map(({ id }) => id),
      )
      for (const { engine } of room.followers) {
        const { epochs, floor, head } = engine.bounds()
        assert.equal(epochs.resume(parseId(old) ?? { epoch: '', offset: 0 }, floor, head).known, false)
      }
      await room.check()
    })

    test('an old copy of its storage: what came after the copy was undone, exactly', async () => {
      await using room = await Room.open(command)
      await room.append(20)
      const kept = room.followers[0].events.map(({ id }) => id)
      await room.server.kill()
      cpSync(room.server.store, `${room.server.store}.copy`, { recursive: true })
      await room.server.start()
      await room.untilWell()
      await room.append(15)
      const lost = room.followers[0].events.slice(20)
      assert.equal(lost.length, 15)
      await room.server.kill()
      rmSync(room.server.store, { recursive: true })
      cpSync(`${room.server.store}.copy`, room.server.store, { recursive: true })
      await room.server.start()
      await room.untilWell()
      await room.append(30)
      for (const { engine, events, undone } of room.followers) {
        assert.deepEqual(
          undone.map(({ id }) => id),
          lost.map(({ id }) => id),
        )
        assert.deepEqual(
          events.slice(0, 20).map(({ id }) => id),
          kept,
        )
        assert.equal(events.length, 50)
        const { epochs, floor, head } = engine.bounds()
        const resumes = [...kept, ...lost.map(({ id }) => id)].map((id) => {
          const parsed = parseId(id)
          assert.ok(parsed !== undefined)
          return epochs.resume(parsed, floor, head).known
        })
        assert.deepEqual(resumes, [...kept.map(() => true), ...lost.map(() => false)])
      }
      await room.check()
    })

    test('an old copy, and nobody alive who saw what is lost: a new term all the same', async () => {
      await using server = await NatsServer.start(command)
      const first = new NatsFollower(new NatsEngine({ servers: [server.address], onWarning: () => {} }))
      await first.open()
      for (let at = 0; at < 5; at += 1) await first.append('a', String(at))
      await first.engine.close()
      await server.kill()
      cpSync(server.store, `${server.store}.copy`, { recursive: true })
      await server.start()
      const witness = new NatsFollower(new NatsEngine({ servers: [server.address] }))
      await witness.open()
      const seen = await witness.append('a', 'seen by one who is gone')
      await witness.engine.close()
      await server.kill()
      rmSync(server.store, { recursive: true })
      cpSync(`${server.store}.copy`, server.store, { recursive: true })
      await server.start()
      const last = new NatsFollower(new NatsEngine({ servers: [server.address] }))
      await last.open()
      for (let at = 0; at < 10; at += 1) await last.append('a', String(at))
      const { epochs, floor, head } = last.engine.bounds()
      const id = parseId(seen ?? '')
      assert.ok(id !== undefined && id.offset < head)
      assert.equal(epochs.resume(id, floor, head).known, false)
      await last.engine.close()
    })

    test('stopped without a word: append and read are refused in time, and everybody goes on when it goes on', async () => {
      await using room = await Room.open(command, { answerMs: 500 })
      await room.append(5)
      await room.server.freeze()
      const [one] = room.followers
      const startMs = performance.now()
      assert.equal(await one.append('a', 'not stored, or nobody knows'), undefined)
      await assert.rejects(() => one.log(), /NATS|log/)
      assert.ok(performance.now() - startMs < 3_000)
      await until(() => one.engine.trouble?.() !== undefined, 'trouble')
      room.server.thaw()
      await room.untilWell()
      await room.append(5)
      await room.check()
    })
  })
}

/** Two engines on one log, and a server. */
class Room implements AsyncDisposable {
  readonly server: NatsServer
  readonly followers: readonly [NatsFollower, NatsFollower]
  readonly warnings: readonly string[][]

  private constructor(server: NatsServer, followers: readonly [NatsFollower, NatsFollower]) {
    this.server = server
    this.followers = followers
    this.warnings = []
  }

  static async open(command: string, options: NatsEngineOptions = {}): Promise<Room> {
    const server = await NatsServer.start(command)
    const make = (): NatsFollower =>
      new NatsFollower(new NatsEngine({ servers: [server.address], answerMs: 2_000, onWarning: () => {}, ...options }))
    const room = new Room(server, [make(), make()])
    for (const follower of room.followers) await follower.open()
    return room
  }

  get acknowledged(): number {
    return this.followers.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0)
  }

  /** Both append, one after the other, until the answer is called. */
  appendAll(): () => Promise<void> {
    const stopping = new AbortController()
    const running = this.followers.map(async (follower, who) => {
      for (let at = 0; !stopping.signal.aborted; at += 1) {
        const id = await follower.append(`topic/${at % 3}`, `${who} ${at}`)
        if (id === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })
    return async () => {
      stopping.abort()
      await Promise.all(running)
    }
  }

  /** So many events, by both in turn, and until both tails have brought them. */
  async append(count: number): Promise<void> {
    let last = ''
    for (let at = 0; at < count; at += 1)
      last = (await this.followers[at % 2 === 0 ? 0 : 1].append('a', String(at))) ?? ''
    assert.notEqual(last, '')
    await this.untilCarried(last)
  }

  async untilCarried(id: string): Promise<void> {
    const isCarried = ({ events }: NatsFollower): boolean => events.some((event) => event.id === id)
    await until(() => this.followers.every(isCarried), `${id} in both tails`)
  }

  async untilTrouble(): Promise<void> {
    await until(() => this.followers.every(({ engine }) => engine.trouble?.() !== undefined), 'trouble')
  }

  async untilWell(): Promise<void> {
    await until(() => this.followers.every(({ engine }) => engine.trouble?.() === undefined), 'the end of trouble')
    const isWell = async ({ engine }: NatsFollower): Promise<boolean> =>
      engine.seek({ last: 0 }, ALL).then(
        () => engine.trouble?.() === undefined,
        () => false,
      )
    for (const follower of this.followers) while (!(await isWell(follower))) await new Promise(setImmediate)
  }

  async check(): Promise<void> {
    const [one, other] = this.followers
    const last = (await one.append('last', 'of all')) ?? ''
    await this.untilCarried(last)
    for (const follower of this.followers) await follower.check()
    assert.deepEqual(
      one.events.slice(-50).map(({ id }) => id),
      other.events.slice(-50).map(({ id }) => id),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.followers.map(({ engine }) => engine.close()))
    await this.server[Symbol.asyncDispose]()
  }
}
