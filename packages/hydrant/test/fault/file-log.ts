// A file engine, open, and what its tail was told.

import assert from 'node:assert/strict'
import type { LogBounds } from '../../src/engine/engine.ts'
import { FileEngine, type FileEngineOptions } from '../../src/engine/file.ts'
import type { CheckedEvent, LogEvent } from '../../src/hub/event.ts'
import { Selection } from '../../src/hub/selection.ts'

/** See the head of the file. */
export class FileLog implements AsyncDisposable {
  readonly engine: FileEngine
  readonly folder: string
  readonly events: LogEvent[] = []
  readonly warnings: string[] = []
  opened: LogBounds | undefined

  private constructor(options: FileEngineOptions) {
    this.folder = options.folder
    this.engine = new FileEngine({ onWarning: (warning) => this.warnings.push(warning.message), ...options })
  }

  /** Opens one; rejects as the engine does. */
  static async open(options: FileEngineOptions): Promise<FileLog> {
    const log = new FileLog(options)
    try {
      log.opened = { ...(await log.engine.open(({ events }) => log.events.push(...events))) }
      return log
    } catch (error) {
      await log.engine.close()
      throw error
    }
  }

  /** Appends texts to a topic, as one batch. */
  async texts(topic: string, ...data: readonly string[]): Promise<readonly string[]> {
    return this.engine.append(data.map((text) => eventOf(topic, text)))
  }

  /** The data of what is read after an offset, up to the head; and where gaps ended. */
  async read(after: number, ...topics: readonly string[]): Promise<{ data: unknown[]; gaps: (number | string)[] }> {
    const selection = Selection.of(topics, undefined, 1_000)
    const { head } = this.engine.bounds()
    const [data, gaps]: [unknown[], (number | string)[]] = [[], []]
    for (let at = after; at < head;) {
      const { events, to, gap } = await this.engine.read({
        after: at,
        selection,
        eventsMax: 1_000,
        bytesMax: 1_000_000,
      })
      if (gap !== undefined) gaps.push(gap.certain ? gap.to : `perhaps ${gap.to}`)
      assert.ok(to > at, `a reading from ${at} came no further`)
      data.push(...events.map((event) => event.data))
      at = to
    }
    return { data, gaps }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine.close()
  }
}

/** An event without a type or key of its own, or with them. */
export function eventOf(topic: string, data: string, more: Partial<CheckedEvent> = {}): CheckedEvent {
  return { topic, type: 'message', key: undefined, data, ...more }
}
