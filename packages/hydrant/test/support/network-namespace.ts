// A network of its own for a process, connected to ours by one cable, whose packets can be dropped by the port that they
// go to or come from. Making it needs root; it is gone, rules and all, with the block that made it.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { SERVER_ENV } from './proxy-process.ts'

/** See the head of the file. */
export class NetworkNamespace implements Disposable {
  /** Our end of the cable. */
  readonly outside: string
  /** The other end. */
  readonly inside: string
  /** Runs a command inside. */
  readonly through: readonly [string, ...string[]]
  readonly #name: string

  constructor() {
    const number = Math.floor(Math.random() * 0x40_00)
    const name = (this.#name = `hydrant-${number}`)
    // 198.18.0.0/15 is set apart for tests of networks (RFC 2544).
    const address = (host: number): string => `198.18.${number >> 6}.${((number & 0x3f) << 2) + host}`
    this.outside = address(1)
    this.inside = address(2)
    this.through = ['ip', 'netns', 'exec', name]
    run('ip', 'netns', 'add', name)
    try {
      run('ip', 'link', 'add', `hyd${number}`, 'type', 'veth', 'peer', 'name', 'cable', 'netns', name)
      run('ip', 'addr', 'add', `${this.outside}/30`, 'dev', `hyd${number}`)
      run('ip', 'link', 'set', `hyd${number}`, 'up')
      run('ip', '-n', name, 'addr', 'add', `${this.inside}/30`, 'dev', 'cable')
      run('ip', '-n', name, 'link', 'set', 'cable', 'up')
      run('ip', '-n', name, 'link', 'set', 'lo', 'up')
    } catch (error) {
      this[Symbol.dispose]()
      throw error
    }
  }

  /** From here on so many of a hundred packets to and from a port outside are dropped, until it is healed. */
  drop(port: number, percent: number): void {
    const dice = percent === 100 ? [] : ['numgen', 'random', 'mod', '100', '<', String(percent)]
    this.#nft('add', 'table', 'inet', 'faults')
    for (const [hook, side] of [
      ['output', 'dport'],
      ['input', 'sport'],
    ] as const) {
      this.#nft('add', 'chain', 'inet', 'faults', hook, `{ type filter hook ${hook} priority 0 ; }`)
      this.#nft('add', 'rule', 'inet', 'faults', hook, 'tcp', side, String(port), ...dice, 'counter', 'drop')
    }
  }

  /** Nothing is dropped any more. Answers how many packets were. */
  heal(): number {
    const rules = this.#nft('list', 'table', 'inet', 'faults')
    this.#nft('delete', 'table', 'inet', 'faults')
    return [...rules.matchAll(/counter packets (\d+)/g)].reduce((sum, [, packets]) => sum + Number(packets), 0)
  }

  [Symbol.dispose](): void {
    run('ip', 'netns', 'del', this.#name)
  }

  #nft(...words: readonly string[]): string {
    return run(...this.through, 'nft', ...words)
  }
}

function run(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', env: SERVER_ENV })
  assert.equal(status, 0, `${command} ${args.join(' ')} needs root: ${stderr}`)
  return stdout
}
