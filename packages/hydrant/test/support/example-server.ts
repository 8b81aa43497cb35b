// An example, started as its README says, in a process of its own.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const START = fileURLToPath(new URL('../../../../scripts/example.js', import.meta.url))
/** A free port may be taken by somebody else before the example has it. */
const ATTEMPTS = 5

/** A running example. */
export interface ExampleServer {
  /** What it printed first. */
  readonly url: URL
  stop(): Promise<void>
}

/** Starts `npm run example <name>` on a free port and waits for the URL that it prints. */
export async function startExample(name: string): Promise<ExampleServer> {
  let complaint = ''
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = await findFreePort()
    const child = spawn(process.execPath, [START, name], {
      env: { ...process.env, PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
    const lines = createInterface(child.stdout)
    const exited = once(child, 'exit')
    const [line] = (await Promise.race([once(lines, 'line'), exited.then(() => [])])) as [string?]
    if (line === undefined) {
      if (complaint.includes('EADDRINUSE')) continue
      break
    }
    return {
      url: new URL(line),
      stop: async () => {
        child.kill('SIGTERM')
        await exited
      },
    }
  }
  throw new Error(`the example ${name} did not start: ${complaint}`)
}

async function findFreePort(): Promise<number> {
  const server = createServer()
  await once(server.listen(0, 'localhost'), 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => void server.close(resolve))
  return port
}
