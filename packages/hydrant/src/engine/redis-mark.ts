// A mark: what the script says in a node's own channel of the log as it stands at that place of everything it says.

import type { Epoch } from '../hub/epochs.ts'

/** See the head of the file. */
export interface RedisMark {
  /** Of the look that asked for it; 0 where an append did, and then it tells of no slots. */
  readonly number: number
  readonly epoch: string
  /** The table of epochs, where the node that asked knew another one to be the last. */
  readonly epochs: readonly Epoch[] | undefined
  readonly head: number
  readonly floor: number
  /** What the log's events take. */
  readonly bytes: number
  /** Last offsets of the slots that were asked for. */
  readonly heads: ReadonlyMap<number, number>
  /** Where the topics that were asked for ended, 0 where they go on. */
  readonly ends: readonly number[]
}

/** Reads a mark; `slots` are those that were asked for. */
export function parseMark(text: string, slots: readonly number[]): RedisMark {
  const mark: unknown = JSON.parse(text)
  const fields = new Map<string, unknown>(typeof mark === 'object' && mark !== null ? Object.entries(mark) : [])
  const number = (name: string): number => Number(fields.get(name) ?? 0)
  const numbers = (name: string): number[] => {
    const list = fields.get(name)
    return Array.isArray(list) ? list.map(Number) : []
  }
  const heads = numbers('heads')
  const epochs = fields.get('epochs')
  return {
    number: number('number'),
    epoch: String(fields.get('epoch')),
    epochs: typeof epochs === 'string' ? parseEpochs(epochs) : undefined,
    head: number('head'),
    floor: number('floor'),
    bytes: number('bytes'),
    heads: new Map(heads.map((head, at) => [slots[at] ?? 0, head])),
    ends: numbers('ends'),
  }
}

/** Reads the table of epochs: a line for each, its name and its first offset. */
export function parseEpochs(rows: string): readonly Epoch[] {
  return Array.from(rows.matchAll(/(\S+) (\d+)\n/g), ([, name = '', first]) => ({ name, first: Number(first) }))
}
