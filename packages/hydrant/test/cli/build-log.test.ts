// A build log, streamed live while its readers are killed and started again.

import assert from 'node:assert/strict'
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { test } from 'node:test'
import { SseParser } from 'hydrant-client/wire'
import { BIN, Command, ServeCommand } from '../support/command.ts'
import { Shell } from '../support/shell.ts'
import { until } from '../support/until.ts'

const LINES = 200

/** Says a line every few milliseconds, to both of its outputs. */
const BUILD = `for i in $(seq 1 ${LINES}); do if [ $((i % 7)) -eq 0 ]; then echo "line $i" >&2; else echo "line $i"; fi; sleep 0.005; done`

test('npm test 2>&1 | hydrant publish: every reader that was killed and resumed has every line once, in order', async () => {
  await using server = await ServeCommand.start()
  const { url } = server
  await using tail = new ResumedTail(url)
  await using curl = new ResumedCurl(url)
  tail.start()
  curl.start()
  const publish = `"${process.execPath}" "${BIN}" publish builds/1 --url ${url}`
  await using build = new Shell(`(${BUILD}) 2>&1 | ${publish}`)
  for (const share of [0.2, 0.4, 0.6]) {
    await until(() => Math.min(tail.lines.length, curl.lines.length) >= LINES * share, 'more lines')
    await tail.restart()
    await curl.restart()
  }
  await until(
    () => tail.lines.length >= LINES && curl.lines.length >= LINES,
    () => `all of ${tail.lines.length} and ${curl.lines.length}`,
  )
  const expected = Array.from({ length: LINES }, (_, at) => `line ${at + 1}`)
  assert.deepEqual(tail.lines, expected)
  assert.deepEqual(curl.lines, expected)
  await until(() => build.exitCode !== undefined, 'the end of the build')
  assert.deepEqual([build.exitCode, build.output], [0, `hydrant: published ${LINES} lines to builds/1\n`])
})

/** `hydrant tail --ids`, which goes on with `--id` after it was killed. */
class ResumedTail implements AsyncDisposable {
  readonly #url: string
  #command: Command | undefined
  #before = ''

  constructor(url: string) {
    this.#url = url
  }

  /** The data of the whole lines that it printed so far. */
  get lines(): readonly string[] {
    return this.#rows.map(([, data = '']) => data)
  }

  get #rows(): readonly (readonly string[])[] {
    const text = this.#before + (this.#command?.stdout ?? '')
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split('\t'))
  }

  start(): void {
    const [id] = this.#rows.at(-1) ?? []
    const from = id === undefined ? ['--earliest'] : ['--id', id]
    this.#command = new Command(['tail', 'builds/1', '--ids', '--url', this.#url, ...from])
  }

  async stop(): Promise<void> {
    this.#command?.signal('SIGKILL')
    await this.#command?.exit()
    this.#before = this.#rows.map((row) => `${row.join('\t')}\n`).join('')
    this.#command = undefined
  }

  async restart(): Promise<void> {
    await this.stop()
    this.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** `curl -N`, which goes on with Last-Event-ID after it was killed. */
class ResumedCurl implements AsyncDisposable {
  readonly lines: string[] = []
  readonly #url: string
  #lastEventId = ''
  #child: ChildProcessWithoutNullStreams | undefined

  constructor(url: string) {
    this.#url = url
  }

  start(): void {
    const path = this.#lastEventId === '' ? 'builds/1?earliest' : 'builds/1'
    const child = spawn('curl', ['-sN', '-H', `Last-Event-ID: ${this.#lastEventId}`, `${this.#url}/events/${path}`])
    const parser = new SseParser({
      message: ({ type, data, lastEventId }) => {
        this.#lastEventId = lastEventId
        if (!type.startsWith('hydrant:')) this.lines.push(data)
      },
    })
    child.stdout.setEncoding('utf8').on('data', (text: string) => parser.feed(text))
    this.#child = child
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    const closed = new Promise((resolve) => child.on('close', resolve))
    child.kill('SIGKILL')
    await closed
  }

  async restart(): Promise<void> {
    await this.stop()
    this.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
