// Addresses of NATS, and connections as they ask for: with a password, a token, over TLS.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isNatsUrl, NatsEngine, natsOptionsOf } from '../../src/engine/nats.ts'
import { makeCertificate } from '../support/certificate.ts'
import { NatsServer } from '../support/nats-server.ts'

test('an address says servers, login, names and what is kept', () => {
  assert.deepEqual(natsOptionsOf('nats://localhost'), { servers: ['localhost'] })
  assert.deepEqual(
    natsOptionsOf('nats://me:a%40b@one:4222,two:4223/?stream=S&prefix=p.q&history=7d&replicas=3&domain=d&hub=h'),
    {
      servers: ['one:4222', 'two:4223'],
      user: 'me',
      password: 'a@b',
      stream: 'S',
      prefix: 'p.q',
      domain: 'd',
      hub: 'h',
      retention: { logAgeMs: 604_800_000 },
      replicas: 3,
    },
  )
  assert.deepEqual(natsOptionsOf('tls://secret@one?ca=ca.pem'), {
    servers: ['one'],
    token: 'secret',
    tls: { caFile: 'ca.pem' },
  })
  assert.ok(isNatsUrl('nats://x') && isNatsUrl('tls://x') && !isNatsUrl('redis://x'))
})

test('what makes no sense in an address is refused, with a word that helps and without the password', () => {
  for (const [address, words] of [
    ['nats://me:secret@one?histroy=7d', /"histroy" is no option of NATS/],
    ['nats://me:secret@one?history=none', /history is how long NATS keeps events/],
    ['nats://me:secret@one?replicas=9', /replicas is a number from 1 to 5/],
  ] as const) {
    assert.throws(
      () => natsOptionsOf(address),
      (error) => error instanceof RangeError && words.test(error.message) && !error.message.includes('secret'),
    )
  }
  for (const options of [{ hub: 'a b' }, { stream: 'a.b' }, { prefix: 'a.*' }])
    assert.throws(() => new NatsEngine(options), RangeError)
})

test('a password opens what only it opens', async () => {
  await using server = await NatsServer.start('nats-server', 'authorization { user: me, password: "p:w" }')
  const address = `${server.url.replace('//', '//me:p%3Aw@')}?hub=secret`
  assert.equal(await opens(natsOptionsOf(address)), true)
  assert.match(String(await opens({ servers: [server.address] })), /unavailable.*authorization|authorization/i)
})

test('a token opens what only it opens', async () => {
  await using server = await NatsServer.start('nats-server', 'authorization { token: "a token" }')
  assert.equal(await opens(natsOptionsOf(`nats://a%20token@${server.address}`)), true)
  assert.equal(await opens(natsOptionsOf(`nats://${server.address}?token=a+token`)), true)
})

test('over TLS a server is believed whose certificate is signed by who is trusted', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hydrant-nats-tls-'))
  try {
    const { key, cert } = makeCertificate()
    const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    writeFileSync(keyFile, key)
    writeFileSync(certFile, cert)
    await using server = await NatsServer.start(
      'nats-server',
      `tls { cert_file: "${certFile}", key_file: "${keyFile}" }`,
    )
    const port = String(server.port)
    assert.equal(await opens(natsOptionsOf(`tls://localhost:${port}?ca=${certFile}`)), true)
    assert.match(String(await opens(natsOptionsOf(`tls://localhost:${port}`))), /certificate/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/** Whether a log can be opened and written; the words of the error if not. */
async function opens(options: ReturnType<typeof natsOptionsOf>): Promise<boolean | string> {
  const engine = new NatsEngine({ ...options, openMs: 100, onWarning: () => {} })
  try {
    await engine.open(() => {})
    await engine.append([{ topic: 'a', type: 'message', key: undefined, data: 'x' }])
    return true
  } catch (error) {
    return error instanceof Error ? error.message : 'no error'
  } finally {
    await engine.close()
  }
}
