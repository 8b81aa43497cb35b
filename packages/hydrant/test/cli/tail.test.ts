import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BIN, Command, runCommand, ServeCommand } from '../support/command.ts'
import { post } from '../support/ask.ts'
import { Shell } from '../support/shell.ts'
import { startServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'

/** Waits until so many streams are open on a server of this process. */
async function streams(hub: { readonly counters: { readonly connections: { readonly sse: number } } }, count: number) {
  await until(
    () => hub.counters.connections.sse === count,
    () => `${count} streams, and not ${hub.counters.connections.sse}`,
  )
}

test('the data of each event is a line, as it comes', async () => {
  await using server = await startServer()
  await using tail = new Command(['tail', 'news', 'stocks/*', '--url', server.url])
  await streams(server.hub, 1)
  await server.hub.publish({ topic: 'news', data: 'one' })
  await tail.until(({ stdout }) => stdout === 'one\n')
  await server.hub.publish({ topic: 'stocks/A', data: 'two\nlines' })
  await server.hub.publish({ topic: 'other', data: 'not this' })
  await server.hub.publish({ topic: 'news', data: new Uint8Array([0xff, 0]) })
  await server.hub.publish({ topic: 'news', data: '' })
  await tail.until(({ stdout }) => stdout === 'one\ntwo\nlines\n/wA=\n\n')
  tail.signal('SIGINT')
  assert.equal(await tail.exit(), 0)
  assert.equal(tail.stderr, '')
})

test('--json prints envelopes, --ids ids, --type and --last choose', async () => {
  await using server = await startServer()
  for (const [type, data] of [
    ['a', '1'],
    ['b', '2'],
    ['a', '3'],
    ['a', '4'],
  ] as const) {
    await server.hub.publish({ topic: 'news', type, key: 'k', data })
  }
  const id = await server.hub.publish({ topic: 'news', type: 'a', data: new Uint8Array([1]) })
  const choice = ['tail', 'news', '--url', server.url, '--type', 'a', '--last', '2']
  await using json = new Command([...choice, '--json'])
  await using ids = new Command([...choice, '--ids'])
  await json.until(({ stdout }) => stdout.split('\n').length === 3)
  await ids.until(({ stdout }) => stdout.split('\n').length === 3)
  const [first, second] = json.stdout
    .split('\n')
    .map((line) => (line === '' ? {} : JSON.parse(line)) as Record<string, unknown>)
  assert.deepEqual([first?.['topic'], first?.['type'], first?.['key'], first?.['data']], ['news', 'a', 'k', '4'])
  assert.deepEqual([second?.['id'], second?.['dataBase64'], second?.['data']], [id, 'AQ==', undefined])
  assert.equal(ids.stdout, `${String(first?.['id'])}\t4\n${id}\tAQ==\n`)
})

test('--earliest and --id say where it starts', async () => {
  await using server = await startServer()
  const first = await server.hub.publish({ topic: 'news', data: '1' })
  await server.hub.publish({ topic: 'news', data: '2' })
  await using earliest = new Command(['tail', 'news', '--url', server.url, '--earliest'])
  await using after = new Command(['tail', 'news', '--url', server.url, '--id', first])
  await earliest.until(({ stdout }) => stdout === '1\n2\n')
  await after.until(({ stdout }) => stdout === '2\n')
})

test('after a break it goes on with the next event, each once', async () => {
  await using server = await startServer({ limits: { retryMs: 10 } })
  const sockets = new Set<{ destroy(): unknown }>()
  server.server.on('connection', (socket) => sockets.add(socket))
  await using tail = new Command(['tail', 'news', '--url', server.url])
  await streams(server.hub, 1)
  let expected = ''
  for (let round = 1; round <= 3; round += 1) {
    await server.hub.publish({ topic: 'news', data: `${round} before` })
    for (const socket of sockets) socket.destroy()
    await streams(server.hub, 0)
    await server.hub.publish({ topic: 'news', data: `${round} meanwhile` })
    expected += `${round} before\n${round} meanwhile\n`
    await tail.until(({ stdout }) => stdout.endsWith('meanwhile\n') && stdout.length >= expected.length)
  }
  assert.equal(tail.stdout, expected)
})

test('a server that comes back without its log is a gap, on one line of stderr', async () => {
  const first = await ServeCommand.start(['--retry-ms', '10'])
  await using tail = new Command(['tail', 'news', '--url', first.url, '--earliest'])
  await post(first.url, '/events/news', 'before')
  await tail.until(({ stdout }) => stdout === 'before\n')
  first.signal('SIGKILL')
  await first.exit()
  await using second = await ServeCommand.start(['--port', String(first.port)])
  await post(second.url, '/events/news', 'after')
  await tail.until(({ stdout }) => stdout === 'before\nafter\n')
  assert.match(
    tail.stderr,
    /^hydrant: gap: events may be missing after [0-9a-f]{12}-1 up to [0-9a-f]{12}-\d+ \(epoch\)$/m,
  )
})

test('what the server refuses for good ends it, with the reason', async () => {
  await using server = await startServer()
  const { result, stderr } = await runCommand(['tail', 'a//b', '--url', server.url])
  assert.deepEqual([result, stderr], [1, 'hydrant: The topic or pattern "a//b" has an empty segment.\n'])
})

test('it waits for a server that is away, and says so once', async () => {
  const first = await ServeCommand.start()
  const { port, url } = first
  first.signal('SIGKILL')
  await first.exit()
  await using tail = new Command(['tail', 'news', '--url', url, '--earliest'])
  await tail.until(({ stderr }) => stderr.includes('not connected, trying on'))
  await using second = await ServeCommand.start(['--port', String(port)])
  await post(second.url, '/events/news', 'hello')
  await tail.until(({ stdout }) => stdout === 'hello\n')
  assert.equal(tail.stderr.split('\n').length, 2)
})

test('it ends cleanly when its reader has gone', async () => {
  await using server = await startServer()
  for (let at = 0; at < 3; at += 1) await server.hub.publish({ topic: 'news', data: `line ${at}` })
  await using shell = new Shell(`"${process.execPath}" "${BIN}" tail news --earliest --url ${server.url} | head -n 1`)
  await shell.hear('line 0\n')
  // A pipe without a reader is only noticed by who writes to it.
  await until(() => {
    void server.hub.publish({ topic: 'news', data: 'more' })
    return shell.exitCode !== undefined
  }, 'the end')
  assert.deepEqual([shell.exitCode, shell.output], [0, 'line 0\n'])
})
