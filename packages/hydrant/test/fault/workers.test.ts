// Workers that end under load, in every way in which a thread can: what was acknowledged comes to every client, once
// and in order, over whichever workers its connections were.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServeCommand } from '../support/command.ts'
import { Fleet } from '../support/fleet.ts'
import { openPool } from '../support/open-pool.ts'
import { MISHAPS, trapOptions } from '../support/thread-trap.ts'
import { until } from '../support/until.ts'
import { TempFolder } from './temp-folder.ts'

const DEATHS = 6
const SEED = 3

for (const kind of ['memory', 'file']) {
  test(`with workers ended ${DEATHS} times under load, nothing is lost, doubled or reordered (${kind})`, async () => {
    using folder = new TempFolder()
    const engine = kind === 'file' ? `file:${folder.path}` : kind
    await using server = await openPool({ flags: { engine, heartbeatMs: '500' }, timing: { replaceMs: 10 } })
    const { pool } = server
    using fleet = await Fleet.start({ url: server.url, seed: SEED })
    for (let deaths = 0; deaths < DEATHS; deaths += 1) {
      await fleet.progress(200)
      await pool.workers[deaths % 2]?.terminate('the test ended it')
      await until(() => pool.workers.every(({ isServing }) => isServing), 'a new worker')
    }
    const report = await fleet.finish()
    assert.ok(report.ok, String(report))
    assert.equal(report.tally.gaps, 0)
    assert.equal(server.warnings.length, DEATHS, server.warnings.join('\n'))
    const losses = fleet.clients.reduce((sum, client) => sum + client.losses, 0)
    assert.ok(losses >= DEATHS, `only ${losses} connections were lost`)
    const { published } = await pool.figures()
    assert.ok(published >= report.tally.acknowledged)
  })
}

for (const mishap of ['throw', 'reject', 'exit', 'memory', 'stuck'] satisfies readonly (keyof typeof MISHAPS)[]) {
  test(`of a worker that meets its end by "${mishap}" one line is said, and its clients go on elsewhere`, async () => {
    const env = { NODE_OPTIONS: trapOptions(mishap), HYDRANT_RETRY_MS: '30', HYDRANT_HEARTBEAT_MS: '500' }
    await using server = await ServeCommand.start(['--workers', '2'], { env })
    using fleet = await Fleet.start({ url: server.url, seed: SEED })
    await fleet.progress(200)
    server.signal('SIGUSR2')
    await server.until(({ stderr }) => stderr.includes('worker 1 has ended'))
    await fleet.progress(200)
    const report = await fleet.finish()
    assert.ok(report.ok, String(report))
    assert.equal(report.tally.gaps, 0)
    server.signal('SIGTERM')
    assert.equal(await server.exit(), 0)
    assert.match(server.stderr, /^hydrant: worker 1 has ended[^\n]*\n$/)
  })
}
