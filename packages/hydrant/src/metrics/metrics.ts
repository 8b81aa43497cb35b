// The counters of a hub in Prometheus' text format 0.0.4.

import type { Hub } from '../hub/hub.ts'

type Samples = Iterable<readonly [labels: string, value: number]>

/** Everything that a hub counts, in base units. */
export function metricsText(hub: Hub): string {
  const { counters } = hub
  const lines: string[] = []
  const family = (name: string, kind: 'counter' | 'gauge', help: string, samples: Samples): void => {
    lines.push(`# HELP hydrant_${name} ${help}`, `# TYPE hydrant_${name} ${kind}`)
    for (const [labels, value] of samples) lines.push(`hydrant_${name}${labels} ${value}`)
  }

  family('connections', 'gauge', 'Open connections.', by('transport', Object.entries(counters.connections)))
  family('connections_opened_total', 'counter', 'Connections opened.', by('transport', Object.entries(counters.opened)))
  family('connections_ended_total', 'counter', 'Connections that the server ended.', by('reason', counters.ended))
  family('refused_total', 'counter', 'Requests and messages refused.', by('code', counters.refused))
  family('events_published_total', 'counter', 'Events stored.', one(counters.published))
  family('published_bytes_total', 'counter', 'Data of events stored.', one(counters.publishedBytes))
  family('deliveries_total', 'counter', 'Events written, counted for each connection.', one(counters.deliveries))
  family('writes_total', 'counter', 'Socket writes that carried them.', one(counters.writes))
  family('delivered_bytes_total', 'counter', 'Bytes of those writes.', one(counters.deliveredBytes))
  family('heartbeats_total', 'counter', 'Signs of life sent to idle connections.', one(counters.heartbeats))
  family('gaps_total', 'counter', 'Gaps declared.', one(counters.gaps))
  family('stalls_total', 'counter', 'Times that a connection stopped reading.', one(counters.stalls))
  family('pinned_bytes', 'gauge', 'Bytes that stalled connections hold.', one(counters.pinnedBytes))
  const trouble = hub.engine.trouble?.()
  family('engine_trouble', 'gauge', 'Whether the log cannot be reached.', one(trouble === undefined ? 0 : 1))
  if (hub.isOpen) {
    family('window_bytes', 'gauge', 'Bytes of the events in memory.', one(hub.window.bytes))
    family('window_events', 'gauge', 'Events in memory.', one(hub.window.length))
    family('log_head', 'gauge', 'The newest offset.', one(hub.window.head))
    family('window_floor', 'gauge', 'Every event after this offset is in memory.', one(hub.window.floor))
  }
  return `${lines.join('\n')}\n`
}

function one(value: number): Samples {
  return [['', value]]
}

function by(label: string, entries: Iterable<readonly [string, number]>): Samples {
  return Array.from(entries, ([name, value]) => [`{${label}="${name}"}`, value] as const)
}
