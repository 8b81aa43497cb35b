// The terms of a log in NATS: its table of epochs, kept in the log itself.
//
// A term begins with a record in the stream, which holds the whole table and is appended on the condition that nothing
// came in between. Who finds that the stream is not what it was appends one:
//
//   seen by us       e1: 1 … 80 81 82 83 84 85
//   found            e1: 1 … 80 91'92'                    85 is gone, or another message
//   appended         { e2, first: 81 } at 93              the terms part after 80: what e1 gave after it was undone
//
// Everybody who carries the record compares tables. Who saw no further than 80 goes on; others undo, and read again.

import { escapeKey } from './nats-subject.ts'

/** One term: who comes with an id of it beyond the first offset of the next has seen what was undone. */
export interface Term {
  readonly name: string
  readonly first: number
  /** Acknowledged events of the term before were lost: nobody can say to whom they would have mattered. */
  readonly isAfterLoss: boolean
}

/** What a record says. */
export interface TermRecord {
  /** Oldest first; the last is the one that the record begins. */
  readonly terms: readonly Term[]
  /** Names of server runs that this log was met on: after a restart of the server the log may have lost its end. */
  readonly runs: readonly string[]
}

/**
 * Servers of a cluster whose runs are remembered. A run that was forgotten begins a term again, which costs nothing.
 */
const RUNS_MAX = 64

/** The next record: what was given after `to` is no part of the term before any more. */
export function nextRecord(
  record: TermRecord | undefined,
  next: { readonly name: string; readonly to: number; readonly isAfterLoss: boolean; readonly run: string },
  termsMax: number,
): TermRecord {
  const { name, to, isAfterLoss, run } = next
  const before = (record?.terms ?? []).filter((term) => term.first <= to)
  const term: Term = { name, first: before.length === 0 ? 0 : to + 1, isAfterLoss }
  const runs = [...(record?.runs ?? []).filter((one) => one !== run), run].slice(-RUNS_MAX)
  return { terms: [...before, term].slice(-termsMax), runs }
}

/** Up to which offset both tables say the same of every offset; Infinity when they are the same. */
export function commonTo(ours: readonly Term[], theirs: readonly Term[]): number {
  const start = theirs[0]
  if (start === undefined) return ours.length === 0 ? Number.POSITIVE_INFINITY : 0
  const skip = ours.findIndex((term) => isSame(term, start)) // either may have forgotten its oldest terms
  const lead = skip === -1 && ours[0] !== undefined ? theirs.findIndex((term) => isSame(term, ours[0])) : 0
  if (skip === -1 && lead === -1) return 0
  const mine = ours.slice(Math.max(skip, 0))
  const other = theirs.slice(lead)
  for (let at = 0; at < Math.max(mine.length, other.length); at += 1) {
    if (isSame(mine[at], other[at])) continue
    return Math.max(0, Math.min(mine[at]?.first ?? Infinity, other[at]?.first ?? Infinity) - 1)
  }
  return Number.POSITIVE_INFINITY
}

/** The name of the term that an offset belongs to. */
export function termAt(terms: readonly Term[], offset: number): Term | undefined {
  return terms.findLast((term) => term.first <= offset) ?? terms[0]
}

/** The text of a record. */
export function formatRecord({ terms, runs }: TermRecord): string {
  return JSON.stringify({
    terms: terms.map(({ name, first, isAfterLoss }) => [name, first, isAfterLoss ? 1 : 0]),
    runs: runs.map(escapeKey),
  })
}

/** Undefined for a text that is no record: somebody else wrote it. */
export function parseRecord(text: string): TermRecord | undefined {
  const value = jsonOf(text)
  if (typeof value !== 'object' || value === null || !('terms' in value) || !('runs' in value)) return undefined
  if (!Array.isArray(value.terms) || !Array.isArray(value.runs)) return undefined
  const terms = value.terms.map(termOf)
  return terms.length > 0 && terms.every((term) => term !== undefined)
    ? { terms, runs: value.runs.filter((run) => typeof run === 'string') }
    : undefined
}

function termOf(row: unknown): Term | undefined {
  if (!Array.isArray(row)) return undefined
  const [name, first, loss]: readonly unknown[] = row.map((value: unknown) => value)
  if (typeof name !== 'string' || typeof first !== 'number') return undefined
  return { name, first, isAfterLoss: loss === 1 }
}

function isSame(one: Term | undefined, other: Term | undefined): boolean {
  return one !== undefined && one.name === other?.name && one.first === other.first
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
