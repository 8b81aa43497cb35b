// The counters of a hub in Prometheus' text format 0.0.4.

import type { Hub } from '../hub/hub.ts'
import { figuresOf, type Figures } from './figures.ts'

type Samples = Iterable<readonly [labels: string, value: number]>

/** Everything that a hub counts, in base units. */
export function metricsText(hub: Hub): string {
  return figuresText(figuresOf(hub))
}

/** The same of figures that were taken before. */
export function figuresText(figures: Figures): string {
  const lines: string[] = []
  const family = (name: string, kind: 'counter' | 'gauge', help: string, samples: Samples): void => {
    lines.push(`# HELP hydrant_${name} ${help}`, `# TYPE hydrant_${name} ${kind}`)
    for (const [labels, value] of samples) lines.push(`hydrant_${name}${labels} ${value}`)
  }

  family('connections', 'gauge', 'Open connections.', by('transport', figures.connections))
  family('connections_opened_total', 'counter', 'Connections opened.', by('transport', figures.opened))
  family('connections_ended_total', 'counter', 'Connections that the server ended.', by('reason', figures.ended))
  family('refused_total', 'counter', 'Requests and messages refused.', by('code', figures.refused))
  family('events_published_total', 'counter', 'Events stored.', one(figures.published))
  family('published_bytes_total', 'counter', 'Data of events stored.', one(figures.publishedBytes))
  family('deliveries_total', 'counter', 'Events written, counted for each connection.', one(figures.deliveries))
  family('writes_total', 'counter', 'Socket writes that carried them.', one(figures.writes))
  family('delivered_bytes_total', 'counter', 'Bytes of those writes, before compression.', one(figures.deliveredBytes))
  family('heartbeats_total', 'counter', 'Signs of life sent to idle connections.', one(figures.heartbeats))
  family('gaps_total', 'counter', 'Gaps declared.', one(figures.gaps))
  family('stalls_total', 'counter', 'Times that a connection stopped reading.', one(figures.stalls))
  family('pinned_bytes', 'gauge', 'Bytes that stalled connections hold.', one(figures.pinnedBytes))
  family('engine_trouble', 'gauge', 'Whether the log cannot be reached.', one(figures.isTroubled ? 1 : 0))
  if (figures.window !== undefined) {
    family('window_bytes', 'gauge', 'Bytes of the events in memory.', one(figures.window.bytes))
    family('window_events', 'gauge', 'Events in memory.', one(figures.window.events))
    family('log_head', 'gauge', 'The newest offset.', one(figures.window.head))
    family('window_floor', 'gauge', 'Every event after this offset is in memory.', one(figures.window.floor))
  }
  return `${lines.join('\n')}\n`
}

function one(value: number): Samples {
  return [['', value]]
}

function by(label: string, family: Readonly<Record<string, number>>): Samples {
  return Array.from(Object.entries(family), ([name, value]) => [`{${label}="${name}"}`, value] as const)
}
