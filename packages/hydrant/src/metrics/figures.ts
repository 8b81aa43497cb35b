// What a hub counts, as numbers at one moment: to be given out, to travel between threads, and to be added up.

import type { Counters, Transport } from '../hub/counters.ts'
import type { Hub } from '../hub/hub.ts'

/** What is in memory of the log. */
export interface WindowFigures {
  readonly bytes: number
  readonly events: number
  readonly head: number
  readonly floor: number
}

type Plain =
  | 'published'
  | 'publishedBytes'
  | 'deliveries'
  | 'writes'
  | 'deliveredBytes'
  | 'heartbeats'
  | 'gaps'
  | 'pinnedBytes'
  | 'stalls'

/** Everything that a hub counts. */
export interface Figures extends Readonly<Pick<Counters, Plain>> {
  readonly connections: Readonly<Record<Transport, number>>
  readonly opened: Readonly<Record<Transport, number>>
  readonly ended: Readonly<Record<string, number>>
  readonly refused: Readonly<Record<string, number>>
  readonly isTroubled: boolean
  /** Undefined until the log is open. */
  readonly window: WindowFigures | undefined
}

/** The figures of a hub as they are now. */
export function figuresOf(hub: Hub): Figures {
  const { counters: of } = hub
  return {
    published: of.published,
    publishedBytes: of.publishedBytes,
    deliveries: of.deliveries,
    writes: of.writes,
    deliveredBytes: of.deliveredBytes,
    heartbeats: of.heartbeats,
    gaps: of.gaps,
    pinnedBytes: of.pinnedBytes,
    stalls: of.stalls,
    connections: { ...of.connections },
    opened: { ...of.opened },
    ended: Object.fromEntries(of.ended),
    refused: Object.fromEntries(of.refused),
    isTroubled: hub.engine.trouble?.() !== undefined,
    window: hub.isOpen
      ? { bytes: hub.window.bytes, events: hub.window.length, head: hub.window.head, floor: hub.window.floor }
      : undefined,
  }
}

/** No figures yet. */
export const NO_FIGURES: Figures = {
  published: 0,
  publishedBytes: 0,
  deliveries: 0,
  writes: 0,
  deliveredBytes: 0,
  heartbeats: 0,
  gaps: 0,
  pinnedBytes: 0,
  stalls: 0,
  connections: { sse: 0, ndjson: 0, websocket: 0 },
  opened: { sse: 0, ndjson: 0, websocket: 0 },
  ended: {},
  refused: {},
  isTroubled: false,
  window: undefined,
}

/**
 * The figures of hubs that follow one log, as if they were one. What each has in memory is the same newest part: its
 * bytes add up, its events are those that all have.
 */
export function addFigures(one: Figures, other: Figures): Figures {
  return {
    published: one.published + other.published,
    publishedBytes: one.publishedBytes + other.publishedBytes,
    deliveries: one.deliveries + other.deliveries,
    writes: one.writes + other.writes,
    deliveredBytes: one.deliveredBytes + other.deliveredBytes,
    heartbeats: one.heartbeats + other.heartbeats,
    gaps: one.gaps + other.gaps,
    pinnedBytes: one.pinnedBytes + other.pinnedBytes,
    stalls: one.stalls + other.stalls,
    connections: addTransports(one.connections, other.connections),
    opened: addTransports(one.opened, other.opened),
    ended: addNamed(one.ended, other.ended),
    refused: addNamed(one.refused, other.refused),
    isTroubled: one.isTroubled || other.isTroubled,
    window: one.window === undefined ? other.window : addWindows(one.window, other.window),
  }
}

/** What stays of the figures of a hub that is gone: all that only grows. */
export function pastFigures(figures: Figures): Figures {
  return { ...figures, connections: NO_FIGURES.connections, pinnedBytes: 0, isTroubled: false, window: undefined }
}

function addTransports(one: Figures['opened'], other: Figures['opened']): Figures['opened'] {
  return {
    sse: one.sse + other.sse,
    ndjson: one.ndjson + other.ndjson,
    websocket: one.websocket + other.websocket,
  }
}

function addNamed(one: Figures['ended'], other: Figures['ended']): Figures['ended'] {
  const sum: Record<string, number> = { ...one }
  for (const [name, value] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + value
  return sum
}

function addWindows(one: WindowFigures, other: WindowFigures | undefined): WindowFigures {
  if (other === undefined) return one
  return {
    bytes: one.bytes + other.bytes,
    events: Math.min(one.events, other.events),
    head: Math.max(one.head, other.head),
    floor: Math.max(one.floor, other.floor),
  }
}
