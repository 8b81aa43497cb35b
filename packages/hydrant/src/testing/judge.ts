// Holds a client's log against the publish log, up to a place where both are complete.

import type { EventId } from 'hydrant-client/wire'
import { textOf, type ClientLog, type ReceivedEvent } from './client-log.ts'
import { isSame, type Entry, type PublishLog } from './publish-log.ts'

/** Judges what the client was told and owed up to a place, and lets go of it. */
export function settle(client: ClientLog, published: PublishLog, wanted: EventId): void {
  const to = clip(client, published, wanted)
  judgeReceived(client, published, to)
  if (client.base === undefined || published.epochs.compare(to, client.base) <= 0) return letGo(client, published, to)
  judgeOwed(client, published, client.base, to)
  client.base = to
  judgeGaps(client, published, to)
  letGo(client, published, to)
}

/** At the end: what still waits for a newer event of its key will not be superseded any more. */
export function settleLast(client: ClientLog): void {
  for (const entry of [...client.superseded.values()].flat()) lose(client, entry)
  client.superseded.clear()
  if (client.base === undefined && client.tally.received > 0)
    client.fault('unjudged', 'no id', 'the client never said where its stream starts')
}

/** A gap is judged as a whole: until its end can be judged, nothing of it is. */
function clip(client: ClientLog, { epochs }: PublishLog, wanted: EventId): EventId {
  let to = wanted
  for (const span of client.spans) if (epochs.compare(span.to, wanted) > 0) to = epochs.earlier(to, span.from)
  return to
}

function judgeReceived(client: ClientLog, published: PublishLog, to: EventId): void {
  for (const { place, event } of client.received.values()) {
    if (published.epochs.compare(place, to) > 0) continue
    if (published.forgotten !== undefined && published.epochs.compare(place, published.forgotten) <= 0) continue
    judgeEvent(client, event, published.find(place) ?? published.identify(place, event))
  }
}

function judgeEvent(client: ClientLog, event: ReceivedEvent, entry: Entry | 'failed' | undefined): void {
  if (entry === undefined) client.fault('unknown', event.id, 'nobody tried to publish it')
  else if (entry === 'failed') client.fault('resurrected', event.id, 'its publisher was told that it failed')
  else if (!isSame(entry, event)) client.fault('changed', event.id, `it was published to ${entry.topic} differently`)
  else if (!client.selection.matches(entry.topic, entry.type))
    client.fault('foreign', event.id, `${entry.topic} with the type ${entry.type} is not selected`)
}

/**
 * From the newest back, so that whoever is superseded meets the newer one first: one that came, or was declared missing
 * itself.
 */
function judgeOwed(client: ClientLog, published: PublishLog, after: EventId, to: EventId): void {
  const keysSeen = new Set<string>()
  const missed: Entry[] = []
  for (const entry of published.newestFirst(after, to)) {
    if (!client.selection.matches(entry.topic, entry.type)) continue
    const isReceived = client.received.has(textOf(entry))
    const isDeclared = countInSpans(client, published, entry, isReceived)
    const key = keyOf(client, entry)
    if (isDeclared || isReceived) {
      if (key === undefined) continue
      keysSeen.add(key)
      client.superseded.delete(key)
    } else if (entry.acknowledged && (key === undefined || !keysSeen.has(key))) missed.push(entry)
  }
  for (const entry of missed.toReversed()) {
    const key = keyOf(client, entry)
    if (key === undefined) lose(client, entry)
    else client.superseded.set(key, [...(client.superseded.get(key) ?? []), entry])
  }
}

/** What may be superseded has a key here; with the other lag policies nothing has. */
function keyOf(client: ClientLog, { topic, key }: Pick<Entry, 'topic' | 'key'>): string | undefined {
  return client.selects.lag === 'latest' && key !== undefined ? `${topic} ${key}` : undefined
}

/** Whether a gap covers it; each that does has one more that is missing. What was received can only be taken back. */
function countInSpans(client: ClientLog, { epochs }: PublishLog, entry: Entry, isReceived: boolean): boolean {
  let isDeclared = false
  for (const span of client.spans) {
    if (isReceived && !span.isUndo) continue
    if (epochs.compare(entry, span.from) <= 0 || epochs.compare(entry, span.to) > 0) continue
    span.missing += 1
    if (entry.acknowledged) span.acknowledged += 1
    isDeclared = true
  }
  return isDeclared
}

function judgeGaps(client: ClientLog, published: PublishLog, to: EventId): void {
  for (const span of client.spans) {
    if (published.epochs.compare(span.to, to) > 0) continue
    excuse(client, published, span.to)
    const { gap, missing, acknowledged } = span
    if (!gap.certain || span.isDone) continue
    const isCounted = gap.count !== undefined && client.selects.lag !== 'latest'
    if (missing > 0 && (!isCounted || gap.count === acknowledged)) continue
    const most = missing + published.possible(span.to, ({ topic, type }) => client.selection.matches(topic, type))
    if (most === 0) client.fault('falseGaps', gap.to, `the gap from ${gap.from}: nothing selected is missing`)
    else if (isCounted && (gap.count < acknowledged || gap.count > most))
      client.fault(
        'falseGaps',
        gap.to,
        `the gap from ${gap.from}: it says ${gap.count} are missing, but ${acknowledged} are`,
      )
  }
}

/**
 * What a gap swallowed may have superseded others, and may be an event of which no publisher knows that it was stored.
 */
function excuse(client: ClientLog, published: PublishLog, to: EventId): void {
  for (const [key, [oldest]] of client.superseded) {
    const isOlder = oldest !== undefined && published.epochs.compare(oldest, to) < 0
    if (isOlder && published.possible(to, (loose) => keyOf(client, loose) === key) > 0) client.superseded.delete(key)
  }
}

function letGo(client: ClientLog, { epochs }: PublishLog, to: EventId): void {
  for (const [id, { place }] of client.received) if (epochs.compare(place, to) <= 0) client.received.delete(id)
  client.spans = client.spans.filter((span) => epochs.compare(span.to, to) > 0)
}

function lose(client: ClientLog, entry: Entry): void {
  client.fault('lost', textOf(entry), `acknowledged for ${entry.topic}, and neither received nor declared missing`)
}
