import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from '../../src/cli/command.ts'
import { run } from '../../src/cli/run.ts'

for (const [args, said] of [
  [['--prot', '4000'], 'there is no flag --prot. Did you mean "--port"?'],
  [['-p', '4000'], 'there is no flag -p.'],
  [['--port'], '--port needs a value: --port <port>'],
  [['--port', '--host'], '--port needs a value, and "--host" follows it. If that is the value: --port=--host'],
  [['--port', 'http'], '--port must be a whole number from 0 to 65535, not "http".'],
  [['--engine', 'redis'], '--engine must be memory, file:<folder> like file:./data, redis://… or nats://…, not "redis".'],
  [['--config', 'nothing.json'], 'there is no config file nothing.json.'],
  [['serve', 'fast'], '"fast" is one word too many: hydrant serve'],
  [['pulish'], 'there is no command "pulish". Did you mean "publish"? Commands: serve, publish, tail, config.'],
  [['publish'], 'something is missing: hydrant publish <topic>'],
  [['publish', 'a//b'], 'The topic "a//b" has an empty segment.'],
  [
    ['publish', 'a', '--url', 'localhost:3000'],
    '--url must be like http://localhost:3000, not "localhost:3000". Did you mean "http://localhost:3000"?',
  ],
  [
    ['publish', 'a', '--give-up-after', '1 minute'],
    '--give-up-after must be a duration like 500ms, 60s, 15m or 2h, not "1 minute".',
  ],
  [['tail', 'a', '--json=yes'], '--json takes no value, and was given "yes".'],
  [['tail', 'a', '--last', 'all'], '--last must be a whole number, not "all".'],
] as const) {
  test(`hydrant ${args.join(' ')} says what is wrong`, async () => {
    await assert.rejects(run(args), (error) => {
      assert.ok(error instanceof UsageError)
      assert.equal(error.message, said)
      return true
    })
  })
}
