// What a node does at its Redis: how it logs in, what it may do there, how many connections it has, and which messages it
// gets; and the plain relay, which keeps nothing.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { slotOf } from '../../src/engine/redis-layout.ts'
import { RedisEngine } from '../../src/engine/redis.ts'
import { HydrantError } from '../../src/hub/errors.ts'
import { Selection } from '../../src/hub/selection.ts'
import { makeCertificate } from '../support/certificate.ts'
import { EngineFollower } from '../support/engine-follower.ts'
import { RedisServer } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

const server = await RedisServer.start()
const ALL = Selection.of(['**'], undefined, 100)

after(async () => server[Symbol.asyncDispose]())

test('a node has two connections, however much it follows, and both are gone when it is closed', async () => {
  const before = await connections()
  const node = await EngineFollower.open(new RedisEngine({ url: server.url('?prefix=two') }))
  const selections = Array.from({ length: 500 }, (_, at) => Selection.of([`topic/${at}`], undefined, 100))
  await Promise.all(selections.map(async (selection) => node.engine.following?.add(selection)))
  await Promise.all(selections.map(async () => node.engine.append([eventOf('a', 'x')])))
  assert.equal(await connections(), before + 2)
  await node.engine.close()
  assert.equal(await connections(), before)
})

test('a node gets no messages of slots that it does not follow, and none any more of what it gave up', async () => {
  const engine = new RedisEngine({ url: server.url('?prefix=interest') })
  await using node = await EngineFollower.open(engine, Selection.of(['a'], undefined, 100))
  const subscribed = async (): Promise<unknown> =>
    (await server.ask(['PUBSUB', 'SHARDNUMSUB', `{interest}:${slotOf('a')}`]))[0]
  const [channels] = await server.ask(['PUBSUB', 'SHARDCHANNELS', '{interest}:*'])
  assert.ok(Array.isArray(channels))
  assert.equal(channels.length, 2) // the slot's, and the node's own
  assert.deepEqual(await subscribed(), [`{interest}:${slotOf('a')}`, 1])
  node.engine.following?.remove(node.selection)
  for (let isGone = false; !isGone;) {
    isGone = String(await subscribed()).endsWith(',0')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.equal(node.engine.following?.from(node.selection), Infinity)
})

test('of a slot that it follows for one topic, a node takes no others', async () => {
  const other =
    Array.from({ length: 10_000 }, (_, at) => `b/${at}`).find((topic) => slotOf(topic) === slotOf('a')) ?? ''
  const engine = new RedisEngine({ url: server.url('?prefix=foreign') })
  const taken: string[] = []
  await engine.open(({ events }) => void taken.push(...events.map(({ topic }) => topic)))
  await engine.following.add(Selection.of(['a'], undefined, 100))
  await engine.append([eventOf(other, '1'), eventOf('a', '2'), eventOf(other, '3')])
  assert.deepEqual(taken, ['a'])
  await engine.close()
})

test('a user with a password and the rights that it needs, and no more, can do everything', async () => {
  const user = ['ACL', 'SETUSER', 'hydrant', 'on', '>secret', 'resetkeys', 'resetchannels', '~{acl}:*', '&{acl}:*']
  const rights = ['-@all', '+@read', '+@write', '+@pubsub', '+@transaction', '+@connection', '+eval', '+evalsha']
  await server.ask([...user, ...rights, '+info', '+time', '-keys'])
  const url = server.url('?prefix=acl').replace('//', '//hydrant:secret@')
  await using node = await EngineFollower.open(new RedisEngine({ url, retention: { logEventsMax: 5 } }))
  for (let at = 0; at < 10; at += 1) await node.engine.append([{ ...eventOf('a', String(at)), key: 'k' }])
  await node.engine.append([eventOf('b', 'x')], { key: 'a key', fingerprint: 'a body' })
  const { head } = node.engine.bounds()
  assert.equal((await node.history()).events.length, 5)
  assert.equal(await node.engine.seek({ last: 2 }, ALL), head - 2)
  assert.equal(await node.engine.seek({ sinceMs: 0 }, ALL), head - 5)
  const state = await node.engine.state({ after: 0, to: head, selection: ALL, eventsMax: 10, bytesMax: 1_000 })
  assert.equal(state.events.length, 2)
  const wrong = new RedisEngine({ url: url.replace('secret', 'wrong'), timeoutMs: 1_000 })
  await assert.rejects(
    wrong.open(() => {}),
    isUnavailable,
  )
  await wrong.close()
})

test('over TLS, a server whose certificate is trusted is used, and another one is refused', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hydrant-redis-tls-'))
  const { key, cert } = makeCertificate()
  writeFileSync(join(folder, 'key.pem'), key)
  writeFileSync(join(folder, 'cert.pem'), cert)
  const files = ['--tls-key-file', join(folder, 'key.pem'), '--tls-cert-file', join(folder, 'cert.pem')]
  await using secure = await RedisServer.start({ tlsArgs: ['--tls-auth-clients', 'no', ...files] })
  const url = `rediss://localhost:${secure.tlsPort}`
  const node = await EngineFollower.open(new RedisEngine({ url, tls: { ca: cert } }))
  await node.engine.append([eventOf('a', 'x')])
  await until(() => node.events.length === 1, 'the event')
  await node.engine.close()
  const doubting = new RedisEngine({ url, timeoutMs: 1_000 })
  await assert.rejects(
    doubting.open(() => {}),
    isUnavailable,
  )
  await doubting.close()
  rmSync(folder, { recursive: true })
})

test('a node that finds no Redis says so at once', async () => {
  const engine = new RedisEngine({ url: 'redis://127.0.0.1:1', timeoutMs: 2_000 })
  await assert.rejects(
    engine.open(() => {}),
    isUnavailable,
  )
  await engine.close()
})

test('a relay brings events to every node, keeps none, and declares what a node or a reader has missed', async () => {
  const make = (): RedisEngine =>
    new RedisEngine({ url: server.url('?prefix=relay&history=none'), onWarning: () => {} })
  await using one = await EngineFollower.open(make())
  await using other = await EngineFollower.open(make())
  assert.deepEqual([one.engine.capabilities.durable, one.engine.capabilities.exactGaps], [false, false])
  for (let at = 0; at < 20; at += 1) await one.engine.append([eventOf(`topic/${at}`, 'x')])
  await until(() => other.events.length === 20, 'all events')
  const { floor, head } = other.engine.bounds()
  assert.equal(floor, head)
  const history = await other.engine.read({ after: 3, selection: ALL, eventsMax: 10, bytesMax: 1_000 })
  assert.deepEqual(history, { events: [], to: head, gap: { to: head, certain: false, count: undefined } })
  assert.equal((await other.engine.read({ after: head, selection: ALL, eventsMax: 1, bytesMax: 1 })).gap, undefined)
  const [keys] = await server.ask(['KEYS', '{relay}:s*'])
  assert.deepEqual(keys, [])
  // What is published while a node is cut off is skipped by it, and by nobody else.
  await server.ask(['CLIENT', 'KILL', 'TYPE', 'pubsub'])
  await server.ask(['PING'])
  await one.engine.append([eventOf('topic/0', 'missed, or not')])
  await until(() => [one, other].every((node) => node.head === head + 1), 'both to go on')
  for (const { events, breaks } of [one, other])
    assert.ok(events.length === 21 || breaks.some(({ kind, to }) => kind === 'skip' && to === head + 1))
  const mixed = new RedisEngine({ url: server.url('?prefix=relay') })
  await assert.rejects(
    mixed.open(() => {}),
    isUnavailable,
  )
  await mixed.close()
})

async function connections(): Promise<number> {
  const [info] = await server.ask(['INFO', 'clients'])
  return Number(/connected_clients:(\d+)/.exec(String(info))?.[1])
}

function eventOf(topic: string, data: string): Parameters<RedisEngine['append']>[0][number] {
  return { topic, type: 'message', key: undefined, data }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof HydrantError && error.code === 'unavailable'
}
