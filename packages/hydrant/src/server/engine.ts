// Which engine a setting names: `memory`, or `file:<folder>`.

import type { Engine } from '../engine/engine.ts'
import { FileEngine } from '../engine/file.ts'
import { MemoryEngine } from '../engine/memory.ts'
import type { Limits } from '../hub/limits.ts'
import { quote } from '../hub/topic.ts'
import { SettingFault } from './setting.ts'

const FILE = 'file:'

/** Throws a SettingFault for a text that names no engine. */
export function checkEngine(text: string): void {
  if (text === 'memory' || folderOf(text) !== undefined) return
  throw new SettingFault(`must be memory, or file:<folder> like file:./data, not ${quote(text)}`)
}

/** The engine, not yet opened. `onWarning` hears of what no caller is told, such as a log with events missing. */
export function engineOf(text: string, limits: Limits, onWarning: (warning: Error) => void): Engine {
  const folder = folderOf(text)
  return folder === undefined ? new MemoryEngine({ limits }) : new FileEngine({ folder, limits, onWarning })
}

/** What a user should know of the engine, in one sentence. */
export function engineWords(text: string): string {
  const folder = folderOf(text)
  if (folder === undefined) return 'The engine is memory: events end with the process.'
  return `The engine is a file: events are kept in ${folder}.`
}

function folderOf(text: string): string | undefined {
  const folder = text.startsWith(FILE) ? text.slice(FILE.length) : ''
  return folder === '' ? undefined : folder
}
