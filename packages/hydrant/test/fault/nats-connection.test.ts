// The connection to NATS is cut, or goes deaf, and the stream is changed behind the engine's back: what is lost is
// declared, what is not lost comes once, and nobody is told of it more than once.

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import { NatsEngine, type NatsEngineOptions } from '../../src/engine/nats.ts'
import { Selection } from '../../src/hub/selection.ts'
import { NATS_SERVERS, NatsServer } from '../support/nats-server.ts'
import { NatsFollower } from '../support/nats-follower.ts'
import { startTcpRelay, type TcpRelay } from '../support/tcp-relay.ts'
import { until } from '../support/until.ts'

const ALL = Selection.of(['**'], undefined, 100)
const SOME = Selection.of(['some/*'], undefined, 100)

for (const { name, command } of NATS_SERVERS) {
  suite(name, () => {
    test('a connection cut again and again under load: nothing is lost, doubled or undone', async () => {
      await using room = await Room.open(command)
      const { cut, whole, relay } = room
      const stopping = new AbortController()
      const appending = [cut, whole].map(async (follower, who) => {
        for (let at = 0; !stopping.signal.aborted; at += 1) {
          if ((await follower.append(`topic/${at % 3}`, `${who} ${at}`)) === undefined) await nextTurn()
        }
      })
      for (let round = 0; round < 5; round += 1) {
        const before = cut.acknowledged.size
        await until(() => cut.acknowledged.size > before + 50, 'appends')
        relay.cut()
        await until(() => cut.engine.trouble?.() !== undefined, 'trouble')
        await until(() => cut.engine.trouble?.() === undefined, 'its end')
      }
      stopping.abort()
      await Promise.all(appending)
      await room.check()
      for (const follower of [cut, whole]) assert.deepEqual([follower.undos, follower.gaps], [[], []])
      assert.equal(room.warnings.length, 10)
      assert.ok(room.warnings.every((text, at) => text.includes(at % 2 === 0 ? 'cannot be used' : 'can be used again')))
    })

    test('a connection over which nothing comes any more is given up, and everything goes on over another', async () => {
      await using room = await Room.open(command, { answerMs: 300 })
      await room.whole.append('a', 'before')
      room.relay.mute()
      assert.equal(await room.cut.append('a', 'nobody knows whether'), undefined)
      await until(() => room.cut.engine.trouble?.() === undefined, 'the end of trouble')
      await room.whole.append('a', 'after')
      await room.check()
    })

    test('what is purged while the connection is cut is declared, and the rest comes', async () => {
      await using room = await Room.open(command)
      for (let at = 0; at < 10; at += 1) await room.whole.append('a', String(at))
      await until(() => room.cut.events.length === 10, 'ten events')
      await room.closeRelay()
      for (let at = 10; at < 30; at += 1) await room.whole.append('a', String(at))
      const purged = room.whole.events[24]?.offset ?? 0
      await room.manager.streams.purge('HYDRANT_main', { seq: purged + 1 })
      await room.openRelay()
      await until(() => room.cut.engine.trouble?.() === undefined, 'the end of trouble')
      await room.whole.append('a', '30')
      await until(() => room.cut.events.at(-1)?.data === '30', 'the last event')
      await room.cut.heal()
      const [gap, ...others] = room.cut.gaps
      assert.deepEqual(others, [])
      assert.deepEqual([gap?.to, gap?.certain], [purged, false])
      assert.deepEqual(
        room.cut.events.map(({ data }) => data),
        [...Array.from({ length: 10 }, (_, at) => String(at)), '25', '26', '27', '28', '29', '30'],
      )
      assert.deepEqual(room.cut.undos, [])
    })

    test('a stream that is purged under a tail goes on, and what is gone is declared to who reads', async () => {
      await using room = await Room.open(command)
      for (let at = 0; at < 10; at += 1) await room.whole.append('a', String(at))
      await room.manager.streams.purge('HYDRANT_main')
      await room.whole.append('a', 'after')
      await until(() => room.cut.events.length === 11, 'all events')
      for (const { engine } of [room.cut, room.whole]) {
        const { gap, events } = await engine.read({ after: 0, selection: ALL, eventsMax: 100, bytesMax: 10_000 })
        assert.ok(gap !== undefined && !gap.certain)
        assert.deepEqual(
          events.map(({ data }) => data),
          ['after'],
        )
      }
      await room.check()
    })

    test('a stream that is deleted under a tail is made again: everything was undone', async () => {
      await using room = await Room.open(command)
      for (let at = 0; at < 10; at += 1) await room.whole.append('a', String(at))
      await until(() => room.cut.events.length === 10, 'ten events')
      await room.manager.streams.delete('HYDRANT_main')
      await until(() => [room.cut, room.whole].every(({ undos }) => undos.length > 0), 'both to undo')
      await until(
        () => [room.cut, room.whole].every(({ engine }) => engine.trouble?.() === undefined),
        'the end of trouble',
      )
      while ((await room.whole.append('a', 'after')) === undefined) await nextTurn()
      await room.check()
      for (const { undone } of [room.cut, room.whole]) assert.equal(undone.length, 10)
    })

    test('who follows little is brought little, also over a cut, and the rest is in its history', async () => {
      await using room = await Room.open(command, {}, SOME)
      const { cut, whole } = room
      for (let round = 0; round < 3; round += 1) {
        for (let at = 0; at < 20; at += 1) {
          await whole.append('other', `${round} ${at}`)
          await whole.append('some/topic', `${round} ${at}`)
        }
        room.relay.cut()
        await until(() => cut.engine.trouble?.() !== undefined, 'trouble')
        await until(() => cut.engine.trouble?.() === undefined, 'its end')
      }
      const isSome = ({ topic }: { readonly topic: string }): boolean => topic === 'some/topic'
      await until(() => cut.events.filter(isSome).length === 60, 'all that is followed')
      assert.deepEqual(cut.events.filter(isSome).map(idOf), whole.events.filter(isSome).map(idOf))
      assert.deepEqual((await cut.log()).map(idOf), whole.events.map(idOf))
    })

    test('while NATS is not there, opening says so after the time it was given', async () => {
      const engine = new NatsEngine({ servers: ['127.0.0.1:1'], openMs: 200 })
      await assert.rejects(async () => engine.open(() => {}), /NATS at 127\.0\.0\.1:1 cannot be reached/)
      await engine.close()
    })
  })
}

/** Two engines on one log: one behind a wire that can be cut. */
class Room implements AsyncDisposable {
  readonly cut: NatsFollower
  readonly whole: NatsFollower
  readonly manager: JetStreamManager
  readonly warnings: readonly string[]
  relay: TcpRelay
  readonly #connection: NatsConnection
  readonly #server: NatsServer
  readonly #port: number

  private constructor(
    parts: Pick<Room, 'cut' | 'whole' | 'manager' | 'warnings' | 'relay'>,
    connection: NatsConnection,
    server: NatsServer,
  ) {
    this.cut = parts.cut
    this.whole = parts.whole
    this.manager = parts.manager
    this.warnings = parts.warnings
    this.relay = parts.relay
    this.#port = parts.relay.port
    this.#connection = connection
    this.#server = server
  }

  static async open(command: string, options: NatsEngineOptions = {}, followed: Selection = ALL): Promise<Room> {
    const server = await NatsServer.start(command)
    const relay = await startTcpRelay({ host: '127.0.0.1', port: server.port })
    const warnings: string[] = []
    const onWarning = ({ message }: Error): void => void warnings.push(message)
    const cut = new NatsFollower(
      new NatsEngine({ servers: [`127.0.0.1:${relay.port}`], onWarning, ...options }),
      followed,
    )
    const whole = new NatsFollower(new NatsEngine({ servers: [server.address], onWarning: () => {} }))
    await cut.open()
    await whole.open()
    const connection = await connect({ servers: server.address })
    const manager = await jetstreamManager(connection)
    return new Room({ cut, whole, manager, warnings, relay }, connection, server)
  }

  async closeRelay(): Promise<void> {
    await this.relay.close()
    await until(() => this.cut.engine.trouble?.() !== undefined, 'trouble')
  }

  async openRelay(): Promise<void> {
    this.relay = await startTcpRelay({ host: '127.0.0.1', port: this.#server.port }, this.#port)
  }

  async check(): Promise<void> {
    const id = await this.whole.append('last', 'of all')
    const isCarried = ({ events }: NatsFollower): boolean => events.at(-1)?.id === id
    await until(() => isCarried(this.cut) && isCarried(this.whole), 'the last event in both tails')
    for (const follower of [this.cut, this.whole]) await follower.check()
    assert.deepEqual(this.cut.events.map(idOf).slice(-50), this.whole.events.map(idOf).slice(-50))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.cut.engine.close(), this.whole.engine.close()])
    await this.#connection.close()
    await this.relay.close()
    await this.#server[Symbol.asyncDispose]()
  }
}

function idOf({ id }: { readonly id: string }): string {
  return id
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5))
}
