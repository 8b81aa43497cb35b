// Where a stream starts (PROTOCOL.md, 4): an id beats everything, then at most one of since, last, earliest; else now.

import { parseId, type Gap } from 'hydrant-client/wire'
import type { Engine, ReadRequest, Seek } from '../engine/engine.ts'
import { durationMs } from './duration.ts'
import { HydrantError } from './errors.ts'
import type { Selection } from './selection.ts'
import { quote } from './topic.ts'

/** The places a stream can start at, as requests name them. */
export interface StartRequest {
  /** Strictly after this id. One that is not ours is a gap `epoch`: its client did see something, somewhere. */
  readonly lastEventId?: string | undefined
  /** What is retained from this time on, in milliseconds since 1970. */
  readonly sinceMs?: number | undefined
  /** The newest N selected events that are retained. */
  readonly last?: number | undefined
  /** Everything that is retained. */
  readonly earliest?: boolean | undefined
  /** The newest event of each topic and key, then everything after. Also with an id, for when resuming is a gap. */
  readonly state?: 'latest' | undefined
}

/** A start, found. */
export interface Start {
  /** Everything after this offset follows. */
  readonly after: number
  /** Whether an id was given: then the client knows where it is, and needs no opening block. */
  readonly resumed: boolean
  /** Told first. */
  readonly gap: Gap | undefined
  /** What is gone up to here was so before the stream began, and is no gap of it. */
  readonly goneTo: number
  /** Whether that was the head when it was found: nothing of the past follows. */
  readonly isHead: boolean
  /** The state as of this offset comes before what follows it; undefined where no state was asked for. */
  readonly stateTo?: number
}

/** Whether the request says where to start. */
export function isStartNamed({ lastEventId, sinceMs, last, earliest = false, state }: StartRequest): boolean {
  return [lastEventId, sinceMs, last, state].some((one) => one !== undefined) || earliest
}

/** Checks that at most one place is named. Throws `conflicting-start`. */
export function checkStart({ sinceMs, last, earliest = false, state }: StartRequest): void {
  const named = [sinceMs, last, state].filter((one) => one !== undefined).length + (earliest ? 1 : 0)
  if (named > 1) throw new HydrantError('conflicting-start', 'Give only one of since, last, earliest and state.')
}

/** Finds where to start. `now` is answered at once, so that nothing published after the call is missed. */
export async function findStart(engine: Engine, request: StartRequest, selection: Selection): Promise<Start> {
  checkStart(request)
  if (request.lastEventId !== undefined) {
    const resumed = await resume(engine, request.lastEventId)
    return request.state === undefined ? resumed : resumeOrState(engine, resumed, request.lastEventId, selection)
  }
  if (request.state !== undefined) return stateStart(engine, selection, undefined)
  const seek = seekOf(request)
  if (seek === undefined) return { ...NOT_RESUMED, after: engine.bounds().head, goneTo: 0, isHead: true }
  // Looked up first: what goes in between stands before the place that is sought, or is a gap.
  const goneTo = engine.capabilities.topicRetention ? await goneBefore(engine, { after: 0, selection }) : 0
  const after = await engine.seek(seek, selection)
  return { ...NOT_RESUMED, after, goneTo, isHead: after === engine.bounds().head }
}

const NOT_RESUMED = { resumed: false, gap: undefined } as const

/** Up to where events that a reader would want are gone by now. Who did not come with an id does not miss them. */
async function goneBefore(
  engine: Engine,
  request: Pick<ReadRequest, 'after' | 'selection' | 'latest'>,
): Promise<number> {
  const { gap } = await engine.read({ ...request, eventsMax: 1, bytesMax: 1 })
  return gap?.to ?? 0
}

/** An id that is not known may come from another writer of the log, whose events our tail has not brought yet. */
async function resume(engine: Engine, text: string): Promise<Start> {
  const start = resumeFrom(engine, text)
  if (start.gap === undefined || engine.synced === undefined) return start
  await engine.synced()
  return resumeFrom(engine, text)
}

function resumeFrom(engine: Engine, text: string): Start {
  const { floor, head, epochs } = engine.bounds()
  const id = parseId(text)
  const { after, known } = id === undefined ? { after: floor, known: false } : epochs.resume(id, floor, head)
  const gap: Gap | undefined = known
    ? undefined
    : { from: text, to: epochs.idAt(after), reason: 'epoch', certain: false }
  return { after, resumed: true, gap, goneTo: 0, isHead: after === head }
}

/** Where resuming would be a gap, the gap is told and the state is sent again. */
async function resumeOrState(engine: Engine, start: Start, from: string, selection: Selection): Promise<Start> {
  if (start.gap !== undefined) return stateStart(engine, selection, start.gap)
  const { gap } = await engine.read({ after: start.after, selection, eventsMax: 1, bytesMax: 1 })
  if (gap === undefined) return start
  const { head, epochs } = engine.bounds()
  return stateStart(engine, selection, { from, to: epochs.idAt(head), reason: 'trimmed', certain: gap.certain })
}

/**
 * From before everything, so that a client that is cut before its state is whole begins anew. What is gone before the
 * head is looked up is no part of the state, what goes later is a gap: in this order nothing goes between the two.
 */
export async function stateStart(engine: Engine, selection: Selection, gap: Gap | undefined): Promise<Start> {
  const goneTo = await goneBefore(engine, { after: 0, selection, latest: true })
  const { head, epochs } = engine.bounds()
  const told = gap === undefined ? undefined : { ...gap, to: epochs.idAt(head), id: epochs.idAt(0) }
  return { after: 0, resumed: gap !== undefined, gap: told, goneTo, isHead: false, stateTo: head }
}

function seekOf(request: StartRequest): Seek | undefined {
  if (request.last !== undefined) return { last: request.last }
  if (request.sinceMs !== undefined) return { sinceMs: request.sinceMs }
  return request.earliest === true ? { earliest: true } : undefined
}

const TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/

/**
 * Reads `since`: a duration back from now (`500ms`, `90s`, `15m`, `2h`, `7d`) or an RFC 3339 time. Throws
 * `malformed-query`.
 */
export function parseSince(text: string, nowMs: number): number {
  const agoMs = durationMs(text, 12)
  if (agoMs !== undefined) return nowMs - agoMs
  const timeMs = TIME.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(timeMs)) {
    throw new HydrantError(
      'malformed-query',
      `since is ${quote(text)}; it must be a duration like 90s, 15m, 2h or a time like 2026-01-31T12:00:00Z.`,
    )
  }
  return timeMs
}

/** Reads `last`: a whole number of events. Throws `malformed-query`. */
export function parseLast(text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new HydrantError('malformed-query', `last is ${quote(text)}; it must be a whole number of events.`)
  return Number(text)
}
