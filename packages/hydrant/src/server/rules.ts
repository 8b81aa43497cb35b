// Settings that are lists of rules: an array in the file, and the same JSON after a flag or in a variable.

import type { LagPolicy } from 'hydrant-client/wire'
import type { RetentionRule } from '../engine/file-retention.ts'
import { HydrantError } from '../hub/errors.ts'
import type { LagPolicies, LagRule } from '../hub/lag.ts'
import { didYouMean } from '../hub/nearest.ts'
import { parsePattern, quote } from '../hub/topic.ts'
import { isRecord } from '../http/event-json.ts'
import { choice, duration, jsonText, SettingFault, wholeNumber, type Row, type Setting } from './setting.ts'

const LAG_POLICIES: readonly LagPolicy[] = ['disconnect', 'skip', 'latest']

const count = wholeNumber({ description: '', default: 0, placeholder: '', min: 1 })
const age = duration({ description: '', default: 0 })
const policy = choice({ description: '', default: 'disconnect' }, LAG_POLICIES)

/** Rules of retention, by topic. */
export function retentionRules(row: Row<readonly RetentionRule[]>): Setting<readonly RetentionRule[]> {
  const example = '[{"topics": "chat/**", "eventsMax": 1000}]'
  const fromJson = (json: unknown): readonly RetentionRule[] => readRules(json, example, readRetentionRule)
  return { ...row, placeholder: '<rules>', fromJson, fromText: (text) => fromJson(parsed(text, example)) }
}

/** One lag policy for all, or rules by topic. */
export function lagPolicies(row: Row<LagPolicies>): Setting<LagPolicies> {
  const example = '[{"topics": "prices/**", "policy": "latest"}]'
  const fromJson = (json: unknown): LagPolicies =>
    Array.isArray(json) ? readRules(json, example, readLagRule) : policy.fromJson(json)
  return {
    ...row,
    placeholder: `<${LAG_POLICIES.join('|')}|rules>`,
    fromJson,
    fromText: (text) => (/^\s*\[/.test(text) ? fromJson(parsed(text, example)) : policy.fromText(text)),
  }
}

function readRetentionRule(rule: Fields): RetentionRule {
  rule.checkKeys(['topics', 'eventsMax', 'bytesMax', 'ageMs', 'perKey'])
  const eventsMax = rule.read('eventsMax', count.fromJson)
  const bytesMax = rule.read('bytesMax', count.fromJson)
  const ageMs = rule.read('ageMs', age.fromJson)
  const perKey = rule.read('perKey', readOne)
  return {
    topics: rule.topics(),
    ...(eventsMax === undefined ? {} : { eventsMax }),
    ...(bytesMax === undefined ? {} : { bytesMax }),
    ...(ageMs === undefined ? {} : { ageMs }),
    ...(perKey === undefined ? {} : { perKey }),
  }
}

function readLagRule(rule: Fields): LagRule {
  rule.checkKeys(['topics', 'policy'])
  rule.require('policy', '"latest"')
  return { topics: rule.topics(), policy: rule.read('policy', policy.fromJson) ?? policy.default }
}

function readOne(json: unknown): 1 {
  if (json === 1) return 1
  throw new SettingFault(`must be 1, not ${jsonText(json)}`)
}

function parsed(text: string, example: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new SettingFault(`must be JSON like ${example}, not ${quote(text)}`)
  }
}

/** Throws a SettingFault that names everything that is wrong with any of them. */
function readRules<Rule>(json: unknown, example: string, read: (rule: Fields) => Rule): readonly Rule[] {
  if (!Array.isArray(json)) throw new SettingFault(`must be an array of rules like ${example}, not ${jsonText(json)}`)
  const items: readonly unknown[] = json
  const faults: string[] = []
  const rules: Rule[] = []
  for (const [at, item] of items.entries()) {
    if (isRecord(item)) rules.push(read(new Fields(item, `rule ${at + 1}`, faults)))
    else faults.push(`rule ${at + 1} must be an object with keys, not ${jsonText(item)}`)
  }
  if (faults.length > 0) throw new SettingFault(...faults)
  return rules
}

/** One rule as it stands there; what is wrong with it is collected. */
class Fields {
  readonly #fields: Readonly<Record<string, unknown>>
  readonly #name: string
  readonly #faults: string[]

  constructor(fields: Readonly<Record<string, unknown>>, name: string, faults: string[]) {
    this.#fields = fields
    this.#name = name
    this.#faults = faults
  }

  checkKeys(known: readonly string[]): void {
    for (const key of Object.keys(this.#fields)) {
      if (known.includes(key)) continue
      this.#faults.push(`${this.#name} has the key "${key}", which no rule has.${didYouMean(key, known)}`)
    }
  }

  require(key: string, example: string): void {
    if (!Object.hasOwn(this.#fields, key)) this.#faults.push(`${this.#name} lacks "${key}", like "${key}": ${example}`)
  }

  /** The topic or pattern, which must be there. */
  topics(): string {
    this.require('topics', '"chat/**"')
    return this.read('topics', readPattern) ?? ''
  }

  /** Undefined when it is not there, and when it cannot be used. */
  read<Value>(key: string, from: (json: unknown) => Value): Value | undefined {
    if (!Object.hasOwn(this.#fields, key)) return undefined
    try {
      return from(this.#fields[key])
    } catch (error) {
      if (!(error instanceof SettingFault)) throw error
      this.#faults.push(...error.faults.map((fault) => `${this.#name}: ${key} ${fault}`))
      return undefined
    }
  }
}

function readPattern(json: unknown): string {
  if (typeof json !== 'string') throw new SettingFault(`must be a topic or a pattern, not ${jsonText(json)}`)
  try {
    return parsePattern(json)
  } catch (error) {
    if (!(error instanceof HydrantError)) throw error
    throw new SettingFault(`cannot be used: ${error.message.replace(/\.$/, '')}`)
  }
}
