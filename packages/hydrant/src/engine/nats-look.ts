// Looking at the log anew, before anything is published or read over a new connection: is it what it was?
//
//   the stream is gone, or another        everything was undone
//   its end is another than we saw        what is after the last that is the same was undone
//   its server was started anew           perhaps something was undone that nobody alive has seen
//
// Each begins a term (nats-terms.ts), unless another node was faster.

import { unavailable, isWrongLast } from './nats-errors.ts'
import type { NatsLink, StreamState } from './nats-link.ts'
import type { NatsLog } from './nats-log.ts'
import { formatRecord, commonTo, nextRecord, parseRecord, type TermRecord } from './nats-terms.ts'
import { mintEpoch } from './memory.ts'

/** Others may write in between, each time; but the log is looked at before they may. */
const TRIES_MAX = 50

interface Found {
  readonly record: TermRecord
  readonly seq: number
}

/** Brings what is known of the log up to date. Its tail has to start after the head that is known then. */
export async function lookAtLog(link: NatsLink, log: NatsLog, termsMax: number): Promise<void> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const state = await streamOf(link, log)
    const found = await newestRecord(link, log)
    if (found !== undefined && found.seq > state.last) continue // another node wrote it after we had looked
    const next = await dueRecord(link, log, state, found, termsMax)
    if (next === undefined && found !== undefined) return takeOver(link, log, state, found)
    if (next === undefined) continue
    const seq = await append(link, log, state, next)
    if (seq !== undefined) return takeOver(link, log, { ...state, last: seq }, { record: next, seq })
  }
  throw unavailable('Others write to the log faster than a term of it can begin. Try again.')
}

/** Keeps the newest record from being trimmed: appends it again when it has become one of the older messages. */
export async function keepRecord(link: NatsLink, log: NatsLog, { first, last }: StreamState): Promise<void> {
  const { record, recordSeq } = log
  if (record === undefined || first <= 1 || recordSeq >= (first + last) / 2) return
  const data = formatRecord(record)
  const expectedSubjectLast = recordSeq < first ? 0 : recordSeq
  await link.publish({ subject: log.subjects.term, data, headers: [], expectedSubjectLast }).catch((error: unknown) => {
    if (!isWrongLast(error)) throw error // else another node did, or began a term: the tail will tell
  })
}

async function streamOf(link: NatsLink, log: NatsLog): Promise<StreamState> {
  const state = await link.streamState()
  if (state !== undefined) return state
  await link.makeStream(log.subjects.all)
  const made = await link.streamState()
  if (made === undefined) throw unavailable('The stream was deleted while it was made.')
  return made
}

async function newestRecord(link: NatsLink, log: NatsLog): Promise<Found | undefined> {
  const message = await link.lastOf(log.subjects.term)
  const record = message === undefined ? undefined : parseRecord(new TextDecoder().decode(message.data))
  return message === undefined || record === undefined ? undefined : { record, seq: message.seq }
}

/** The record that has to be appended, if one has to. */
async function dueRecord(
  link: NatsLink,
  log: NatsLog,
  state: StreamState,
  found: Found | undefined,
  termsMax: number,
): Promise<TermRecord | undefined> {
  const isSameStream = log.created === '' || log.created === state.created
  const sameTo = await knownTo(link, log, state)
  const base = found?.record ?? (isSameStream ? log.record : undefined)
  const isDeclared = base !== undefined && commonTo(log.terms, base.terms) <= sameTo
  const isFork = sameTo < Number.POSITIVE_INFINITY && !isDeclared
  if (found !== undefined && !isFork && found.record.runs.includes(link.run)) return undefined
  const to = isFork ? Math.min(sameTo, state.last) : state.last
  return nextRecord(base, { name: mintEpoch(), to, isAfterLoss: isFork, run: link.run }, termsMax)
}

/** Up to where the stream is what we know of it; Infinity when nothing that we know of is undone. */
async function knownTo(link: NatsLink, log: NatsLog, { created, last }: StreamState): Promise<number> {
  if (log.created === '') return Number.POSITIVE_INFINITY
  if (log.created !== created) return 0
  const newest = log.seen.last?.seq ?? 0
  const same = await log.seen.sameTo(async ({ seq, storedNs }) => {
    if (seq > last) return false
    const message = await link.messageAt(seq)
    return message === undefined ? undefined : message.storedNs === storedNs
  })
  if (same < newest) return same
  return Math.max(log.head, log.acked) > last ? last : Number.POSITIVE_INFINITY
}

/** Undefined when something else was stored in between. */
async function append(
  link: NatsLink,
  log: NatsLog,
  { last }: StreamState,
  record: TermRecord,
): Promise<number | undefined> {
  try {
    const publication = { subject: log.subjects.term, data: formatRecord(record), headers: [], expectedLast: last }
    return (await link.publish(publication)).seq
  } catch (error) {
    if (isWrongLast(error)) return undefined
    throw error
  }
}

async function takeOver(link: NatsLink, log: NatsLog, state: StreamState, { record, seq }: Found): Promise<void> {
  const isNew = log.created === ''
  const first = await link.messageAt(state.first)
  const isRecordFirst = first !== undefined && log.subjects.parse(first.subject)?.kind === 'term'
  const floor = isRecordFirst ? state.first : state.first - 1
  log.created = state.created
  if (isNew) {
    log.begin(state.last)
    const last = await link.messageAt(state.last)
    if (last !== undefined) log.seen.note(last.seq, last.storedNs)
  }
  log.adopt(record, seq)
  if (floor > log.head) log.skip(floor)
  log.setFloor(floor, state.first - 1)
}
