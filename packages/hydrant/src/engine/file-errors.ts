// What goes wrong with a log on disk, in words for whoever runs the server: SQLite's codes and the system's become one
// sentence that says what to do.

import { HydrantError } from '../hub/errors.ts'

/** Kinds of failure, by what can be done about them. */
export type FileFailure = 'full' | 'read-only' | 'damaged' | 'in-use' | 'broken'

// SQLite's primary result codes, https://sqlite.org/rescode.html
const FAILURES: Readonly<Record<number, FileFailure>> = {
  5: 'in-use',
  8: 'read-only',
  11: 'damaged',
  13: 'full',
  14: 'read-only',
  26: 'damaged',
}
/** The index of the write-ahead log could not be made larger: the disk is full, but for its name. */
const IOERR_SHMSIZE = 4874

const SYSTEM_FAILURES: Readonly<Record<string, FileFailure>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  EROFS: 'read-only',
  EACCES: 'read-only',
  EPERM: 'read-only',
  ENOENT: 'read-only', // what making a folder on a read-only disk answers
  ENOTDIR: 'read-only',
  EEXIST: 'read-only',
}

/** There is no room for more, said before anything was tried. */
export class DiskFullError extends Error {
  readonly code = 'ENOSPC'

  constructor() {
    super('too little is left to go on safely')
  }
}

/** Which kind an error is. */
export function failureOf(error: unknown): FileFailure {
  if (!(error instanceof Error)) return 'broken'
  if ('errcode' in error && typeof error.errcode === 'number') {
    if (error.errcode === IOERR_SHMSIZE) return 'full'
    return FAILURES[error.errcode & 0xff] ?? 'broken'
  }
  return ('code' in error && typeof error.code === 'string' ? SYSTEM_FAILURES[error.code] : undefined) ?? 'broken'
}

/** The error that callers of the engine get; a HydrantError stays as it is. */
export function unavailable(error: unknown, folder: string): HydrantError {
  if (error instanceof HydrantError) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new HydrantError('unavailable', `${SENTENCES[failureOf(error)](folder)} (${reason})`, { cause: error })
}

const SENTENCES: Readonly<Record<FileFailure, (folder: string) => string>> = {
  full: (folder) => `The disk with the log in ${folder} is full: nothing was stored. Free some space, and try again.`,
  'read-only': (folder) => `The log in ${folder} cannot be written: make the folder writable, or name another one.`,
  damaged: (folder) =>
    `The log in ${folder} is damaged: restore a copy, or move the folder away to start an empty log.`,
  'in-use': (folder) =>
    `The log in ${folder} is in use by another process: it has one writer. Stop the other, or name another folder.`,
  broken: (folder) => `The log in ${folder} failed: what was under way may not be stored.`,
}
