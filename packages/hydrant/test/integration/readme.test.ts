// What README.md shows is true: its listings are the page example and run as printed, and so do its commands.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { launchChromium, openPage } from '../support/chromium.ts'
import { Page } from '../support/markdown.ts'
import { freePort } from '../support/port.ts'
import { Terminal } from '../support/terminal.ts'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const EXAMPLE = join(ROOT, 'examples', 'page')
const SERVER_LINES_MAX = 15
const CLIENT_LINES_MAX = 4
/** In the place of `npm test`, which takes minutes; it speaks on both outputs. */
const NOISE = '{ echo one; echo two >&2; echo three; }'

// Below the root, so that `hydrant` is found; in a folder that belongs to nobody.
mkdirSync(join(ROOT, '.cache'), { recursive: true })
const folder = mkdtempSync(join(ROOT, '.cache', 'readme-'))
after(() => rmSync(folder, { recursive: true }))

/** Where the server keeps its log: not beside the repository, where a reader's own may be. */
const logIn = (name: string): Readonly<Record<string, string>> => ({ HYDRANT_ENGINE: `file:${join(folder, name)}` })

const readme = new Page('../README.md')
const commands = readme.blocks('sh').map(({ text }) => text.trim())
const START = 'npm start'
const WATCH = commandLike(/^curl -N /)
const SEND = commandLike(/^curl -d /)
const PUBLISH = commandLike(/\| npx hydrant publish /)
const TAIL = commandLike(/^npx hydrant tail /)

test('the complete server and the complete client are those of the page example, and as short as promised', () => {
  for (const [language, file, linesMax] of [
    ['ts', 'server.ts', SERVER_LINES_MAX],
    ['html', 'index.html', CLIENT_LINES_MAX],
  ] as const) {
    const shown = listing(language)
    assert.equal(shown, readFileSync(join(EXAMPLE, file), 'utf8'))
    assert.ok(shown.trimEnd().split('\n').length <= linesMax, `${file} has more than ${linesMax} lines`)
  }
})

test('the complete server runs as it is printed, and the complete client on it shows an event', async () => {
  writeFileSync(join(folder, 'server.ts'), listing('ts'))
  writeFileSync(join(folder, 'index.html'), listing('html'))
  const run = `"${process.execPath}" --conditions=hydrant-source "${join(folder, 'server.ts')}"`
  await using server = new Terminal(run, { PORT: String(await freePort()) })
  const url = await server.says(/http:\/\/localhost:\d+/)
  await using browser = await launchChromium()
  const { page, faults } = await openPage(browser, url)
  await page.locator('#events', { hasText: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/ }).waitFor()
  assert.deepEqual(faults, [])
})

test('every command of the README is run here', () => {
  assert.deepEqual(commands.toSorted(), [START, WATCH, SEND, PUBLISH, TAIL].toSorted())
})

test('npm start prints an address, and the curl commands work as they stand', async () => {
  await using server = new Terminal(`${START} -- --port 0`, logIn('started'))
  const port = await startedPort(server)
  await using watch = new Terminal(at(port, WATCH))
  await watch.says(/event: hydrant:open\n/)
  await using send = new Terminal(at(port, SEND))
  assert.equal(await send.exit(), 0)
  assert.match(send.output, /\{"id":"[0-9a-f]{12}-1"\}/)
  await watch.says(/data: hello\n/)
})

test('any output can be a topic: npx hydrant publish and npx hydrant tail work as they stand', async () => {
  await using server = new Terminal(`${START} -- --port 0`, logIn('published'))
  const port = await startedPort(server)
  await using tail = new Terminal(at(port, TAIL))
  // Again and again: nothing says when the tail, which starts at now, is there.
  while (!tail.output.includes('three')) {
    await using publish = new Terminal(at(port, PUBLISH.replace('npm test', NOISE)))
    assert.equal(await publish.exit(), 0, publish.output)
    assert.match(publish.output, /^hydrant: published 3 lines to builds\/1$/m)
  }
  assert.match(tail.output, /^one\ntwo\nthree\n/)
})

function listing(language: string): string {
  const [block, ...others] = readme.blocks(language)
  assert.ok(block !== undefined && others.length === 0, `README.md has one listing in ${language}`)
  return block.text
}

function commandLike(pattern: RegExp): string {
  const [command, ...others] = commands.filter((one) => pattern.test(one))
  if (command === undefined || others.length > 0) throw new Error(`README.md has not one command like ${pattern}`)
  return command
}

/** The command, with another port than the one that may be taken. */
function at(port: string, command: string): string {
  return command
    .replace('localhost:3000', `localhost:${port}`)
    .replace(/npx hydrant .*/, `$& --url http://localhost:${port}`)
}

function startedPort(server: Terminal): Promise<string> {
  return server.says(/(?<=http:\/\/\S+:)\d+/)
}
