// Gaps: what is told of events that are gone, and where a stream goes on after it was told.
//
// A gap speaks of what is gone, and of nothing else. With retention by topic, events of one topic are retained before
// the last that is gone of another:
//
//   cursor │ a1 gone   b2 here   a3 gone │ b4 here        gap: from the cursor to a3; then b2, b4
//
// It is told first, for who was sent b2 and comes back with its id could not be told of a1 any more. And its own id
// stands before b2: who is cut right after the gap comes back from there, and misses nothing. Who is cut after b2 is
// told again, of a3: a gap may be told twice, an event comes once.

import type { Gap, GapReason } from 'hydrant-client/wire'
import type { History, TrimmedGap } from '../engine/engine.ts'

/** The gap of a reading, unless all of it was declared before, or gone before the reader came: up to `goneTo`. */
export function newGap({ gap }: History, goneTo: number): TrimmedGap | undefined {
  return gap === undefined || gap.to <= goneTo ? undefined : gap
}

/** Where a stream goes on that is told of the gap of a reading: at its end, or before the first event that is there. */
export function resumeOffset(gap: TrimmedGap, { events: [first], to }: History): number {
  return Math.min(gap.to, first === undefined ? to : first.offset - 1)
}

/** A gap after a cursor, in the words of the wire. */
export function gapOf(gap: TrimmedGap, cursor: number, reason: GapReason, idAt: (offset: number) => string): Gap {
  const { to, certain, count } = gap
  return { from: idAt(cursor), to: idAt(to), reason, certain, ...(count === undefined ? {} : { count }) }
}

/** The gap with the id to resume from, which is left out where it is the gap's end. */
export function withId(gap: Gap, id: string): Gap {
  return id === gap.to ? gap : { ...gap, id }
}
