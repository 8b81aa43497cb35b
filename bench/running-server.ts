// One server while it runs: started on a free port, pinned to a CPU, killed at the end, with all processes that it has
// started. A benchmark's server has nothing to save, so it is not asked to stop.

import { type ChildProcess, spawn } from 'node:child_process'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Server } from './servers.ts'

const READY_MS_MAX = 20_000
const LOOK_MS = 20

/** A server that takes connections. */
export interface RunningServer {
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

/** Starts a server and waits until it is ready. `prefix` may pin it to a CPU. Throws with its stderr when it ends. */
export async function startServer(server: Server, prefix: readonly string[]): Promise<RunningServer> {
  const port = await freePort()
  const [file = '', ...args] = [...prefix, ...server.command(port)]
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const kill = (): void => killGroup(child)
  process.once('exit', kill)
  const stop = async (): Promise<void> => {
    process.off('exit', kill)
    kill()
    await ended
  }
  try {
    const pid = await ready(child, server, port)
    return { port, pid, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A child that is detached leads a group of processes, which has its pid. */
function killGroup({ pid, exitCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // it has ended by itself
  }
}

async function ready(child: ChildProcess, server: Server, port: number): Promise<number> {
  let said = ''
  let failed: Error | undefined
  child.stderr?.on('data', (piece: Buffer) => {
    said = (said + piece.toString()).slice(-2_000)
  })
  child.once('error', (error) => {
    failed = error
  })
  const until = performance.now() + READY_MS_MAX
  while (performance.now() < until) {
    if (failed !== undefined) throw failed
    if (child.exitCode !== null) throw new Error(`it ended with status ${child.exitCode}: ${said.trim()}`)
    if (child.pid !== undefined && (await answers(server, port))) return child.pid
    await sleep(LOOK_MS)
  }
  throw new Error(`it was not ready after ${READY_MS_MAX} ms: ${said.trim()}`)
}

async function answers(server: Server, port: number): Promise<boolean> {
  if (server.healthPath === undefined) return accepts(port)
  try {
    const answer = await fetch(`http://127.0.0.1:${port}${server.healthPath}`)
    await answer.body?.cancel()
    return answer.status < 500
  } catch {
    return false
  }
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => {
        if (address !== null && typeof address !== 'string') resolve(address.port)
        else reject(new Error('no free port'))
      })
    })
  })
}
