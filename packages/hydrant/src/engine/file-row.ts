// Rows of a database, read with the type that each column has.

import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { InvariantError } from '../hub/errors.ts'

/** A row as node:sqlite answers it. */
export type Row = Record<string, SQLOutputValue>

/** Whole numbers of a column. */
export function integerOf(row: Row, column: string): number {
  const value = row[column]
  if (typeof value !== 'number') throw new InvariantError(`the column ${column} is ${typeof value}, not a number`)
  return value
}

/** Text of a column. */
export function textOf(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new InvariantError(`the column ${column} is ${typeof value}, not text`)
  return value
}

/** Text of a column that may have none. */
export function textOrNull(row: Row, column: string): string | null {
  return row[column] === null ? null : textOf(row, column)
}

/** Text or bytes of a column. */
export function dataOf(row: Row, column: string): string | Uint8Array {
  const value = row[column]
  return value instanceof Uint8Array ? value : textOf(row, column)
}

/** The number that a statement answers; 0 when it answers none. */
export function numberFrom(database: DatabaseSync, sql: string, ...values: (string | number)[]): number {
  const row = database.prepare(sql).get(...values)
  const value = row === undefined ? undefined : Object.values(row)[0]
  return typeof value === 'number' ? value : 0
}
