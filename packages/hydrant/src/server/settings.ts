// Every setting of the server, in one table. A row's key is its name in the config file; its flag and its variable are
// derived from it:
//
//   heartbeatMs   --heartbeat-ms   HYDRANT_HEARTBEAT_MS
//
// The limits of hub/limits.ts are settings too: a row there is a row here.

import { availableParallelism } from 'node:os'
import type { RetentionRule } from '../engine/file-retention.ts'
import type { LagPolicies } from '../hub/lag.ts'
import { LIMITS, type Limit } from '../hub/limits.ts'
import { quote } from '../hub/topic.ts'
import { Origins } from '../http/origin.ts'
import { checkEngine, DEFAULT_ENGINE, DEFAULT_RETENTION_BYTES } from './engine.ts'
import { lagPolicies, retentionRules } from './rules.ts'
import { duration, list, orAuto, SettingFault, text, toggle, wholeNumber, type Setting } from './setting.ts'

/** The values, by key. */
export interface SettingValues {
  readonly host: string
  readonly port: number
  /** `memory`, or `file:<folder>`. */
  readonly engine: string
  /** See `Retention.rules`. */
  readonly retention: readonly RetentionRule[]
  readonly retentionBytes: number
  /** 0: no bound. */
  readonly retentionEvents: number
  /** 0: no bound. */
  readonly retentionMs: number
  readonly cors: readonly string[]
  readonly lag: LagPolicies
  readonly basePath: string
  readonly compression: boolean
  readonly console: boolean
  /** 1: none but the main thread. */
  readonly workers: number
  readonly heartbeatText: string
  readonly config: string
}

/** More threads than any machine has cores. */
const WORKERS_MAX = 1_024

const BASE_PATH = /^(\/[^/?#\s]+)+$/

/** The table, but for the limits. */
export const SETTINGS: { readonly [Key in keyof SettingValues]: Setting<SettingValues[Key]> } = {
  host: text(
    {
      description:
        'The address to listen on. The default is reached from this machine alone; 0.0.0.0 or :: is every address.',
      default: '127.0.0.1',
      placeholder: '<address>',
    },
    (value) => {
      if (value === '' || /[\s/]/.test(value))
        throw new SettingFault(`must be an address like 127.0.0.1, not ${quote(value)}`)
    },
  ),
  port: wholeNumber({
    description: 'The port to listen on; 0 takes any free one.',
    default: 3000,
    min: 0,
    max: 65_535,
    placeholder: '<port>',
  }),
  engine: text(
    {
      description:
        'Where the log lives. file:<folder>: on disk; a relative folder is beside the config file, or, when a flag ' +
        'or a variable names it, in the working directory. redis://… and nats://…: shared by several servers. ' +
        'memory: events end with the process.',
      default: DEFAULT_ENGINE,
      placeholder: '<memory|file:folder|url>',
    },
    checkEngine,
  ),
  retention: retentionRules({
    description:
      'What is kept of each topic, by pattern, in JSON: [{"topics": "chat/**", "eventsMax": 1000, "ageMs": "7d"}]. ' +
      'The first rule that matches a topic holds.',
    default: [],
  }),
  retentionBytes: wholeNumber({
    description:
      'What is kept in all, about: beyond it the oldest events leave, whatever their topic. In Redis 268435456.',
    default: DEFAULT_RETENTION_BYTES,
    min: 65_536,
    placeholder: '<bytes>',
  }),
  retentionEvents: wholeNumber({
    description: 'The newest so many events are kept in all; 0 is no bound.',
    default: 0,
    min: 0,
    placeholder: '<events>',
  }),
  retentionMs: duration({
    description: 'How long any event is kept at most: 12h, 7d, or milliseconds; 0 is no bound.',
    default: 0,
    min: 0,
  }),
  cors: list(
    {
      description:
        'Web origins besides its own whose pages may publish, open WebSockets and read; * is everyone. ' +
        'Repeat it, or separate by commas.',
      default: [],
      placeholder: '<origin>',
    },
    checkOrigin,
  ),
  lag: lagPolicies({
    description:
      'What happens to subscribers whose next events are gone, when they do not say themselves. One policy, or ' +
      'rules in JSON: [{"topics": "prices/**", "policy": "latest"}].',
    default: 'disconnect',
  }),
  basePath: text(
    { description: 'Serve events below this path instead of the root: /api.', default: '', placeholder: '<path>' },
    (value) => {
      if (value !== '' && !BASE_PATH.test(value)) throw new SettingFault(`must look like /api, not ${quote(value)}`)
    },
  ),
  compression: toggle({
    description: 'Compress streams and messages, once for all who follow the same, for clients that accept it.',
    default: false,
  }),
  console: toggle({ description: 'The page at / that shows the server at work.', default: true }),
  workers: orAuto(
    wholeNumber({
      description:
        'Threads that share the port, each with a part of the clients; auto: one for each core. ' +
        '1 serves all from the main thread.',
      default: 1,
      min: 1,
      max: WORKERS_MAX,
      placeholder: '<number|auto>',
    }),
    availableParallelism,
  ),
  heartbeatText: text({
    description: 'The text of heartbeat comments on SSE.',
    default: '',
  }),
  config: text({
    description: 'The JSON file with settings. Default: hydrant.json in the working directory, if there is one.',
    default: '',
    placeholder: '<path>',
  }),
}

/** A limit as a setting. */
export const LIMIT_SETTINGS: Readonly<Record<string, Setting<number>>> = Object.fromEntries(
  Object.entries<Limit>(LIMITS).map(([key, limit]) => [
    key,
    wholeNumber({
      description: limit.reason,
      default: limit.default,
      min: limit.min,
      placeholder: `<${limit.unit.replaceAll(' ', '-')}>`,
    }),
  ]),
)

/** Keys of what only an engine on disk can do. */
export const RETENTION_KEYS: readonly string[] = ['retention', 'retentionBytes', 'retentionEvents', 'retentionMs']

/** Every key, in the order in which people are shown them. */
export const SETTING_KEYS: readonly string[] = [...Object.keys(SETTINGS), ...Object.keys(LIMITS)]

/** Keys that the file can have: it cannot name itself. */
export const FILE_KEYS: readonly string[] = SETTING_KEYS.filter((key) => key !== 'config')

/** `heartbeatMs` → `heartbeat-ms`; on the command line two dashes go before it. */
export function flagOf(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** `heartbeatMs` → `HYDRANT_HEARTBEAT_MS`. */
export function variableOf(key: string): string {
  return `HYDRANT_${flagOf(key).replaceAll('-', '_').toUpperCase()}`
}

function checkOrigin(value: string): void {
  try {
    void new Origins([value])
  } catch (error) {
    throw new SettingFault(`has an item that cannot be used: ${error instanceof Error ? error.message : 'unknown'}`)
  }
}
