// The log of a real build, streamed live to readers of every kind while they are killed and started again.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { post } from '../support/ask.ts'
import { launchChromium } from '../support/chromium.ts'
import { ServeCommand } from '../support/command.ts'
import { LogPage, PageHost } from '../support/log-page.ts'
import { curlReader, pythonReader, tailReader, type LogReader } from '../support/log-reader.ts'
import { RealBuild } from '../support/real-build.ts'
import { StreamClient } from '../support/stream-client.ts'
import { until } from '../support/until.ts'

import { appendFileSync } from 'node:fs'
const trace = (...a: unknown[]): void => appendFileSync('/tmp/trace.txt', (performance.now()|0) + ' ' + a.join(' ') + '\n')
const TOPIC = 'builds/1'
const LINES_MIN = 1_000
const LINES_BEFORE_LATE = 200
const KILLS = 3
const CUTS = 3
/** What a reader sees before it is killed again, and what it misses at least before it is back. */
const LINES_PER_LIFE = 25
const LINES_MISSED = 10
/** Published before the build, until everyone who is there from the start is known to be there. */
const PROBE = 'is everyone there?'
/** Everything runs at once, on few cores. */
const PATIENCE_MS = 40_000
const TEST_MS_MAX = 180_000
const NAME =
  'a build log has every line once and in order for curl, tail, a page and Python, each killed again and again'

test(NAME, { timeout: TEST_MS_MAX }, async (context) => {
  await using host = await PageHost.start()
  await using server = await ServeCommand.start(['--cors', host.origin])
  const { url, port } = server
  await using browser = await launchChromium()
  await using page = await LogPage.create({ browser, host, port, topic: TOPIC })
  await using latePage = await LogPage.create({ browser, host, port, topic: TOPIC, query: '?earliest' })
  const early = [curlReader(url, TOPIC), tailReader(url, TOPIC), pythonReader(url, TOPIC)]
  const late = [
    curlReader(url, TOPIC, '?earliest'),
    tailReader(url, TOPIC, ['--earliest']),
    pythonReader(url, TOPIC, '?earliest'),
  ]
  const processes = [...early, ...late]
  const readers: readonly LogReader[] = [...processes, page, latePage]
  context.after(() => Promise.all(readers.map((reader) => reader.kill())))

  const startedMs = performance.now()
  await startAndProbe(url, [...early, page])
trace('all there');  using witness = await StreamClient.open(url, `/events/${TOPIC}`)
  await using build = new RealBuild(url, TOPIC)
  await has(() => witness.messages.length, LINES_BEFORE_LATE, 'lines before somebody comes late')
  await Promise.all([...late, latePage].map((reader) => reader.start()))

  await Promise.all([
    ...processes.map((reader) => killAgainAndAgain(reader, witness)),
    ...[page, latePage].map((reader) => cutAgainAndAgain(reader).then(() => killAgainAndAgain(reader, witness))),
  ])
trace('restarted');  await has(() => witness.data.length, LINES_MIN, 'lines')
  assert.equal(await build.finish(), 0, build.said)

  trace('finished');const expected = build.lines
  assert.match(build.said, new RegExp(`^hydrant: published ${expected.length} lines to ${TOPIC}$`, 'm'))
  for (const reader of readers) {
    await has(() => linesOf(reader).length, expected.length, `lines that ${reader.name} has`)
    assertSame(linesOf(reader), expected, reader.name)
  }
  for (const reader of processes) assert.equal(reader.complaint, '', reader.name)
  for (const reader of [page, latePage]) {
    const shown = await reader.shown()
    assert.ok(shown.length > 0)
    assertSame(shown, expected.slice(-shown.length), reader.name)
  }
trace('diag'); const later = setInterval(() => { trace('open', process.getActiveResourcesInfo().join(',')); for (const h of (process as unknown as {_getActiveHandles(): {constructor: {name: string}, spawnargs?: string[], remotePort?: number, localPort?: number, listening?: boolean, address?: () => unknown}[]})._getActiveHandles()) trace('  ', h.constructor.name, h.spawnargs?.join(' ').slice(0,100), h.localPort, h.remotePort, h.constructor.name === 'Server' ? JSON.stringify(h.address?.()) : '') ; }, 4000); later.unref(); trace('ports', server.port, page.port, latePage.port, host.origin);  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
  context.diagnostic(`${expected.length} lines, ${readers.length} readers killed ${KILLS} times each, ${seconds} s`)
})

/** Starts them, and publishes until each has had something: from then on each has everything. */
async function startAndProbe(url: string, readers: readonly LogReader[]): Promise<void> {
  await Promise.all(readers.map((reader) => reader.start()))
  const isMissing = (): boolean => readers.some((reader) => reader.lines.length === 0)
  for (const endMs = performance.now() + PATIENCE_MS; isMissing() && performance.now() < endMs;) {
    await post(url, `/events/${TOPIC}`, PROBE)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.ok(!isMissing(), 'somebody is not there')
}

/** Each time it has seen something since it is back, and other lines go by while it is away. */
async function killAgainAndAgain(reader: LogReader, witness: StreamClient): Promise<void> {
  for (let kill = 1; kill <= KILLS; kill += 1) {
    await has(() => reader.lines.length, reader.lines.length + LINES_PER_LIFE, `lines for ${reader.name}`)
    trace('kill', kill, reader.name, witness.messages.length)
    await reader.kill()
    await has(() => witness.messages.length, witness.messages.length + LINES_MISSED, `lines without ${reader.name}`)
    await reader.start(); trace('started', reader.name)
  }
}

async function cutAgainAndAgain(page: LogPage): Promise<void> {
  for (let cut = 1; cut <= CUTS; cut += 1) {
    await has(() => page.lines.length, page.lines.length + LINES_PER_LIFE, `lines for ${page.name}`)
    const { opened } = page
    trace('cut', cut, page.name); page.cut()
    await has(() => page.opened, opened + 1, `connections of ${page.name}`)
  }
}

function has(count: () => number, wanted: number, what: string): Promise<void> {
  return until(
    () => count() >= wanted,
    () => `${wanted} ${what}; there are ${count()}`,
    PATIENCE_MS,
  )
}

function linesOf(reader: LogReader): readonly string[] {
  return reader.lines.filter((line) => line !== PROBE)
}

/** Shows where thousands of lines differ first; to look for all differences would take minutes. */
function assertSame(lines: readonly string[], expected: readonly string[], whose: string): void {
  const at = expected.findIndex((line, index) => lines[index] !== line)
  if (at !== -1) assert.deepEqual(lines.slice(at, at + 5), expected.slice(at, at + 5), `${whose}, from line ${at + 1}`)
  assert.equal(lines.length, expected.length, whose)
}
