// A server that is killed again and again under load, and what became of its events. Run by server-kill.test.ts, and
// for longer by `npm run torture`.

import type { Report } from '../../src/testing/testing.ts'
import { runCommand } from '../support/command.ts'
import { Fleet } from '../support/fleet.ts'
import { KillableServer } from '../support/killable-server.ts'
import { randomOf } from '../testing/naive-run.ts'
import { TempFolder } from './temp-folder.ts'

/** What is done. */
export interface KillRunOptions {
  readonly kills: number
  /** Decides what is published, when clients hop, and how far the server comes each time. */
  readonly seed: number
  /** Called after each kill. */
  readonly onKill?: (kills: number, acknowledged: number) => void
}

/** What came of it. */
export interface KillRunOutcome {
  readonly report: Report
  /** What the server said on stderr, over all its lives. */
  readonly stderr: string
  /** How many connections each client lost. */
  readonly losses: readonly number[]
  /** Requests of publishers that were not answered. */
  readonly silences: number
}

/** It lives until at most so many events more were acknowledged, and at most so long after that. */
const LIFE_EVENTS_MAX = 60
const LIFE_MS_MAX = 120
/** A start takes about so long: some do not see its end. */
const START_MS_MAX = 400
/** One start of so many is cut. */
const CUT_STARTS = 5

/** Kills the server so many times, at random moments; resolves when every client has come to the head. */
export async function killRun({ kills, seed, onKill = () => {} }: KillRunOptions): Promise<KillRunOutcome> {
  using folder = new TempFolder()
  using cache = new TempFolder()
  const env = { NODE_COMPILE_CACHE: cache.path }
  await runCommand(['config'], { env }) // leaves compiled code for quick starts, which a process that is killed does not
  await using server = await KillableServer.start({ folder: folder.path, env })
  using fleet = await Fleet.start({ url: server.url, seed })
  const random = randomOf(seed + 1)
  await fleet.progress(50)
  while (server.kills < kills) {
    await fleet.progress(random(LIFE_EVENTS_MAX))
    await new Promise((resolve) => setTimeout(resolve, random(LIFE_MS_MAX)))
    await server.kill()
    if (server.kills < kills && random(CUT_STARTS) === 0) await server.startAndKill(random(START_MS_MAX))
    await server.restart()
    onKill(server.kills, fleet.acknowledged)
  }
  const report = await fleet.finish()
  await server.kill()
  return {
    report,
    stderr: server.stderr,
    losses: fleet.clients.map(({ losses }) => losses),
    silences: fleet.publishers.reduce((sum, one) => sum + one.silences, 0),
  }
}
