// What a Compose file of deploy/ runs, without its containers: three nodes with their environment as it stands, but for
// where the broker is, behind HAProxy with its file as it stands, but for where the nodes are.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { ServeCommand } from './command.ts'
import { composeFile, deployText } from './deploy-folder.ts'
import { ProxyProcess } from './proxy-process.ts'
import { replaceOnce } from './replace-once.ts'

/** How it is run. */
export interface DeployedNodesOptions {
  /** `compose.yaml`. */
  readonly file: string
  /** Where the broker is in that file, and where it is here. */
  readonly broker: readonly [there: string, here: string]
  /** More of the nodes' environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** So that clients come back soon. */
const ENV = { HYDRANT_RETRY_MS: '30', HYDRANT_HEARTBEAT_MS: '500' }

/** The header in which HAProxy says which nodes it has chosen from. */
export const BACKEND = 'x-backend'

/** See the head of the file. */
export class DeployedNodes implements AsyncDisposable {
  readonly nodes: ServeCommand[]
  readonly #env: Readonly<Record<string, string>>
  #haproxy: ProxyProcess | undefined

  private constructor(nodes: ServeCommand[], env: Readonly<Record<string, string>>) {
    this.nodes = nodes
    this.#env = env
  }

  /** Starts all; resolves when HAProxy listens. */
  static async start({ file, broker: [there, here], env = {} }: DeployedNodesOptions): Promise<DeployedNodes> {
    const variables = composeFile(file).at('services.hydrant-1.environment').entries
    const given = Object.fromEntries(variables.map(([name, { text }]) => [name, text]))
    const engine = replaceOnce(given['HYDRANT_ENGINE'] ?? '', { [there]: here })
    const all = { ...given, ...ENV, ...env, HYDRANT_ENGINE: engine }
    const run = new DeployedNodes([], all)
    try {
      for (let node = 1; node <= 3; node += 1) run.nodes.push(await ServeCommand.start([], { env: all }))
      run.#haproxy = await startHaproxy(run.nodes.map(({ port }) => port))
      return run
    } catch (error) {
      await run[Symbol.asyncDispose]()
      throw error
    }
  }

  /** What clients know. */
  get url(): string {
    return this.#haproxy?.url ?? ''
  }

  /** Ends a node as a rolling deploy does, and starts it again at its port; answers how it ended. */
  async replace(at: number): Promise<number | string> {
    const old = this.nodes[at]
    assert.ok(old !== undefined)
    const { port } = old
    old.signal('SIGTERM')
    const result = await old.exit()
    this.nodes[at] = await ServeCommand.start(['--port', String(port)], { env: this.#env })
    return result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#haproxy?.[Symbol.asyncDispose]()
    await Promise.all(this.nodes.map(async (node) => node[Symbol.asyncDispose]()))
  }
}

function startHaproxy(ports: readonly number[]): Promise<ProxyProcess> {
  return ProxyProcess.start(
    (port) => {
      const text = replaceOnce(deployText('haproxy-nodes.cfg'), {
        'bind :80': `bind 127.0.0.1:${port}`,
        'maxconn 30000': 'maxconn 100', // more would need more descriptors than a test may have
        'default_backend alive': `http-response set-header ${BACKEND} %[be_name]\n    default_backend alive`,
      })
      const placed = text.replaceAll(/hydrant-(\d):3000/g, (_, node) => `127.0.0.1:${ports[Number(node) - 1]}`)
      return { 'haproxy.cfg': placed }
    },
    (folder) => ['haproxy', '-f', join(folder, 'haproxy.cfg')],
  )
}
