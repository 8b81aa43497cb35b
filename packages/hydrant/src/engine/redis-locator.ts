// Finds the server that has the log: the one of the address, the master that the sentinels name, or the master of the
// log's place in a cluster. Asked anew for every connection, so that a failover needs nothing else.

import { openRedisClient, type RedisArgs, type RedisClientOptions } from './redis-client.ts'
import { listOf, numberOf, textOf } from './redis-layout.ts'
import type { RedisAddress, RedisHost } from './redis-url.ts'

/** What a server must be asked with. */
export type RedisLogin = Pick<RedisClientOptions, 'username' | 'password' | 'tls' | 'connectMs'>

/** Finds the server. Rejects with an Error when nobody of the address knows it. */
export async function locate(address: RedisAddress, login: RedisLogin, key: string): Promise<RedisHost> {
  if (address.kind === 'server') return only(address.hosts)
  let failure: unknown = new Error('the address names no host')
  for (const host of shuffled(address.hosts)) {
    try {
      return await (address.kind === 'sentinel' ? askSentinel(host, address, login) : askCluster(host, login, key))
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

async function askSentinel(host: RedisHost, { name }: RedisAddress, login: RedisLogin): Promise<RedisHost> {
  // The login is the servers'; sentinels have their own, and mostly none.
  const [answer] = await ask({ ...host, ...login, username: undefined, password: undefined }, [
    ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name],
  ])
  const [master, port] = listOf(answer)
  if (textOf(master) === '') throw new Error(`the sentinel at ${host.host} knows no master named ${name}`)
  return { host: textOf(master), port: numberOf(port) }
}

async function askCluster(host: RedisHost, login: RedisLogin, key: string): Promise<RedisHost> {
  const [slot, ranges] = await ask({ ...host, ...login }, [
    ['CLUSTER', 'KEYSLOT', key],
    ['CLUSTER', 'SLOTS'],
  ])
  const place = numberOf(slot)
  for (const range of listOf(ranges)) {
    const [first, last, master] = listOf(range)
    if (place < numberOf(first) || place > numberOf(last)) continue
    const [name, port] = listOf(master)
    return { host: textOf(name) === '' ? host.host : textOf(name), port: numberOf(port) }
  }
  throw new Error(`nobody in the cluster serves the slot ${place}`)
}

async function ask(to: RedisHost & RedisLogin, commands: readonly RedisArgs[]): Promise<readonly unknown[]> {
  const client = await openRedisClient({ ...to, database: 0, onLost: () => {}, onMessage: () => {} })
  try {
    const { promise: tooLate, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => reject(new Error(`${to.host} did not answer in ${to.connectMs} ms`)), to.connectMs)
    const answers = Promise.all(commands.map((command) => client.send(command)))
    return await Promise.race([answers, tooLate]).finally(() => clearTimeout(timer))
  } finally {
    client.destroy()
  }
}

function only(hosts: readonly RedisHost[]): RedisHost {
  const [host] = hosts
  if (host === undefined) throw new Error('the address names no host')
  return host
}

/** So that not every node asks the same one first, nor always one that is gone. */
function shuffled(hosts: readonly RedisHost[]): RedisHost[] {
  return hosts
    .map((host) => ({ host, place: Math.random() }))
    .toSorted((left, right) => left.place - right.place)
    .map(({ host }) => host)
}
