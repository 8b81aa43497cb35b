// The address of a Redis, in all its forms.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describe, parseRedisUrl } from '../../src/engine/redis-url.ts'

const PLAIN = {
  kind: 'server',
  hosts: [{ host: 'localhost', port: 6379 }],
  name: '',
  isSecure: false,
  username: undefined,
  password: undefined,
  database: 0,
  prefix: 'hydrant',
  hasHistory: true,
} as const

test('an address of one server has a host, and may have a port, a login, a database and settings', () => {
  assert.deepEqual(parseRedisUrl('redis://'), PLAIN)
  assert.deepEqual(parseRedisUrl('redis://localhost'), PLAIN)
  assert.deepEqual(parseRedisUrl('rediss://me:s%40me@[::1]:7000/3?prefix=app&history=none'), {
    ...PLAIN,
    hosts: [{ host: '::1', port: 7000 }],
    isSecure: true,
    username: 'me',
    password: 's@me',
    database: 3,
    prefix: 'app',
    hasHistory: false,
  })
  assert.equal(parseRedisUrl('redis://:secret@redis').password, 'secret')
})

test('sentinels and clusters have several hosts, each with the port that is usual there', () => {
  const sentinel = parseRedisUrl('redis+sentinel://me:secret@one,two:9/mymaster?prefix=app')
  assert.deepEqual(
    [sentinel.kind, sentinel.name, sentinel.prefix, sentinel.password],
    ['sentinel', 'mymaster', 'app', 'secret'],
  )
  assert.deepEqual(sentinel.hosts, [
    { host: 'one', port: 26_379 },
    { host: 'two', port: 9 },
  ])
  const cluster = parseRedisUrl('rediss+cluster://one,two:9')
  assert.deepEqual([cluster.kind, cluster.isSecure], ['cluster', true])
  assert.deepEqual(cluster.hosts, [
    { host: 'one', port: 6379 },
    { host: 'two', port: 9 },
  ])
})

test('what makes no sense is refused, and the password is not repeated', () => {
  for (const url of [
    'http://localhost',
    'redis://one,two',
    'redis+sentinel://one',
    'redis://me:secret@one:port',
    'redis://me:secret@one/database',
    'redis://me:secret@one?prefix=a{b}',
    'redis://me:secret@one?history=some',
    'redis://me:secret@one?colour=red',
    'redis://me:se%cret@one',
  ])
    assert.throws(
      () => parseRedisUrl(url),
      (error) => error instanceof RangeError && !error.message.includes('secret'),
      url,
    )
})

test('an address is described without its login', () => {
  assert.equal(
    describe(parseRedisUrl('rediss+sentinel://me:secret@one,[::1]:9/mymaster')),
    'rediss+sentinel://one:26379,[::1]:9/mymaster',
  )
  assert.equal(describe(parseRedisUrl('redis://me:secret@one/3')), 'redis://one:6379')
})
