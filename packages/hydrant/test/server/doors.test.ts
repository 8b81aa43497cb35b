// What is proved of `node:http` holds at the front door: the same tests, once more, with the door before the server.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const FILES = [
  'http/history.test.ts',
  'http/hostile.test.ts',
  'http/injection.test.ts',
  'http/negotiation.test.ts',
  'http/problems.test.ts',
  'http/publish.test.ts',
  'http/publish-lines.test.ts',
  'http/sse.test.ts',
  'integration/clients.test.ts',
  'integration/ended-topics.test.ts',
  'integration/lag-rules.test.ts',
  'integration/state.test.ts',
  'transport/websocket-plain.test.ts',
]

for (const file of FILES) {
  test(`${file} holds at the front door`, async () => {
    const path = fileURLToPath(new URL(`../${file}`, import.meta.url))
    const { NODE_TEST_CONTEXT: _ours, ...env } = process.env
    const { isWell, said } = await run(path, { ...env, HYDRANT_TEST_DOOR: 'front' })
    assert.ok(isWell, said)
    assert.match(said, /^# pass [1-9]/m)
  })
}

function run(path: string, env: NodeJS.ProcessEnv): Promise<{ readonly isWell: boolean; readonly said: string }> {
  const words = [...process.execArgv, '--test-reporter=tap', path]
  return new Promise((resolve) => {
    execFile(process.execPath, words, { env, maxBuffer: 100_000_000 }, (error, said, errors) =>
      resolve({ isWell: error === null, said: said + errors }),
    )
  })
}
