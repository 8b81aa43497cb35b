// Real curl, Python, PHP and Go publish to a real hub.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createHub, type HubEvent } from 'hydrant'

const FOLDER = fileURLToPath(new URL('.', import.meta.url))

/** Everything that a shell, a form encoding, a header or a careless client could spoil. */
const TEXT = '@"quoted" \'text\' & ünïcode 🚒 100% a+b=c $HOME \\n <b>\n\ttab\r\nlast line\n'

const PUBLISHERS = {
  curl: ['sh', 'publish.sh'],
  Python: ['python3', 'publish.py'],
  PHP: ['php', 'publish.php'],
  Go: ['go', 'run', 'publish.go'],
} as const

const hub = createHub()
const server = createServer(hub.handler)
before(() => once(server.listen(0, '127.0.0.1'), 'listening'))
after(async () => {
  await hub.close()
  server.closeAllConnections()
  server.close()
})

for (const [language, command] of Object.entries(PUBLISHERS)) {
  test(`${language} publishes a text that arrives exactly, and answers its id`, async () => {
    const topic = `from/${language}`
    const subscription = hub.subscribe(topic)
    const arrived = subscription.next()
    const { status, output } = await run(command, topic, TEXT)
    assert.equal(status, 0, output)
    const event = (await arrived).value as HubEvent
    assert.equal(event.data, TEXT)
    assert.equal(event.topic, topic)
    assert.equal(event.type, 'message')
    assert.ok(output.includes(event.id), `${output} has no ${event.id}`)
    await subscription.return()
  })

  test(`${language} is told why a topic is refused`, async () => {
    const { status, output } = await run(command, 'a//b', 'x')
    assert.notEqual(status, 0)
    assert.match(output, /has an empty segment/)
  })
}

function run(command: readonly string[], ...values: string[]): Promise<{ status: number; output: string }> {
  const [program = '', ...rest] = command
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const env = { ...process.env, HYDRANT_URL: url, GOFLAGS: '-mod=mod' }
  return new Promise((resolve) => {
    execFile(program, [...rest, ...values], { cwd: FOLDER, env }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : 1, output: stdout + stderr })
    })
  })
}
