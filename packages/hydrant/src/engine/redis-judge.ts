// Whether selected events after a cursor were trimmed, by what the script noted of each that it took out.

import { CONTROL_TYPES } from 'hydrant-client/wire'
import type { Selection } from '../hub/selection.ts'
import type { TrimmedGap } from './engine.ts'
import type { RedisArgs } from './redis-client.ts'
import { listOf, numberOf, textOf, type RedisNames } from './redis-layout.ts'

/** Rows looked at in one round trip for a pattern, the highest offsets first. */
const ROWS = 1_000

/** What a reader asks. */
export interface JudgeRequest {
  readonly after: number
  readonly selection: Selection
  /** Only events that were the newest of their key count. */
  readonly latest?: boolean
}

/** The questions, to be asked in one transaction with the reading that they are about. */
export function judgeCommands(names: RedisNames, request: JudgeRequest): readonly RedisArgs[] {
  const { selection, latest = false } = request
  const forgotten = ['HGET', names.log, latest ? 'forgottenNewest' : 'forgotten']
  const topics = selection.exactTopics
  if (topics === undefined) return [forgotten, rowsCommand(names, request, 0)]
  if (selection.types === undefined) return [forgotten, ['ZMSCORE', tableOf(names, request), ...topics]]
  const types = [...selection.types, CONTROL_TYPES.end]
  const pairs = topics.flatMap((topic) => types.map((type) => `${topic}\n${type}`))
  return [forgotten, ['ZMSCORE', tableOf(names, request), ...pairs]]
}

/** The gap, from the answers. For a pattern that matches little of what is gone it asks on. */
export async function judge(
  names: RedisNames,
  request: JudgeRequest,
  [forgottenText, found]: readonly unknown[],
  send: (args: RedisArgs) => Promise<unknown>,
): Promise<TrimmedGap | undefined> {
  const { after, selection } = request
  const forgotten = numberOf(forgottenText)
  let to = 0
  if (selection.exactTopics !== undefined) to = Math.max(0, ...listOf(found).map(numberOf))
  else {
    let rows = listOf(found)
    for (let from = ROWS; (to = highestOf(rows, selection)) === 0 && rows.length === 2 * ROWS; from += ROWS)
      rows = listOf(await send(rowsCommand(names, request, from)))
  }
  if (after < forgotten && to <= forgotten) return { to: forgotten, certain: false, count: undefined }
  return to > after ? { to, certain: true, count: undefined } : undefined
}

/** Of some types by topic and type, of all together by topic: what is the newest of a key differs. */
function tableOf(names: RedisNames, { selection, latest = false }: JudgeRequest): string {
  if (selection.types === undefined) return latest ? names.trimmedNewestTopics : names.trimmedTopics
  return latest ? names.trimmedNewest : names.trimmed
}

function rowsCommand(names: RedisNames, request: JudgeRequest, from: number): RedisArgs {
  const { after } = request
  return [
    'ZREVRANGEBYSCORE',
    tableOf(names, request),
    '+inf',
    `(${after}`,
    'WITHSCORES',
    'LIMIT',
    String(from),
    String(ROWS),
  ]
}

function highestOf(rows: readonly unknown[], selection: Selection): number {
  for (let at = 0; at < rows.length; at += 2) {
    const [topic = '', type] = textOf(rows[at]).split('\n')
    if (selection.matchesTopic(topic) && (type === undefined || selection.matchesType(type)))
      return numberOf(rows[at + 1])
  }
  return 0
}
