import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask } from '../support/ask.ts'
import { Command, runCommand, ServeCommand } from '../support/command.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'

/** The data of everything on a topic. */
async function history(url: string, topic = 'news'): Promise<readonly unknown[]> {
  const { text } = await ask(url, 'GET', `/events/${topic}?earliest&limit=1000`, {
    headers: { accept: 'application/json' },
  })
  const page = JSON.parse(text) as { readonly events: readonly { readonly data: unknown }[] }
  return page.events.map(({ data }) => data)
}

/** A URL at which nobody listens. */
async function nowhere(): Promise<string> {
  await using server = await startServer()
  return server.url
}

test('each line is an event: also an empty one, one that ends in CRLF, and a last one without an end', async () => {
  await using server = await startServer()
  const input = 'a\n\nb\r\n\r\nc\rd\n\u{1F4A7} \\ "\nlast'
  const { result, stdout, stderr } = await runCommand(['publish', 'news', '--url', server.url], { input })
  assert.deepEqual([result, stdout, stderr], [0, '', 'hydrant: published 7 lines to news\n'])
  assert.deepEqual(await history(server.url), ['a', '', 'b', '', 'c\rd', '\u{1F4A7} \\ "', 'last'])
})

test('without any line nothing is published, and all is well', async () => {
  const { result, stderr } = await runCommand(['publish', 'news', '--url', await nowhere()])
  assert.deepEqual([result, stderr], [0, 'hydrant: published 0 lines to news\n'])
})

test('with --end the topic is over after the last line, and a tail that follows it is done', async () => {
  await using server = await startServer()
  await using tail = new Command(['tail', 'news', '--url', server.url, '--earliest'])
  await until(() => server.hub.counters.connections.sse === 1, 'the tail')
  const { result } = await runCommand(['publish', 'news', '--url', server.url, '--end'], { input: 'a\nb\n' })
  assert.equal(result, 0)
  assert.equal(await tail.exit(), 0)
  assert.deepEqual([tail.stdout, tail.stderr], ['a\nb\n', 'hydrant: news has ended\n'])
  const refused = await runCommand(['publish', 'news', '--url', server.url], { input: 'late\n' })
  assert.equal(refused.result, 1)
  assert.match(refused.stderr, /has ended/)
})

test('type and key are those of every event', async () => {
  await using server = await startServer()
  using stream = await StreamClient.open(server.url, '/events/news', { accept: 'application/x-ndjson' })
  await runCommand(['publish', 'news', '--url', server.url, '--type', 'line', '--key', 'k'], { input: 'a\n' })
  await stream.until(({ lines }) => lines.length === 2)
  const { type, key, data } = stream.lines[1] ?? {}
  assert.deepEqual([type, key, data], ['line', 'k', 'a'])
})

test('a line goes out when it is there, and does not wait for the next', async () => {
  await using server = await startServer()
  await using command = new Command(['publish', 'news', '--url', `${server.url}/`])
  for (let line = 1; line <= 20; line += 1) {
    command.say(`${line}\n`)
    await until(() => server.hub.counters.published === line, `line ${line}`)
  }
  command.end('not yet\nand')
  assert.equal(await command.exit(), 0)
  assert.equal((await history(server.url)).length, 22)
})

test('20,000 lines arrive in order', async () => {
  await using server = await startServer()
  const lines = Array.from({ length: 20_000 }, (_, at) => `line ${at}`)
  const seen: unknown[] = []
  const all = (async () => {
    for await (const event of server.hub.subscribe('news', { capacityEvents: 20_000 })) {
      if ('data' in event) seen.push(event.data)
      if (seen.length === lines.length) return
    }
  })()
  const { result } = await runCommand(['publish', 'news', '--url', server.url], { input: `${lines.join('\n')}\n` })
  assert.equal(result, 0)
  await all
  assert.deepEqual(seen, lines)
})

test('a line that is no UTF-8 is named, and the lines before it are published', async () => {
  await using server = await startServer()
  const input = Buffer.concat([Buffer.from('a\nb\n'), Buffer.from([0xff, 0x0a]), Buffer.from('c\n')])
  const { result, stderr } = await runCommand(['publish', 'news', '--url', server.url], { input })
  assert.equal(result, 1)
  assert.equal(
    stderr,
    'hydrant: line 3 is not valid UTF-8; the lines before it are published\nhydrant: published 2 lines to news\n',
  )
  assert.deepEqual(await history(server.url), ['a', 'b'])
})

test('what the server refuses is named by its lines, with the reason', async () => {
  await using server = await startServer({ limits: { eventBytesMax: 10 } })
  const { result, stderr } = await runCommand(['publish', 'news', '--url', server.url], {
    input: `${'x'.repeat(11)}\n`,
  })
  assert.equal(result, 1)
  assert.match(
    stderr,
    /^hydrant: line 1 was refused: The data has more than 10 bytes\..*\(status 413\)\nhydrant: published 0/,
  )
})

test('a line whose answer was lost is sent again with its key, and stored once', async () => {
  await using server = await startServer()
  let lost = 0
  server.server.prependListener('request', (request, response) => {
    if (request.method !== 'POST' || lost === 3) return
    lost += 1
    response.writeHead = () => response.destroy()
  })
  const { result, stderr } = await runCommand(['publish', 'news', '--url', server.url], { input: 'a\n' })
  assert.equal(result, 0)
  assert.match(
    stderr,
    /^hydrant: the server takes nothing, trying on for 60s: .*\nhydrant: published 1 line to news\n$/,
  )
  assert.equal(lost, 3)
  assert.deepEqual(await history(server.url), ['a'])
})

test('a server that is killed and started again gets every line once, in order', async () => {
  const first = await ServeCommand.start()
  const { port, url } = first
  await using command = new Command(['publish', 'news', '--url', url])
  command.say('1\n2\n')
  let before: readonly unknown[] = []
  while (before.length < 2) before = await history(url)
  first.signal('SIGKILL')
  await first.exit()
  command.say('3\n')
  await command.until(({ stderr }) => stderr.includes('the server takes nothing'))
  command.end('4\n5\n')
  await using second = await ServeCommand.start(['--port', String(port)])
  assert.equal(await command.exit(), 0)
  assert.deepEqual([...before, ...(await history(second.url))], ['1', '2', '3', '4', '5'])
  assert.match(command.stderr, /published 5 lines to news\n$/)
})

test('it gives up when the server takes nothing for --give-up-after', async () => {
  const { result, stderr } = await runCommand(
    ['publish', 'news', '--url', await nowhere(), '--give-up-after', '300ms'],
    { input: 'a\nb\n' },
  )
  assert.equal(result, 1)
  assert.match(stderr, /gave up after 300 ms.*ECONNREFUSED.*\nhydrant: published 0 lines to news\n$/)
})

test('something that is not hydrant is not mistaken for it', async () => {
  await using server = await startServer()
  server.server.removeAllListeners('request').on('request', (_request, response) => response.end('hello'))
  const { result, stderr } = await runCommand(['publish', 'news', '--url', server.url], { input: 'a\n' })
  assert.equal(result, 1)
  assert.match(stderr, /the answer is not one of hydrant/)
})

test('after SIGINT what was read goes out, and it says how much that is', async () => {
  await using server = await startServer()
  await using command = new Command(['publish', 'news', '--url', server.url])
  command.say('a\nb\nhalf')
  await until(() => server.hub.counters.published === 2, 'both lines')
  command.signal('SIGINT')
  assert.equal(await command.exit(), 130)
  assert.equal(command.stderr, 'hydrant: published 2 lines to news\n')
})

test('after SIGINT while the server is away it ends soon', async () => {
  await using command = new Command(['publish', 'news', '--url', await nowhere()])
  command.say('a\n')
  await command.until(({ stderr }) => stderr.includes('trying on'))
  command.signal('SIGINT')
  assert.equal(await command.exit(), 130)
  assert.match(command.stderr, /interrupted before the server took all that was read\nhydrant: published 0 lines/)
})
