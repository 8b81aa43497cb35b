// Every TypeScript block of docs/ has right types, and does what the page says when it is run as it stands.

import assert from 'node:assert/strict'
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ask, post } from '../support/ask.ts'
import { DocumentedBrokers } from '../support/documented-brokers.ts'
import { allPages, type Block } from '../support/markdown.ts'
import { StreamClient } from '../support/stream-client.ts'
import { startServer } from '../support/test-server.ts'
import { until } from '../support/until.ts'
import { WsClient } from '../support/ws-client.ts'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
// Below the root, so that `hydrant` and `hydrant-client` are found; in a folder that belongs to nobody.
mkdirSync(join(ROOT, '.cache'), { recursive: true })
const FOLDER = mkdtempSync(join(ROOT, '.cache', 'docs-'))
after(() => rmSync(FOLDER, { recursive: true }))

const blocks = allPages().flatMap((page) => page.blocks('ts'))
const servers = blocks.filter(({ text }) => text.includes('.listen(3000)'))
const clients = blocks.filter(({ text }) => text.includes('localhost:3000'))
const programs = blocks.filter((block) => !servers.includes(block) && !clients.includes(block))

test('every block of code has right types', async () => {
  for (const block of blocks) write(`types-${nameOf(block)}`, block.text)
  const config = { extends: '../../tsconfig.json', include: ['types-*.ts'] }
  writeFileSync(join(FOLDER, 'tsconfig.json'), JSON.stringify(config))
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const { code, output } = await finished(process.execPath, [tsc, '-p', FOLDER])
  assert.equal(code, 0, output)
})

for (const block of servers) {
  test(`the server of ${block.place} serves streams, and ends when it is told to`, async () => {
    await using program = await Program.start(
      block,
      `${block.text.replace('.listen(3000)', '.listen(0)')}
      server.on('listening', () => console.log('port', JSON.stringify(server.address())))`,
    )
    await program.says(/"port":(\d+)/)
    const url = `http://127.0.0.1:${/"port":(\d+)/.exec(program.output)?.[1]}`
    const base = /basePath: '([^']*)'/.exec(block.text)?.[1] ?? ''

    using stream = await StreamClient.open(url, `${base}/events/any`)
    await post(url, `${base}/events/any`, 'hello')
    await stream.until(({ data }) => data[0] === 'hello')
    using socket = await WsClient.open(`${url.replace('http', 'ws')}${base}/events/echo`)
    socket.socket.send('hello')
    await socket.until(({ messages }) => messages[0] === 'hello')
    if (base !== '') assert.equal((await ask(url, 'GET', '/')).text, 'a page of my own')
    if (!block.text.includes('SIGTERM')) return

    program.child.kill('SIGTERM')
    await stream.closed()
    assert.equal(stream.messages.at(-1)?.type, 'hydrant:bye')
    await until(
      () => program.child.exitCode === 0,
      () => `the end of the server\n${program.output}`,
    )
  })
}

for (const block of clients) {
  test(`the client of ${block.place} gets what is published`, async () => {
    await using server = await startServer()
    await using program = await Program.start(
      block,
      block.text.replaceAll('localhost:3000', `127.0.0.1:${server.port}`),
    )
    // Again and again: the program says nothing when its subscription stands.
    const publishing = new AbortController()
    const published = server.hub.publishFrom(forEver('400'), {
      topic: 'stocks/MSFT',
      throttleMs: 20,
      signal: publishing.signal,
    })
    await program.says(/stocks\/MSFT/).finally(() => publishing.abort())
    await published
  })
}

for (const block of programs) {
  test(`the program of ${block.place} says what the comments in it say`, async () => {
    await using brokers = await DocumentedBrokers.start(block.text)
    const path = write(`run-${nameOf(block)}`, brokers.text)
    const { code, output } = await finished(process.execPath, ['--conditions=hydrant-source', path])
    assert.equal(code, 0, output)
    const promised = Array.from(block.text.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm), ([, said]) => said ?? '')
    for (const said of promised) assert.ok(output.includes(said), `${said} is not in ${output}`)
  })
}

/** A block as a process. */
class Program implements AsyncDisposable {
  readonly child: ChildProcess
  output = ''
  readonly #exited: Promise<unknown>

  private constructor(path: string) {
    this.child = spawn(process.execPath, ['--conditions=hydrant-source', path], { cwd: ROOT })
    this.#exited = new Promise((resolve) => this.child.once('close', resolve))
    this.child.stdout?.on('data', (bytes) => (this.output += String(bytes)))
    this.child.stderr?.on('data', (bytes) => (this.output += String(bytes)))
  }

  static start(block: Block, text: string): Promise<Program> {
    return Promise.resolve(new Program(write(`run-${nameOf(block)}`, text)))
  }

  async says(what: RegExp): Promise<void> {
    await until(
      () => what.test(this.output),
      () => `${what} in ${JSON.stringify(this.output)}`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL')
    await this.#exited
  }
}

function* forEver(data: string): Generator<string> {
  for (;;) yield data
}

function nameOf({ place }: Block): string {
  return `${place.replaceAll(/[.:]/g, '-')}.ts`
}

function write(name: string, text: string): string {
  const path = join(FOLDER, name)
  writeFileSync(path, text)
  return path
}

function finished(
  command: string,
  args: readonly string[],
): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: ROOT, timeout: 30_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : 1, output: `${stdout}${stderr}` }),
    )
  })
}
