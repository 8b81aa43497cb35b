// What a setting is: one row of the table in settings.ts, and the kinds of values that rows can have.

import { durationMs } from '../hub/duration.ts'
import { quote } from '../hub/topic.ts'

/** One thing that can be set, by a file, by the environment or by a flag. */
export interface Setting<Value> {
  /** What it does, in a sentence for people. */
  readonly description: string
  /** Stands for the value in the help: `<port>`. */
  readonly placeholder: string
  readonly default: Value
  /** Reads what a flag or a variable says. Throws a {@link SettingFault}. */
  readonly fromText: (text: string) => Value
  /** Reads what the file says. Throws a {@link SettingFault}. */
  readonly fromJson: (json: unknown) => Value
}

/** What a kind of setting leaves to its rows. */
export interface Row<Value> {
  readonly description: string
  readonly default: Value
}

/** A value that cannot be used. Each of its faults goes on after the name of the setting: `must be …`. */
export class SettingFault extends Error {
  override readonly name = 'SettingFault'
  readonly faults: readonly string[]

  constructor(...faults: readonly string[]) {
    super(faults.join('; '))
    this.faults = faults
  }
}

/** A text; `check` throws a SettingFault. */
export function text(
  row: Row<string> & { readonly placeholder?: string },
  check: (text: string) => void = () => {},
): Setting<string> {
  const fromText = (value: string): string => {
    check(value)
    return value
  }
  return {
    placeholder: '<text>',
    ...row,
    fromText,
    fromJson: (json) => {
      if (typeof json !== 'string') throw new SettingFault(`must be a string, not ${jsonText(json)}`)
      return fromText(json)
    },
  }
}

/** One of several words. */
export function choice<Word extends string>(row: Row<Word>, words: readonly Word[]): Setting<Word> {
  const fromText = (value: string): Word => {
    const word = words.find((one) => one === value)
    if (word === undefined) throw new SettingFault(`must be ${words.join(' or ')}, not ${quote(value)}`)
    return word
  }
  const fromJson = (json: unknown): Word => fromText(typeof json === 'string' ? json : JSON.stringify(json))
  return { ...row, placeholder: `<${words.join('|')}>`, fromText, fromJson }
}

/** `on` or `off`; in the file `true` or `false`. */
export function toggle(row: Row<boolean>): Setting<boolean> {
  return {
    ...row,
    placeholder: '<on|off>',
    fromText: (value) => {
      if (value === 'on' || value === 'true' || value === '1') return true
      if (value === 'off' || value === 'false' || value === '0') return false
      throw new SettingFault(`must be on or off, not ${quote(value)}`)
    },
    fromJson: (json) => {
      if (typeof json === 'boolean') return json
      throw new SettingFault(`must be true or false, not ${jsonText(json)}`)
    },
  }
}

/** A whole number. */
export function wholeNumber(
  row: Row<number> & { readonly placeholder: string; readonly min: number; readonly max?: number },
): Setting<number> {
  const { min, max = Number.MAX_SAFE_INTEGER } = row
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  const check = (value: number, given: string): number => {
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value
    throw new SettingFault(`must be a whole number ${range}, not ${given}`)
  }
  return {
    description: row.description,
    default: row.default,
    placeholder: row.placeholder,
    fromText: (value) => check(/^\d{1,16}$/.test(value) ? Number(value) : Number.NaN, quote(value)),
    fromJson: (json) => check(typeof json === 'number' ? json : Number.NaN, jsonText(json)),
  }
}

/** The same, or `auto`: what is best here. */
export function orAuto<Value>(setting: Setting<Value>, best: () => Value): Setting<Value> {
  return {
    ...setting,
    fromText: (value) => (value === 'auto' ? best() : setting.fromText(value)),
    fromJson: (json) => (json === 'auto' ? best() : setting.fromJson(json)),
  }
}

/** Milliseconds; as text also `90s`, `15m`, `2h`, `7d`. */
export function duration(row: Row<number> & { readonly min?: number }): Setting<number> {
  const { description, default: byDefault, min = 1 } = row
  const check = (ms: number | undefined, given: string): number => {
    if (ms !== undefined && Number.isSafeInteger(ms) && ms >= min) return ms
    throw new SettingFault(`must be a duration like 15m, 2h or 7d, or milliseconds of at least ${min}, not ${given}`)
  }
  const fromText = (value: string): number =>
    check(/^\d{1,16}$/.test(value) ? Number(value) : durationMs(value), quote(value))
  return {
    description,
    default: byDefault,
    placeholder: '<duration>',
    fromText,
    fromJson: (json) =>
      typeof json === 'string' ? fromText(json) : check(typeof json === 'number' ? json : undefined, jsonText(json)),
  }
}

/** Several texts: separated by commas, and in the file an array. `check` throws a SettingFault. */
export function list(
  row: Row<readonly string[]> & { readonly placeholder: string },
  check: (item: string) => void,
): Setting<readonly string[]> {
  const checkAll = (items: readonly string[]): readonly string[] => {
    for (const item of items) check(item)
    return items
  }
  return {
    ...row,
    fromText: (value) =>
      checkAll(
        value
          .split(',')
          .map((item) => item.trim())
          .filter((item) => item !== ''),
      ),
    fromJson: (json) => {
      const items: unknown[] = Array.isArray(json) ? json : [json]
      if (!items.every((item) => typeof item === 'string'))
        throw new SettingFault(`must be an array of strings, not ${jsonText(json)}`)
      return checkAll(items)
    },
  }
}

/** A value of the file for a message, cut when it is long. */
export function jsonText(json: unknown): string {
  const shown = JSON.stringify(json)
  return shown.length > 80 ? `${shown.slice(0, 80)}…` : shown
}
