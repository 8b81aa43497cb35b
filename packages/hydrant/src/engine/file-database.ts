// The log's database: its tables, and how a connection to it is made.
//
//   events       the log, a row for each event; its index by key, in which only events with a key are, finds the newest
//                of each as of any offset
//   places       the index by topic, which lets quiet topics be read without the busy ones; see file-places.ts
//   topics       a number for each name; `unknown`: see file-trimmed.ts; `ended`: where it ended, 0 while it goes on
//   trimmed      topic, type → the highest offset that is gone; `newest`: of those that were not superseded;
//                `newest_of_type`: of those that were not by one of their own type
//   idempotency  the first answers to requests with a key, in the order in which they were made
//   epochs       the terms of the log's writer, in their order
//   state        one row: the log's ends and sums, and how far `places` reaches, written with every transaction
//
// A row for each event, not one for each commit: retention by topic and key takes single events out, and a row costs
// 0.7 µs. An index by topic with an entry for each event cost ten times as much, for the pages that a commit wrote.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { HydrantError } from '../hub/errors.ts'
import { numberFrom } from './file-row.ts'

/** The database, in the log's folder. */
export const DATABASE_NAME = 'log.sqlite'
/** What this version reads and writes. */
export const SCHEMA_VERSION = 3

/** "hydr": tells our databases from others. */
const APPLICATION_ID = 0x68796472

/**
 * 8 MB of write-ahead log before it is brought into the database. A commit that touches a hundred topics writes a
 * hundred pages: with 500 pages a tenth of the commits took 1.8 ms, with 2,000 it was 0.8 ms, with 4,000 no less.
 */
const CHECKPOINT_PAGES = 2_000

const SCHEMA = `
CREATE TABLE events (
  offset INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  topic INTEGER NOT NULL,
  type TEXT,
  key TEXT,
  bytes INTEGER NOT NULL,
  data ANY NOT NULL
) STRICT;
CREATE TABLE places (
  topic INTEGER NOT NULL, last INTEGER NOT NULL, distances TEXT NOT NULL, PRIMARY KEY (topic, last)
) STRICT, WITHOUT ROWID;
CREATE TABLE topics (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, unknown INTEGER NOT NULL, ended INTEGER NOT NULL
) STRICT;
CREATE INDEX events_by_key ON events (topic, key, offset) WHERE key IS NOT NULL;
CREATE TABLE trimmed (
  topic INTEGER NOT NULL,
  type TEXT NOT NULL,
  highest INTEGER NOT NULL,
  newest INTEGER NOT NULL,
  newest_of_type INTEGER NOT NULL,
  PRIMARY KEY (topic, type)
) STRICT, WITHOUT ROWID;
CREATE INDEX trimmed_by_highest ON trimmed (highest);
CREATE TABLE idempotency (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  fingerprint TEXT NOT NULL,
  first INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT;
CREATE TABLE epochs (id INTEGER PRIMARY KEY, name TEXT NOT NULL, first INTEGER NOT NULL) STRICT;
CREATE TABLE state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  head INTEGER NOT NULL,
  time INTEGER NOT NULL,
  events INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  forgotten INTEGER NOT NULL,
  indexed INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (1, 0, 0, 0, 0, 0, 0);
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${SCHEMA_VERSION};
`

/** Opens the database for writing, and makes it when there is none. */
export function openWriter(folder: string): DatabaseSync {
  const path = join(folder, DATABASE_NAME)
  const isThere = existsSync(path)
  const database = new DatabaseSync(path)
  try {
    if (isThere) checkVersion(database, folder)
    // In this order: what a killed process left in the write-ahead log is brought in before anything is read.
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
      PRAGMA wal_checkpoint(TRUNCATE);
      PRAGMA cache_size = -65536;
      PRAGMA temp_store = MEMORY;
    `)
    if (numberFrom(database, 'PRAGMA user_version') === 0) database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** Opens the database for reading beside its writer. */
export function openReader(folder: string): DatabaseSync {
  const database = new DatabaseSync(join(folder, DATABASE_NAME), { readOnly: true, timeout: 1_000 })
  database.exec('PRAGMA temp_store = MEMORY')
  return database
}

function checkVersion(database: DatabaseSync, folder: string): void {
  const tables = numberFrom(database, 'SELECT count(*) FROM sqlite_schema')
  const version = numberFrom(database, 'PRAGMA user_version')
  const isOurs = numberFrom(database, 'PRAGMA application_id') === APPLICATION_ID
  if (tables === 0) return // a process that was killed before it had made them
  if (!isOurs)
    throw new HydrantError('unavailable', `${join(folder, DATABASE_NAME)} is the database of another program.`)
  if (version !== SCHEMA_VERSION) {
    throw new HydrantError(
      'unavailable',
      `The log in ${folder} was written by ${version > SCHEMA_VERSION ? 'a newer' : 'an older'} version ` +
        `(its format is ${version}, this one reads ${SCHEMA_VERSION}). Start that one, or name another folder.`,
    )
  }
}
