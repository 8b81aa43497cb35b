import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { TempFolder } from '../fault/temp-folder.ts'
import { ask, post } from '../support/ask.ts'
import { Command, runCommand, ServeCommand } from '../support/command.ts'
import { itemsOf } from '../support/record.ts'
import { Shell } from '../support/shell.ts'
import { StreamClient } from '../support/stream-client.ts'
import { until } from '../support/until.ts'

test('what it prints on start is the URL, two curl lines, and where events are kept', async () => {
  using folder = new TempFolder()
  const cwd = folder.path
  await using server = await ServeCommand.start(['--base-path', '/api'], { cwd })
  const said = [
    `hydrant listens on ${server.url}`,
    '',
    `  curl -N ${server.url}/api/events/news`,
    `  curl -d hello ${server.url}/api/events/news`,
    '',
    `The engine is a file: events are kept in ${join(cwd, 'hydrant-data')}.`,
    '',
  ].join('\n')
  assert.equal(server.stdout, said)
  assert.deepEqual(readdirSync(cwd), ['hydrant-data'])
})

test('with --engine memory it says that events end with the process, and leaves nothing on disk', async () => {
  using folder = new TempFolder()
  await using server = await ServeCommand.start(['--engine', 'memory'], { cwd: folder.path })
  assert.match(server.stdout, /\n\nThe engine is memory: events end with the process\.\n$/)
  assert.deepEqual(readdirSync(folder.path), [])
})

test('with default settings what was acknowledged is there after kill -9, and an id of before resumes exactly', async () => {
  using folder = new TempFolder()
  const options = { cwd: folder.path }
  let id: string
  {
    await using first = await ServeCommand.start([], options)
    id = String((await post(first.url, '/events/news', 'one')).json['id'])
    using stream = await StreamClient.open(first.url, '/events/news')
    await stream.until(({ messages }) => messages.length === 1)
    for (let at = 0; at < 20; at += 1) await post(first.url, '/events/news', `more ${at}`)
    first.child.kill('SIGKILL')
    await first.exit()
    await stream.closed()
  }
  await using second = await ServeCommand.start([], options)
  await post(second.url, '/events/news', 'after')
  const expected = [...Array.from({ length: 20 }, (_, at) => `more ${at}`), 'after']
  using resumed = await StreamClient.open(second.url, '/events/news', { 'last-event-id': id })
  await resumed.until(({ data }) => data.length === expected.length)
  assert.deepEqual(resumed.data, expected)
  assert.ok(
    resumed.messages.every(({ type }) => type === 'message'),
    'there is no gap',
  )
  const path = `/events/news?lastEventId=${id}`
  const { json } = await ask(second.url, 'GET', path, { headers: { accept: 'application/json' } })
  assert.deepEqual([itemsOf(json['events']).length, json['gap']], [expected.length, undefined])
})

test('a folder that another server has, or that cannot be made, is one line that says what to do, and exit code 1', async () => {
  using folder = new TempFolder()
  const cwd = folder.path
  await using server = await ServeCommand.start([], { cwd })
  const advice = / Another folder: --engine file:<folder>\. Nothing on disk: --engine memory\.\n$/
  const second = await runCommand(['--port', '0'], { cwd })
  assert.deepEqual([second.result, second.stdout], [1, ''])
  assert.match(second.stderr, /^hydrant: the log cannot be opened: [^\n]* in use by another process[^\n]*\n$/)
  assert.match(second.stderr, advice)
  writeFileSync(join(cwd, 'file'), '')
  const blocked = await runCommand(['--port', '0', '--engine', 'file:file/log'], { cwd })
  assert.deepEqual([blocked.result, blocked.stdout], [1, ''])
  assert.match(blocked.stderr, /^hydrant: the log cannot be opened: [^\n]*make the folder writable[^\n]*\n$/)
  assert.match(blocked.stderr, advice)
  assert.equal((await post(server.url, '/events/news', 'still here')).status, 200)
})

test('a log of a newer version is one line that says so, and is left as it is', async () => {
  using folder = new TempFolder()
  const options = { cwd: folder.path }
  {
    await using server = await ServeCommand.start([], options)
    await post(server.url, '/events/news', 'hello')
    server.signal('SIGTERM')
    await server.exit()
  }
  const database = new DatabaseSync(join(folder.path, 'hydrant-data', 'log.sqlite'))
  database.exec('PRAGMA user_version = 99')
  database.close()
  const { result, stderr } = await runCommand(['--port', '0'], options)
  assert.equal(result, 1)
  assert.match(stderr, /^hydrant: the log cannot be opened: [^\n]* written by a newer version [^\n]*--engine[^\n]*\n$/)
})

test('the two curl lines work when copied', async () => {
  await using server = await ServeCommand.start()
  const [watch = '', publish = ''] = server.stdout.match(/curl .*/g) ?? []
  await using watching = new Shell(watch)
  await watching.hear('hydrant:open')
  await using publishing = new Shell(publish)
  await watching.hear('data: hello\n')
  await until(() => publishing.exitCode === 0, 'the end of the publishing')
})

test('hydrant serve is the same as hydrant', async () => {
  await using server = new Command(['serve', '--port', '0'])
  await server.until(({ stdout }) => stdout.includes('hydrant listens on http://127.0.0.1:'))
})

test('a port that is taken is one line that says what to do, and exit code 1', async () => {
  await using server = await ServeCommand.start()
  const { result, stdout, stderr } = await runCommand(['--port', String(server.port)])
  const advice = `stop it, or choose another port, for example --port ${server.port + 1}`
  assert.deepEqual([result, stdout], [1, ''])
  assert.equal(stderr, `hydrant: port ${server.port} is taken by another program: ${advice}\n`)
})

test('settings come from flags, the environment and a file, and hydrant config says from where', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'hydrant-config-'))
  try {
    writeFileSync(join(cwd, 'hydrant.json'), '{"heartbeatMs": 1000, "retryMs": 10, "lag": "skip"}')
    const env = { HYDRANT_RETRY_MS: '20', HYDRANT_LAG: 'disconnect' }
    const { result, stdout } = await runCommand(
      ['config', '--lag=skip', '--cors', 'https://a.example,https://b.example', '--cors', 'https://c.example'],
      { cwd, env },
    )
    assert.equal(result, 0)
    for (const row of [
      /^host +127\.0\.0\.1 +default$/m,
      /^heartbeatMs +1000 +hydrant\.json$/m,
      /^retryMs +20 +HYDRANT_RETRY_MS$/m,
      /^lag +skip +--lag$/m,
      /^cors +https:\/\/a\.example,https:\/\/b\.example,https:\/\/c\.example +--cors$/m,
      /^console +on +default$/m,
    ]) {
      assert.match(stdout, row)
    }
    await using server = await ServeCommand.start(['--cors', 'https://a.example'], { cwd, env })
    const { headers } = await ask(server.url, 'GET', '/livez', { headers: { origin: 'https://a.example' } })
    assert.equal(headers['access-control-allow-origin'], 'https://a.example')
  } finally {
    rmSync(cwd, { recursive: true })
  }
})

test('a variable that is no setting stops the start', async () => {
  const { result, stderr } = await runCommand([], { env: { HYDRANT_HEARTBEAT_MX: '1' } })
  assert.equal(result, 1)
  assert.match(stderr, /HYDRANT_HEARTBEAT_MX, which is no setting\. Did you mean "HYDRANT_HEARTBEAT_MS"\?\n$/)
})

test('the help lists every command, and the help of one lists its flags', async () => {
  const all = await runCommand(['--help'])
  for (const name of ['serve', 'publish <topic>', 'tail <topic|pattern>...', 'config'])
    assert.ok(all.stdout.includes(`  hydrant ${name} `))
  const ofServe = await runCommand(['help', 'serve'])
  assert.match(ofServe.stdout, /--port <port> {2}\(default 3000\)\n/)
  assert.match(ofServe.stdout, /Limits:\n[^]*--heartbeat-ms <ms> {2}\(default 15000\)\n/)
  assert.ok(ofServe.stdout.split('\n').every((line) => line.length <= 120))
  assert.equal((await runCommand(['serve', '--help'])).stdout, ofServe.stdout)
  assert.deepEqual([all.result, ofServe.result, all.stderr, ofServe.stderr], [0, 0, '', ''])
})

test('--version says which it is', async () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  assert.equal((await runCommand(['--version'])).stdout, `${manifest.version}\n`)
})
