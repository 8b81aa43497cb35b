// Which engine a setting names: `memory`, `file:<folder>`, `redis://…` or `nats://…`.

import { isAbsolute, join, resolve } from 'node:path'
import type { Engine } from '../engine/engine.ts'
import { FileEngine } from '../engine/file.ts'
import type { Retention } from '../engine/file-retention.ts'
import { MemoryEngine } from '../engine/memory.ts'
import { isNatsUrl, natsOptionsOf } from '../engine/nats-options.ts'
import type { RedisRetention } from '../engine/redis.ts'
import { describe, parseRedisUrl } from '../engine/redis-url.ts'
import { quote } from '../hub/topic.ts'
import type { Configuration } from './configuration.ts'
import { SettingFault } from './setting.ts'
import { StartError } from './start-error.ts'

const FILE = 'file:'

/**
 * A log on disk, beside the config file. A name of its own, so that whoever finds the folder knows whose it is: a
 * folder named `data` may be somebody else's already.
 */
export const DEFAULT_ENGINE = 'file:hydrant-data'

/** What is kept on disk, or in NATS, when nothing is said. */
export const DEFAULT_RETENTION_BYTES = 1_073_741_824

/** Throws a SettingFault for a text that names no engine. */
export function checkEngine(text: string): void {
  const { kind } = kindOf(text)
  try {
    if (kind === 'redis') parseRedisUrl(text)
    if (kind === 'nats') natsOptionsOf(text)
  } catch (error) {
    throw new SettingFault(`is no address: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (kind !== 'unknown') return
  throw new SettingFault(`must be memory, file:<folder> like file:./data, redis://… or nats://…, not ${quote(text)}`)
}

/** What is kept in all when nothing is said: Redis keeps it in memory. */
export function retentionBytesOf(text: string): number {
  return kindOf(text).kind === 'redis' ? DEFAULT_RETENTION_BYTES / 4 : DEFAULT_RETENTION_BYTES
}

/** Whether retention can be set for topics, for the whole log, or not at all. */
export function retentionOfEngine(text: string): 'by-topic' | 'whole' | 'none' {
  const { kind } = kindOf(text)
  if (kind === 'file') return 'by-topic'
  return kind === 'redis' || kind === 'nats' ? 'whole' : 'none'
}

/** The engine as the config file means it: a relative folder is beside that file. */
export function engineBeside(text: string, configFolder: string): string {
  const folder = folderOf(text)
  const isThere = folder === undefined || configFolder === '.' || isAbsolute(folder)
  return isThere ? text : `${FILE}${join(configFolder, folder)}`
}

/** What an engine is made of. */
export type EngineSettings = Pick<
  Configuration,
  'engine' | 'limits' | 'retention' | 'retentionBytes' | 'retentionEvents' | 'retentionMs'
>

/**
 * The engine, not yet opened. `onWarning` hears of what no caller is told, such as a log with events missing. Rejects
 * with a StartError when the driver that it needs is not installed.
 */
export async function engineOf(settings: EngineSettings, onWarning: (warning: Error) => void): Promise<Engine> {
  const { engine, limits } = settings
  const kind = kindOf(engine)
  if (kind.kind === 'file') {
    return new FileEngine({ folder: kind.folder, limits, retention: retentionOf(settings), onWarning })
  }
  if (kind.kind === 'redis') {
    const { RedisEngine } = await installed('@redis/client', () => import('../engine/redis.ts'))
    return new RedisEngine({ url: engine, limits, retention: wholeRetentionOf(settings), onWarning })
  }
  if (kind.kind === 'nats') {
    const drivers = '@nats-io/transport-node @nats-io/jetstream'
    const { NatsEngine } = await installed(drivers, () => import('../engine/nats.ts'))
    const options = natsOptionsOf(engine)
    const retention = { ...wholeRetentionOf(settings), ...options.retention }
    return new NatsEngine({ ...options, limits, retention, onWarning })
  }
  return new MemoryEngine({ limits })
}

/** What a user should know of the engine, in one sentence. */
export function engineWords(text: string): string {
  const kind = kindOf(text)
  if (kind.kind === 'file') return `The engine is a file: events are kept in ${resolve(kind.folder)}.`
  if (kind.kind === 'redis') return `The engine is Redis: ${describe(parseRedisUrl(text))}.`
  if (kind.kind === 'nats')
    return `The engine is NATS: ${(natsOptionsOf(text).servers ?? ['127.0.0.1:4222']).join(', ')}.`
  return 'The engine is memory: events end with the process.'
}

/** The folder of an engine on disk, as the setting has it. */
export function folderOf(text: string): string | undefined {
  const kind = kindOf(text)
  return kind.kind === 'file' ? kind.folder : undefined
}

type Kind =
  { readonly kind: 'memory' | 'redis' | 'nats' | 'unknown' } | { readonly kind: 'file'; readonly folder: string }

function kindOf(text: string): Kind {
  if (text === 'memory') return { kind: 'memory' }
  if (text.startsWith(FILE) && text.length > FILE.length) return { kind: 'file', folder: text.slice(FILE.length) }
  if (/^rediss?(\+\w+)?:/.test(text)) return { kind: 'redis' }
  return { kind: isNatsUrl(text) ? 'nats' : 'unknown' }
}

/** A driver is installed by who uses it: most servers need none. */
async function installed<Module>(drivers: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load()
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error
    throw new StartError(`this engine needs a driver: npm install ${drivers}`, { cause: error })
  }
}

function retentionOf({ retention, retentionBytes, retentionEvents, retentionMs }: EngineSettings): Retention {
  return {
    rules: retention,
    logBytesMax: retentionBytes,
    ...(retentionEvents === 0 ? {} : { logEventsMax: retentionEvents }),
    ...(retentionMs === 0 ? {} : { logAgeMs: retentionMs }),
  }
}

/** Of the whole log. */
function wholeRetentionOf({ retentionBytes, retentionEvents, retentionMs }: EngineSettings): RedisRetention {
  return {
    logBytesMax: retentionBytes,
    ...(retentionEvents === 0 ? {} : { logEventsMax: retentionEvents }),
    ...(retentionMs === 0 ? {} : { logAgeMs: retentionMs }),
  }
}
