// The handler of the page at `/`: what it answers, with which headers, and what it leaves to others.

import assert from 'node:assert/strict'
import { get } from 'node:http'
import { readdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { startConsoleServer, type ConsoleServer } from '../support/console-server.ts'

const PAGE = new URL('../../src/console/page/', import.meta.url)

let server: ConsoleServer
before(async () => {
  server = await startConsoleServer()
})
after(() => server.close())

test('the page is HTML that may load from its own server only, and is asked for anew each time', async () => {
  const response = await fetch(server.url)
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8')
  assert.equal(response.headers.get('cache-control'), 'no-cache')
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
  assert.match(
    response.headers.get('content-security-policy') ?? '',
    /^default-src 'self'; connect-src 'self' ws: wss:(;|$)/,
  )
  assert.match(await response.text(), /<title>hydrant<\/title>/)
})

test('a query after the path changes nothing', async () => {
  assert.equal((await fetch(`${server.url}?from=mail`)).status, 200)
})

test('the page is told where the hub is, in HTML that stays HTML', async () => {
  const below = await startConsoleServer({ basePath: '/a"><b&' })
  assert.match(await (await fetch(below.url)).text(), /<html lang="en" data-base-path="\/a&quot;><b&amp;">/)
  await below.close()
})

test('every file of the page is served, with a media type that nosniff accepts', async () => {
  for (const name of readdirSync(PAGE)) {
    const response = await fetch(`${server.url}${name === 'index.html' ? '' : `console/${name}`}`)
    assert.equal(response.status, 200, name)
    assert.match(response.headers.get('content-type') ?? '', /^(text\/(html|css|javascript)|image\/svg\+xml)/, name)
    assert.equal(String(Buffer.byteLength(await response.text())), response.headers.get('content-length'), name)
  }
})

test('HEAD has the same headers and no body', async () => {
  const [head, whole] = await Promise.all([fetch(server.url, { method: 'HEAD' }), fetch(server.url)])
  assert.equal(head.status, 200)
  assert.equal(head.headers.get('content-length'), whole.headers.get('content-length'))
  assert.equal(await head.text(), '')
})

test('no path leads out of the page’s folder, and other paths and methods go on to the hub', async () => {
  for (const path of [
    '/console/../console.ts',
    '/console/%2e%2e/console.ts',
    '/console/..%2fconsole.ts',
    '/console/',
    '/console',
    '/console/nothing.js',
    '/console/index.html',
    '/consolestyle.css',
    '//console/main.js',
    '/console/constructor',
    '/__proto__',
  ]) {
    assert.equal(await statusOf(path), 404, path)
  }
  assert.equal(await statusOf('/livez'), 200)
  const posted = await fetch(server.url, { method: 'POST', body: 'x' })
  assert.equal(posted.status, 404)
})

test('asking for `/` as a health check does publishes nothing; the page’s own files do', async () => {
  const quiet = await startConsoleServer()
  const subscription = quiet.hub.subscribe('hydrant/machine')
  await fetch(quiet.url)
  const first = subscription.next()
  await fetch(`${quiet.url}events/first`, { method: 'POST', body: 'x' })
  assert.equal(quiet.hub.counters.published, 1)
  await fetch(`${quiet.url}console/main.js`)
  const { value } = await first
  assert.ok(value !== undefined && value.gap === undefined && value.topic === 'hydrant/machine')
  await quiet.close()
})

/** The path exactly as it stands, which fetch would tidy. */
function statusOf(path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(new URL(server.url), { path, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on('error', reject)
  })
}
