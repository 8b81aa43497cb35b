// The events and selections of the tests in contract.ts.

import type { CheckedEvent, LogEvent } from '../hub/event.ts'
import { Selection } from '../hub/selection.ts'
import type { ReadLimits } from './contract-log.ts'

/** Everything. */
export const ALL: Selection = Selection.of(['**'], undefined, 100)
/** What a log may keep that is to be trimmed. */
export const TRIMMED_BYTES = 65_536
/** How many events the mixed batches have. */
export const MIXED_EVENTS = 24

/** Limits of readings, from one event on. */
export const READ_LIMITS: readonly ReadLimits[] = [
  ...[1, 2, 3, 7, 100].map((eventsMax) => ({ eventsMax, bytesMax: 1_000_000 })),
  ...[1, 20, 100].map((bytesMax) => ({ eventsMax: 100, bytesMax })),
]

/** Selections of the mixed batches, with the words for them. */
export const SELECTIONS: readonly (readonly [string, Selection])[] = [
  ['one topic', Selection.of(['a'], undefined, 100)],
  ['two topics', Selection.of(['a', 'b/c'], undefined, 100)],
  ['a pattern', Selection.of(['b/*'], undefined, 100)],
  ['everything', ALL],
  ['one type', Selection.of(['**'], ['tick'], 100)],
]

/** Selections of a log that loud events have trimmed. */
export const TRIMMED_SELECTIONS: readonly (readonly [string, Selection])[] = [
  ['everything', ALL],
  ['a quiet topic that is gone', Selection.of(['quiet/old'], undefined, 100)],
  ['a quiet topic whose newest is kept', Selection.of(['quiet/both'], undefined, 100)],
  ['a topic that never was', Selection.of(['none'], undefined, 100)],
  ['a pattern', Selection.of(['quiet/*'], undefined, 100)],
  ['a type that never was', Selection.of(['**'], ['none'], 100)],
]

/** Three topics and two types, in batches of several sizes. */
export function mixedBatches(): readonly (readonly CheckedEvent[])[] {
  const events = Array.from({ length: MIXED_EVENTS }, (_, at) => ({
    ...eventOf(['a', 'b/c', 'b/d', 'e'][at % 4] ?? 'a', 'x'.repeat((at * 7) % 31)),
    type: at % 3 === 0 ? 'tick' : 'message',
  }))
  return [events.slice(0, 1), events.slice(1, 8), events.slice(8, 9), events.slice(9)]
}

/** So many events of a topic. */
export function texts(topic: string, count: number): readonly CheckedEvent[] {
  return Array.from({ length: count }, (_, at) => eventOf(topic, `${topic} ${at}`))
}

/** An event without a type or key of its own. */
export function eventOf(topic: string, data: string): CheckedEvent {
  return { topic, type: 'message', key: undefined, data }
}

/** The id of an event. */
export function idOf({ id }: LogEvent): string {
  return id
}

/** What was published as this event. */
export function checkedOf({ topic, type, key, data }: LogEvent): CheckedEvent {
  return { topic, type, key, data }
}

/** For sorting numbers. */
export function ascending(left: number, right: number): number {
  return left - right
}
