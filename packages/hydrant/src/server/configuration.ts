// The configuration of a server: made once, at start, from file, environment and flags; checked whole.
//
//   flag  beats  environment  beats  file  beats  default
//
// Everything that is wrong is told at once, each with the place where it stands and the nearest name that is known.
// Locked by test/server/configuration.test.ts.

import { dirname } from 'node:path'
import { resolveLimits, type Limits } from '../hub/limits.ts'
import { didYouMean } from '../hub/nearest.ts'
import { isRecord } from '../http/event-json.ts'
import { engineBeside, retentionBytesOf, retentionOfEngine } from './engine.ts'
import { SettingFault, type Setting } from './setting.ts'
import {
  FILE_KEYS,
  LIMIT_SETTINGS,
  RETENTION_KEYS,
  SETTING_KEYS,
  SETTINGS,
  variableOf,
  flagOf,
  type SettingValues,
} from './settings.ts'

/** Everything a server needs to know. */
export interface Configuration extends Omit<SettingValues, 'config'> {
  readonly limits: Limits
}

/** One setting as it came out, and why. */
export interface EffectiveSetting {
  readonly key: string
  readonly value: unknown
  /** `default`, `hydrant.json`, `HYDRANT_PORT` or `--port`. */
  readonly source: string
}

/** Where a configuration comes from. */
export interface ConfigurationSources {
  /** What the flags say, by key, which must be known; the values of a repeated flag are joined by commas. */
  readonly flags?: ReadonlyMap<string, string>
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Reads a file; undefined when there is none. Throws when it cannot be read. Default: there are no files. */
  readonly readFile?: (path: string) => string | undefined
}

/** What {@link loadConfiguration} answers. */
export interface LoadedConfiguration {
  readonly configuration: Configuration
  /** Every setting, in the order of the table. */
  readonly effective: readonly EffectiveSetting[]
}

/** Something in file, environment or flags that cannot be used; a line for each fault. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.faults = faults
  }
}

/** The file that is read when none is named. */
export const DEFAULT_FILE = 'hydrant.json'

/** Builds the configuration. Throws a {@link ConfigurationError} that names everything that is wrong. */
export function loadConfiguration(sources: ConfigurationSources = {}): LoadedConfiguration {
  const { flags = new Map<string, string>(), env = {}, readFile = () => undefined } = sources
  const faults: string[] = []
  const variables = variablesOf(env, faults)
  const named = flags.get('config') ?? variables.get('config')
  const path = named ?? DEFAULT_FILE
  const file = readSettings(path, named !== undefined, readFile, faults)

  const effective: EffectiveSetting[] = []
  const pick = <Value>(
    key: string,
    setting: Setting<Value>,
    settle: (chosen: Value, source: string) => Value = (chosen) => chosen,
  ): Value => {
    const [chosen, source] = choose(key, setting)
    const value = settle(chosen, source)
    effective.push({ key, value, source })
    return value
  }
  const choose = <Value>(key: string, setting: Setting<Value>): readonly [Value, string] => {
    const flag = flags.get(key)
    const variable = variables.get(key)
    const place = flag !== undefined ? `--${flagOf(key)}` : variable !== undefined ? variableOf(key) : path
    try {
      if (flag !== undefined) return [setting.fromText(flag), place]
      if (variable !== undefined) return [setting.fromText(variable), place]
      if (Object.hasOwn(file, key)) return [setting.fromJson(file[key]), place]
    } catch (error) {
      if (!(error instanceof SettingFault)) throw error
      const name = place === path ? `${path}: ${key}` : place
      faults.push(...error.faults.map((fault) => `${name} ${fault.replace(/[.?]?$/, (end) => end || '.')}`))
    }
    return [setting.default, 'default']
  }

  const engine = pick('engine', SETTINGS.engine, (text, source) =>
    source === path || source === 'default' ? engineBeside(text, dirname(path)) : text,
  )
  const settings = {
    host: pick('host', SETTINGS.host),
    port: pick('port', SETTINGS.port),
    engine,
    retention: pick('retention', SETTINGS.retention),
    retentionBytes: pick('retentionBytes', SETTINGS.retentionBytes, (bytes, source) =>
      source === 'default' ? retentionBytesOf(engine) : bytes,
    ),
    retentionEvents: pick('retentionEvents', SETTINGS.retentionEvents),
    retentionMs: pick('retentionMs', SETTINGS.retentionMs),
    cors: pick('cors', SETTINGS.cors),
    lag: pick('lag', SETTINGS.lag),
    basePath: pick('basePath', SETTINGS.basePath),
    compression: pick('compression', SETTINGS.compression),
    console: pick('console', SETTINGS.console),
    workers: pick('workers', SETTINGS.workers),
    heartbeatText: pick('heartbeatText', SETTINGS.heartbeatText),
  }
  pick('config', SETTINGS.config)
  const limits = Object.entries(LIMIT_SETTINGS).map(([key, setting]) => [key, pick(key, setting)] as const)
  faults.push(...retentionFaults(settings.engine, effective, path))
  if (faults.length > 0) throw new ConfigurationError(faults)
  // In the order of the table.
  effective.sort((one, other) => SETTING_KEYS.indexOf(one.key) - SETTING_KEYS.indexOf(other.key))
  return { configuration: { ...settings, limits: resolveLimits(Object.fromEntries(limits)) }, effective }
}

/** Somebody who sets retention relies on it: it is not left out quietly. */
function retentionFaults(engine: string, effective: readonly EffectiveSetting[], path: string): readonly string[] {
  const can = retentionOfEngine(engine)
  const keys: readonly string[] = { 'by-topic': [], whole: ['retention'], none: RETENTION_KEYS }[can]
  const why = can === 'none' ? 'the memory engine keeps the newest windowBytes.' : 'this one keeps all topics alike.'
  return effective
    .filter(({ key, source }) => keys.includes(key) && source !== 'default')
    .map(
      ({ key, source }) =>
        `${source === path ? `${path}: ${key}` : source} needs an engine on disk, like --engine file:./data: ` + why,
    )
}

/** What the variables say, by key. An empty one is not set: that is how compose files leave them out. */
function variablesOf(env: Readonly<Record<string, string | undefined>>, faults: string[]): ReadonlyMap<string, string> {
  const keys = new Map(SETTING_KEYS.map((key) => [variableOf(key), key]))
  const variables = new Map<string, string>()
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('HYDRANT_') || value === undefined || value === '' || isServiceLink(name, value)) continue
    const key = keys.get(name)
    if (key === undefined)
      faults.push(`the environment has ${name}, which is no setting.${didYouMean(name, keys.keys())}`)
    else variables.set(key, value)
  }
  return variables
}

/**
 * Kubernetes tells every container of a namespace about its services: one named `hydrant` brings HYDRANT_SERVICE_HOST,
 * HYDRANT_PORT=tcp://10.0.0.7:80 and more into the environment. They are not meant for us.
 */
function isServiceLink(name: string, value: string): boolean {
  if (/^HYDRANT_(\w+_)?SERVICE_(HOST|PORT(_\w+)?)$/.test(name)) return true
  return /^HYDRANT_(\w+_)?PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$/.test(name) && isLinkValue(name, value)
}

function isLinkValue(name: string, value: string): boolean {
  return /_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)$/.test(name) || /^(tcp|udp|sctp):\/\//.test(value)
}

function readSettings(
  path: string,
  isNamed: boolean,
  readFile: (path: string) => string | undefined,
  faults: string[],
): Readonly<Record<string, unknown>> {
  const fail = (fault: string): Readonly<Record<string, unknown>> => {
    faults.push(fault)
    return {}
  }
  let content: unknown
  try {
    const json = readFile(path)
    if (json === undefined) return isNamed ? fail(`there is no config file ${path}.`) : {}
    content = JSON.parse(json.replace(/^\uFEFF/, ''))
  } catch (error) {
    return fail(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}.`)
  }
  if (!isRecord(content)) return fail(`${path} must hold a JSON object like {"port": 4000}.`)
  for (const key of Object.keys(content)) {
    if (!FILE_KEYS.includes(key))
      faults.push(`${path} has the key "${key}", which is no setting.${didYouMean(key, FILE_KEYS)}`)
  }
  return content
}
