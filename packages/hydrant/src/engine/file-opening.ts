// Opening a log on disk: what is there, whether it is all that should be, and a new term for its writer.

import type { DatabaseSync } from 'node:sqlite'
import type { Epoch } from '../hub/epochs.ts'
import { openWriter } from './file-database.ts'
import type { Opened } from './file-messages.ts'
import { integerOf, numberFrom, textOf } from './file-row.ts'
import { mintEpoch } from './memory.ts'

/** The row `state`. */
export interface State {
  head: number
  timeMs: number
  events: number
  bytes: number
  forgotten: number
}

/** A log as it was found. */
export interface OpenedLog {
  readonly database: DatabaseSync
  readonly state: State
  readonly epochs: readonly Epoch[]
  readonly warning: string | undefined
}

/** Opens the database, and begins a term. What was found amiss in it is declared, and said in the warning. */
export function openLog(folder: string, epochsMax: number, epoch: Epoch | undefined): OpenedLog {
  const database = openWriter(folder)
  try {
    const state = readState(database)
    const warning = declareLosses(database, state, folder)
    return { database, state, epochs: beginEpoch(database, state.head, epochsMax, epoch), warning }
  } catch (error) {
    database.close()
    throw error
  }
}

/**
 * Compares the events that are there with what the last transaction said. Where they differ, nobody knows what is gone:
 * everything so far is declared as such, so that resuming within it is a gap with `certain: false`, and no silence.
 */
function declareLosses(database: DatabaseSync, state: State, folder: string): string | undefined {
  const events = numberFrom(database, 'SELECT count(*) FROM events')
  const head = numberFrom(database, 'SELECT max(offset) FROM events')
  if (events === state.events && head <= state.head) return undefined
  const warning =
    `The log in ${folder} has ${events} events up to ${head}, but should have ${state.events} up to ${state.head}. ` +
    'Whoever resumes within it is told of a gap.'
  state.head = Math.max(head, state.head)
  state.forgotten = state.head
  state.events = events
  state.bytes = numberFrom(database, 'SELECT sum(bytes) FROM events')
  database.exec('BEGIN IMMEDIATE')
  database.prepare('UPDATE topics SET unknown = ?').run(state.head)
  database
    .prepare('UPDATE state SET head = ?, events = ?, bytes = ?, forgotten = ?')
    .run(state.head, events, state.bytes, state.forgotten)
  database.exec('COMMIT')
  return warning
}

function readState(database: DatabaseSync): State {
  const row = database.prepare('SELECT * FROM state').get() ?? {}
  return {
    head: integerOf(row, 'head'),
    timeMs: integerOf(row, 'time'),
    events: integerOf(row, 'events'),
    bytes: integerOf(row, 'bytes'),
    forgotten: integerOf(row, 'forgotten'),
  }
}

/** Every open is a new term of the writer, but for one that goes on. Answers all terms that are kept. */
function beginEpoch(
  database: DatabaseSync,
  head: number,
  epochsMax: number,
  goesOn: Epoch | undefined,
): readonly Epoch[] {
  const known = epochsOf(database)
  if (goesOn !== undefined && goesOn.first === head + 1 && known.at(-1)?.name === goesOn.name) return known
  database.exec('BEGIN IMMEDIATE')
  try {
    database.prepare('INSERT INTO epochs (name, first) VALUES (?, ?)').run(mintEpoch(), head + 1)
    database.prepare('DELETE FROM epochs WHERE id <= (SELECT max(id) FROM epochs) - ?').run(epochsMax)
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
  return epochsOf(database)
}

function epochsOf(database: DatabaseSync): readonly Epoch[] {
  const rows = database.prepare('SELECT name, first FROM epochs ORDER BY id').all()
  return rows.map((row) => ({ name: textOf(row, 'name'), first: integerOf(row, 'first') }))
}

/** Topics that ended, and where. */
export function endsOf(database: DatabaseSync): Opened['ends'] {
  const ends = database.prepare('SELECT name, ended FROM topics WHERE ended > 0 ORDER BY ended')
  return ends.all().map((row) => [textOf(row, 'name'), integerOf(row, 'ended')] as const)
}
