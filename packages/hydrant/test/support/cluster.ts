// Servers on one log, and a fleet of publishers and clients that move from one to the other and from one way to follow
// to the next, all the while. In the end every client is held to what was acknowledged.

import assert from 'node:assert/strict'
import type { Report } from '../../src/testing/testing.ts'
import { ask, type Said } from './ask.ts'
import { Balancer } from './balancer.ts'
import { ClusterNode, type ClusterNodeOptions } from './cluster-node.ts'
import type { Follower } from './fleet-client.ts'
import { Fleet } from './fleet.ts'

/** What a cluster is. */
export interface ClusterOptions {
  /** One for each node. */
  readonly nodes: readonly ClusterNodeOptions[]
  /** Decides what is published and when clients hop. */
  readonly seed: number
  /** The most events that are published in one request. Default 5; an engine without atomic batches takes 1. */
  readonly batchMax?: number
  /** Whether publishers come through the balancer too. Default: each keeps to a node of its own. */
  readonly isBalanced?: boolean
}

/** What one outage leaves in a node's log: a line when it begins, and one when it is over. */
const BEGINNING = /^hydrant: .*cannot be (?:reached|used)/
const END = /^hydrant: .*can be (?:reached|used) again, after \d+\.\d s\.$/

const WAIT_MS = 30_000

/** See the head of the file. */
export class Cluster implements AsyncDisposable {
  readonly nodes: ClusterNode[]
  readonly fleet: Fleet
  readonly balancer: Balancer

  private constructor(nodes: readonly ClusterNode[], balancer: Balancer, fleet: Fleet) {
    this.nodes = [...nodes]
    this.balancer = balancer
    this.fleet = fleet
  }

  /** Three nodes that reach their broker at one address. */
  static three(engine: string): readonly ClusterNodeOptions[] {
    return [{ engine }, { engine }, { engine }]
  }

  /** Starts them, and publishers and clients. */
  static async start({ nodes, seed, batchMax = 5, isBalanced = false }: ClusterOptions): Promise<Cluster> {
    await using starting = new AsyncDisposableStack()
    const started = await Promise.all(nodes.map(async (options) => starting.use(await ClusterNode.start(options))))
    const balancer = starting.use(await Balancer.start(started.map(({ target }) => target)))
    const { url } = balancer
    const publisherUrls = isBalanced ? [url] : started.map((node) => node.url)
    const fleet = await Fleet.start({ url, publisherUrls, seed, batchMax })
    starting.move()
    return new Cluster(started, balancer, fleet)
  }

  /** One node more. */
  async start(options: ClusterNodeOptions): Promise<void> {
    const node = await ClusterNode.start(options)
    this.nodes.push(node)
    this.balancer.add(node.target)
  }

  /** Lets nobody come to a node any more, and asks it to stop; answers how it ended. */
  async stop(node: ClusterNode): Promise<number | string> {
    this.nodes.splice(this.nodes.indexOf(node), 1)
    this.balancer.remove(node.target)
    await using stopping = node
    return await stopping.stop()
  }

  /** Waits until all of these nodes say of themselves that they cannot reach the log; answers what they say. */
  async untilDegraded(nodes: readonly ClusterNode[] = this.nodes): Promise<readonly Said[]> {
    await untilSo('every node to be degraded', async () => every(nodes, async (node) => !(await isWell(node))))
    for (const node of nodes) assert.equal(await node.metric('engine_trouble'), 1)
    return Promise.all(nodes.map(async (node) => node.health()))
  }

  /** Waits until all of these nodes can reach it. */
  async untilWell(nodes: readonly ClusterNode[] = this.nodes): Promise<void> {
    await untilSo('every node to be well', async () => every(nodes, isWell))
    for (const node of nodes) assert.equal(await node.metric('engine_trouble'), 0)
  }

  /** Publishes to a node, and waits for the answer for as long as it takes; what is stored is noted for the checker. */
  async publishWaiting(node: ClusterNode, data: string, waitS: number): Promise<Said> {
    const headers = { prefer: `wait=${waitS}` }
    const said = await ask(node.url, 'POST', '/events/b', { body: data, headers })
    const outcome = said.status === 200 ? { id: String(said.json['id']) } : 'unknown'
    this.fleet.publishers[0]?.records.push({ topic: 'b', data, outcome })
    return said
  }

  /** The clients that stay where they are as long as they can. */
  get stayers(): readonly Follower[] {
    return this.fleet.clients.filter(({ name }) => !name.startsWith('hopper'))
  }

  /** How many connections each of them has lost. */
  get losses(): readonly string[] {
    return this.stayers.map(({ name, losses }) => `${name}: ${losses}`)
  }

  /** How many gaps all clients were told of. */
  get gaps(): number {
    return this.fleet.clients.flatMap(({ records }) => records).filter((record) => 'gap' in record).length
  }

  /** Ends the load, and holds every client to what was acknowledged. */
  async finish(): Promise<Report> {
    const report = await this.fleet.finish()
    assert.ok(report.ok, String(report))
    for (const node of this.nodes) assert.equal(node.result, undefined, `a node has ended: ${node.complaints.join()}`)
    return report
  }

  /** A node has said nothing but one line at the beginning and one at the end of each of so many outages. */
  static checkOutages(node: ClusterNode, outages: number): void {
    const said = node.complaints
    const isAsExpected = said.every((line, at) => (at % 2 === 0 ? BEGINNING : END).test(line))
    assert.ok(isAsExpected && said.length === 2 * outages, `for ${outages} outages a node said:\n${said.join('\n')}`)
  }

  /** Whether a line of a node's log is one of those. */
  static isOfOutage(line: string): boolean {
    return BEGINNING.test(line) || END.test(line)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.fleet[Symbol.dispose]()
    await Promise.all(this.nodes.map(async (node) => node[Symbol.asyncDispose]()))
    await this.balancer[Symbol.asyncDispose]()
  }
}

/** Waits for something that has to be asked for. */
export async function untilSo(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + WAIT_MS
  while (!(await isSo())) {
    assert.ok(performance.now() < endMs, `waited ${WAIT_MS} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function isWell(node: ClusterNode): Promise<boolean> {
  return (await node.health()).status === 200
}

async function every<Item>(items: readonly Item[], isSo: (item: Item) => Promise<boolean>): Promise<boolean> {
  for (const item of items) if (!(await isSo(item))) return false
  return true
}
