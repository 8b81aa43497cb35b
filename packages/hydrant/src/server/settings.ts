// Every setting of the server, in one table. A row's key is its name in the config file; its flag and its variable are
// derived from it:
//
//   heartbeatMs   --heartbeat-ms   HYDRANT_HEARTBEAT_MS
//
// The limits of hub/limits.ts are settings too: a row there is a row here.

import type { LagPolicy } from 'hydrant-client/wire'
import { LIMITS, type Limit } from '../hub/limits.ts'
import { quote } from '../hub/topic.ts'
import { Origins } from '../http/origin.ts'
import { checkEngine } from './engine.ts'
import { choice, list, SettingFault, text, toggle, wholeNumber, type Setting } from './setting.ts'

/** The values, by key. */
export interface SettingValues {
  readonly host: string
  readonly port: number
  /** `memory`, or `file:<folder>`. */
  readonly engine: string
  readonly cors: readonly string[]
  readonly lag: LagPolicy
  readonly basePath: string
  readonly console: boolean
  readonly heartbeatText: string
  readonly config: string
}

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
      description: 'Where the log lives. memory: events end with the process. file:<folder>: they are kept on disk.',
      default: 'memory',
      placeholder: '<memory|file:folder>',
    },
    checkEngine,
  ),
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
  lag: choice<LagPolicy>(
    {
      description: 'What happens to subscribers whose next events are gone, when they do not say themselves.',
      default: 'disconnect',
    },
    ['disconnect', 'skip', 'latest'],
  ),
  basePath: text(
    { description: 'Serve events below this path instead of the root: /api.', default: '', placeholder: '<path>' },
    (value) => {
      if (value !== '' && !BASE_PATH.test(value)) throw new SettingFault(`must look like /api, not ${quote(value)}`)
    },
  ),
  console: toggle({ description: 'The page at / that shows the server at work.', default: true }),
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
