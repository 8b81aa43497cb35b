// One load on one server that was started for it, and the command line that a load becomes.

import { type Measurement, runGenerator } from './generator.ts'
import type { Load } from './loads.ts'
import { GENERATOR_PIN, serverPin } from './machine.ts'
import { startServer } from './running-server.ts'
import type { GeneratorOptions, Protocol, Server } from './servers.ts'

/** CPU that others may take, for each second, before a measurement is made again. */
const OTHERS_CPU_SHARE_MAX = 0.1

/** Measures up to so many times, until the machine was quiet meanwhile, and returns the quietest measurement. */
export async function measureQuietly(tries: number, measureOnce: () => Promise<Measurement>): Promise<Measurement> {
  let quietest = await measureOnce()
  for (let tried = 1; tried < tries && quietest.othersCpuShare > OTHERS_CPU_SHARE_MAX; tried++) {
    const again = await measureOnce()
    if (again.othersCpuShare < quietest.othersCpuShare) quietest = again
  }
  return quietest
}

/** Why a server cannot be measured at all; undefined when it starts. */
export async function whyNotStarted(server: Server): Promise<string | undefined> {
  try {
    const running = await startServer(server, serverPin(server.cpus ?? 1))
    await running.stop()
    return undefined
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
  }
}

/** Starts the server anew, so that no load finds what another left in its memory, and puts it under the load. */
export async function measure(generator: string, server: Server, protocol: Protocol, load: Load): Promise<Measurement> {
  const running = await startServer(server, serverPin(server.cpus ?? 1))
  try {
    const args = ['--port', String(running.port), '--pid', String(running.pid), ...argumentsOf(load, server, protocol)]
    const found = await runGenerator(generator, args, GENERATOR_PIN)
    if (server.generator?.['compressed'] === 1 && found.compressed === 0) throw new Error('it did not compress')
    return found
  } finally {
    await running.stop()
  }
}

/** What `load` has to be told of a load, all but port and process. */
export function argumentsOf(load: Load, server: Server, protocol: Protocol): string[] {
  const options: GeneratorOptions = {
    protocol,
    path: topicIn(load, server.subscribePath[protocol] ?? '/'),
    clients: load.clients,
    slow: load.stalled,
    events: load.events,
    warmup: load.warmupEvents,
    bytes: load.eventBytes,
    idle: load.idleS,
    ...publishingOf(load, server),
    ...(load.payload !== undefined && { payload: load.payload }),
    ...(load.isWide === true && { topics: load.clients }),
    ...(load.cutAfterEvents !== undefined && { cut: load.cutAfterEvents, ...server.resuming?.[protocol] }),
    ...server.generator,
  }
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
}

/** A topic for each client takes the place of the one for all. */
function topicIn(load: Load, path: string): string {
  return load.isWide === true ? path.replace(/bench$/, '$$TOPIC') : path
}

function publishingOf(load: Load, server: Server): GeneratorOptions {
  const { publishing } = load
  const post = { 'publish-path': topicIn(load, server.publishPath) }
  if (publishing.kind === 'none') return {}
  if (publishing.kind === 'paced') return { ...post, rate: publishing.perS, connections: publishing.connections }
  if (publishing.kind === 'answered') return { ...post, connections: publishing.connections }
  if (server.publishLines === undefined) {
    return { ...post, events: Math.ceil(load.events / 10), warmup: Math.ceil(load.warmupEvents / 10) }
  }
  const { path, line } = server.publishLines
  const ahead = publishing.aheadEvents
  return { publish: 'stream', 'publish-path': path, 'content-type': 'application/x-ndjson', body: line, ahead }
}
