import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { PATIENCE } from '../../src/server/patience.ts'
import { Sockets } from '../../src/server/sockets.ts'

const { headMs, keepAliveMs } = PATIENCE

test('a socket that says nothing is overdue, one in the hands of others never', () => {
  const sockets = new Sockets(PATIENCE)
  const [silent, streaming, handedOver] = [new Socket(), new Socket(), new Socket()]
  for (const socket of [silent, streaming, handedOver]) sockets.add(socket, 0.5)
  sockets.mark(streaming, 'open')
  sockets.mark(handedOver, 'idle')
  assert.deepEqual(sockets.overdue(headMs - 0.5), [])
  assert.deepEqual(sockets.overdue(headMs), [silent])
  assert.deepEqual(sockets.overdue(headMs * 1_000), [silent])
  assert.equal(sockets.isKept(silent), false)
})

test('a socket that was answered is kept for its time, from when it was last seen busy', () => {
  const sockets = new Sockets(PATIENCE)
  const socket = new Socket()
  sockets.add(socket, 0)
  sockets.mark(socket, 'open')
  assert.deepEqual(sockets.overdue(1_000), [])
  sockets.mark(socket, 'kept')
  assert.equal(sockets.isKept(socket), true)
  assert.deepEqual(sockets.overdue(2_000), [])
  assert.deepEqual(sockets.overdue(2_000 + keepAliveMs - 1), [])
  assert.deepEqual(sockets.overdue(2_000 + keepAliveMs), [socket])
})
