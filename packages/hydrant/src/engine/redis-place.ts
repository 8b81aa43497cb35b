// Where a reader stands in the log, and what entries are from there: events of their epochs, as many as are asked for.

import type { Epoch } from '../hub/epochs.ts'
import { LogEvent } from '../hub/event.ts'
import type { Selection } from '../hub/selection.ts'
import type { LogRange, ReadRequest } from './engine.ts'
import { topicOfBody, unpackBody, type SlotEntry } from './redis-layout.ts'

/** Where the node's tail is. */
export interface ReaderPlace {
  readonly epoch: string
  readonly head: number
  readonly floor: number
  /** The table of epochs, the oldest first. */
  readonly terms: readonly Epoch[]
  /** What an event takes, about. */
  readonly eventBytes: number
}

/** Those of the entries that are selected, as events. */
export function eventsOf(
  entries: readonly SlotEntry[],
  terms: readonly Epoch[],
  selection: Pick<Selection, 'matchesTopic' | 'matchesType'>,
): LogEvent[] {
  const events: LogEvent[] = []
  for (const { offset, body, timeMs } of entries) {
    if (!selection.matchesTopic(topicOfBody(body))) continue
    const event = unpackBody(body)
    if (!selection.matchesType(event.type)) continue
    events.push(new LogEvent(terms.findLast(({ first }) => first <= offset)?.name ?? '', offset, timeMs, event))
  }
  return events
}

/** As many as are allowed, and how far they reach. */
export function cut(
  events: readonly LogEvent[],
  to: number,
  { eventsMax, bytesMax }: Pick<ReadRequest, 'eventsMax' | 'bytesMax'>,
): LogRange {
  let bytes = 0
  for (const [at, event] of events.entries()) {
    bytes += event.data.length
    if (at > 0 && (at === eventsMax || bytes > bytesMax)) return { events: events.slice(0, at), to: event.offset - 1 }
  }
  return { events, to }
}
