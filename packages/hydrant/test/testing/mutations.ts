// Ways to break a correct run: each does one thing wrong, and says in which category it belongs.

import type { ClientRecord, FaultKind, PublishRecord, ReceivedEvent } from '../../src/testing/testing.ts'
import { naiveRun, type Run } from './naive-run.ts'

/** One way. */
export interface Mutation {
  readonly name: string
  readonly kind: FaultKind
  /** Faults that it makes; undefined for one or more. */
  readonly count?: number
  /** Whether the run has failed publishes or restarts. */
  readonly run?: { readonly failures?: boolean; readonly restarts?: boolean }
  /** Breaks the run at the place that `at` names (from 0 to 1); false when it has none to break there. */
  readonly apply: (run: Run, at: number) => boolean
}

/** A run whose last event every client receives. */
export function brokenRun(mutation: Mutation, seed: number, at: number): Run | undefined {
  const made = naiveRun(seed, { steps: 300, failures: false, restarts: false, ...mutation.run })
  const { published, clients, epochs } = made
  const last: ReceivedEvent = { id: `${epochs.at(-1) ?? ''}-9000`, topic: 'a/1', type: 'one', data: 'the last' }
  published.push({ topic: 'a/1', type: 'one', data: 'the last', outcome: { id: last.id } })
  for (const client of clients) client.records.push({ event: last })
  const run: Run = structuredClone({ published, clients, epochs, steps: [] })
  return mutation.apply(run, at) ? run : undefined
}

type EventRecord = ClientRecord & { event: ReceivedEvent }
type GapRecord = ClientRecord & { gap: object }

const ALL = 0
const NARROW = 2
const LATEST = 3

function recordsOf(run: Run, client = ALL): ClientRecord[] {
  return run.clients[client]?.records ?? []
}

function outcomeId({ outcome }: PublishRecord): string {
  return typeof outcome === 'string' ? '' : outcome.id
}

function offsetOf(id: string): number {
  return Number(id.split('-')[1])
}

function moved(id: string, by: number): string {
  return `${id.split('-')[0]}-${offsetOf(id) + by}`
}

/** Calls `change` with the place of an event in a client's log. */
function atEvent(
  run: Run,
  at: number,
  change: (records: ClientRecord[], index: number, event: ReceivedEvent) => boolean | void,
  options: { client?: number; accept?: (records: ClientRecord[], index: number) => boolean } = {},
): boolean {
  const records = recordsOf(run, options.client)
  const acknowledged = new Set(run.published.map(outcomeId))
  const places = records.flatMap((record, index) =>
    'event' in record && acknowledged.has(record.event.id) && (options.accept?.(records, index) ?? true) ? [index] : [],
  )
  const index = places[Math.floor(at * places.length)]
  const record = index === undefined ? undefined : records[index]
  if (index === undefined || record === undefined || !('event' in record)) return false
  return change(records, index, record.event) !== false
}

const isBeforeEvent = (records: ClientRecord[], index: number): boolean =>
  'event' in (records[index] ?? {}) && 'event' in (records[index + 1] ?? {})

/** Two events whose offsets leave room for another. */
const hasHole = (records: ClientRecord[], index: number): boolean => {
  const [one, other] = [records[index], records[index + 1]] as EventRecord[]
  return isBeforeEvent(records, index) && offsetOf(other?.event.id ?? '') - offsetOf(one?.event.id ?? '') === 2
}

function replace(records: ClientRecord[], index: number, event: ReceivedEvent, by: Partial<ReceivedEvent>): void {
  records[index] = { event: { ...event, ...by } }
}

/** Calls `change` with a gap of a client that selects everything, and the ids of what it declares missing. */
function atGap(
  run: Run,
  at: number,
  missingMin: number,
  change: (records: ClientRecord[], index: number, gap: GapRecord['gap'], missing: readonly string[]) => boolean | void,
): boolean {
  const records = recordsOf(run)
  const places = records.flatMap((record, index) =>
    'gap' in record && missingOf(run, record).length >= missingMin ? [index] : [],
  )
  const index = places[Math.floor(at * places.length)]
  const record = index === undefined ? undefined : records[index]
  if (index === undefined || record === undefined || !('gap' in record)) return false
  return change(records, index, record.gap, missingOf(run, record)) !== false
}

function missingOf(run: Run, { gap }: Extract<ClientRecord, { gap: object }>): readonly string[] {
  const [from, to] = [offsetOf(gap.from), offsetOf(gap.to)]
  const [fromEpoch, toEpoch] = [gap.from.split('-')[0] ?? '', gap.to.split('-')[0] ?? '']
  const ids = run.published.map(outcomeId).filter((id) => id !== '')
  if (gap.reason === 'epoch')
    return ids.filter((id) => fromEpoch < toEpoch && id.startsWith(fromEpoch) && offsetOf(id) > from)
  return ids.filter((id) => offsetOf(id) > from && offsetOf(id) <= to).toSorted((a, b) => offsetOf(a) - offsetOf(b))
}

function setGap(records: ClientRecord[], index: number, by: { from?: string; to?: string; count?: number }): void {
  const record = records[index]
  if (record === undefined || !('gap' in record)) return
  const { from, to, reason, certain } = record.gap
  records[index] = { gap: { from, to, reason, certain, ...by } }
}

const gapAfter = (from: string, to: string): ClientRecord => ({ gap: { from, to, reason: 'trimmed', certain: true } })

/** The table. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'an event is dropped',
    kind: 'lost',
    count: 1,
    apply: (run, at) => atEvent(run, at, (records, index) => void records.splice(index, 1), { accept: isBeforeEvent }),
  },
  {
    name: 'the last event is dropped',
    kind: 'lost',
    count: 1,
    apply: (run) => recordsOf(run).pop() !== undefined,
  },
  {
    name: 'a client hears nothing any more',
    kind: 'lost',
    apply: (run, at) => atEvent(run, at, (records, index) => void records.splice(index)),
  },
  {
    name: 'the first event after a gap is dropped',
    kind: 'lost',
    count: 1,
    apply: (run, at) =>
      atGap(
        run,
        at,
        1,
        (records, index) => 'event' in (records[index + 1] ?? {}) && records.splice(index + 1, 1).length > 0,
      ),
  },
  {
    name: 'a dropped event is passed by a position',
    kind: 'lost',
    count: 1,
    apply: (run, at) => atEvent(run, at, (records, index, { id }) => void records.splice(index, 1, { position: id })),
  },
  {
    name: 'two events are swapped',
    kind: 'reordered',
    count: 1,
    apply: (run, at) =>
      atEvent(
        run,
        at,
        (records, index) => void records.splice(index, 2, ...records.slice(index, index + 2).toReversed()),
        {
          accept: isBeforeEvent,
        },
      ),
  },
  {
    name: 'a position passes an event that comes after it',
    kind: 'reordered',
    count: 1,
    apply: (run, at) => atEvent(run, at, (records, index, { id }) => void records.splice(index, 0, { position: id })),
  },
  {
    name: 'a position goes back',
    kind: 'reordered',
    count: 1,
    apply: (run, at) =>
      atEvent(run, at, (records, index, { id }) => void records.splice(index + 1, 0, { position: moved(id, -1) })),
  },
  {
    name: 'an event is doubled',
    kind: 'doubled',
    count: 1,
    apply: (run, at) => atEvent(run, at, (records, index, event) => void records.splice(index, 0, { event })),
  },
  {
    name: 'an event is doubled across a reconnect',
    kind: 'doubled',
    count: 1,
    apply: (run, at) =>
      atEvent(run, at, (records, index, event) => void records.splice(index + 1, 0, { resumed: event.id }, { event })),
  },
  {
    name: 'an event comes again at the end',
    kind: 'doubled',
    count: 1,
    apply: (run, at) => atEvent(run, at, (records, _, event) => void records.push({ event })),
  },
  {
    name: 'the data are changed',
    kind: 'changed',
    count: 1,
    apply: (run, at) =>
      atEvent(run, at, (records, index, event) =>
        replace(records, index, event, { data: `${event.data.toString()}?` }),
      ),
  },
  {
    name: 'text comes as bytes',
    kind: 'changed',
    count: 1,
    apply: (run, at) =>
      atEvent(run, at, (records, index, event) =>
        replace(records, index, event, { data: new TextEncoder().encode(event.data.toString()) }),
      ),
  },
  {
    name: 'the topic is another one',
    kind: 'changed',
    count: 1,
    apply: (run, at) => atEvent(run, at, (records, index, event) => replace(records, index, event, { topic: 'a/9' })),
  },
  {
    name: 'the type is another one',
    kind: 'changed',
    count: 1,
    apply: (run, at) => atEvent(run, at, (records, index, event) => replace(records, index, event, { type: 'three' })),
  },
  {
    name: 'the key is another one',
    kind: 'changed',
    count: 1,
    apply: (run, at) => atEvent(run, at, (records, index, event) => replace(records, index, event, { key: 'key 9' })),
  },
  {
    name: 'two events have each other’s ids',
    kind: 'changed',
    count: 2,
    apply: (run, at) =>
      atEvent(
        run,
        at,
        (records, index, event) => {
          const next = (records[index + 1] as EventRecord).event
          replace(records, index, next, { id: event.id })
          replace(records, index + 1, event, { id: next.id })
        },
        { accept: (records, index) => isBeforeEvent(records, index) && isNamed(run, records[index + 1]) },
      ),
  },
  {
    name: 'two events are acknowledged with one id',
    kind: 'changed',
    count: 1,
    apply: (run, at) =>
      atEvent(
        run,
        at,
        (_records, _index, { id }) => void run.published.push({ topic: 'a/1', data: 'other', outcome: { id } }),
      ),
  },
  {
    name: 'a gap is forgotten',
    kind: 'lost',
    apply: (run, at) => atGap(run, at, 1, (records, index) => void records.splice(index, 1)),
  },
  {
    name: 'the gap of an epoch is forgotten',
    kind: 'lost',
    run: { restarts: true },
    apply: (run) => {
      const records = recordsOf(run)
      const index = records.findIndex(
        (record, at) =>
          'gap' in record &&
          record.gap.reason === 'epoch' &&
          'event' in (records[at + 1] ?? {}) &&
          missingOf(run, record).length > 0,
      )
      return index >= 0 && records.splice(index, 1).length > 0
    },
  },
  {
    name: 'a gap is declared where nothing is missing',
    kind: 'falseGaps',
    count: 1,
    apply: (run, at) =>
      atEvent(run, at, (records, index, { id }) => void records.splice(index + 1, 0, gapAfter(id, moved(id, 1))), {
        accept: hasHole,
      }),
  },
  {
    name: 'a gap is declared where nothing was published yet',
    kind: 'falseGaps',
    count: 1,
    apply: (run) => recordsOf(run).push(gapAfter(idOfLast(run), moved(idOfLast(run), 5))) > 0,
  },
  {
    name: 'a gap ends where it begins',
    kind: 'falseGaps',
    count: 1,
    apply: (run, at) =>
      atEvent(run, at, (records, index, { id }) => void records.splice(index + 1, 0, gapAfter(id, id))),
  },
  {
    name: 'a gap is one too short at its end',
    kind: 'lost',
    count: 1,
    apply: (run, at) => atGap(run, at, 2, (records, index, _, ids) => setGap(records, index, { to: ids.at(-2) ?? '' })),
  },
  {
    name: 'a gap is one too short at its start',
    kind: 'lost',
    count: 1,
    apply: (run, at) => atGap(run, at, 2, (records, index, _, ids) => setGap(records, index, { from: ids[0] ?? '' })),
  },
  {
    name: 'a gap is one too long at its end',
    kind: 'falseGaps',
    count: 1,
    apply: (run, at) =>
      atGap(run, at, 1, (records, index) => {
        const next = records[index + 1]
        if (next === undefined || !('event' in next)) return false
        setGap(records, index, { to: next.event.id })
        return true
      }),
  },
  {
    name: 'a gap is one too long at its start',
    kind: 'falseGaps',
    count: 1,
    apply: (run, at) =>
      atGap(run, at, 1, (records, index) => {
        const before = records[index - 1]
        if (before === undefined || !('event' in before)) return false
        setGap(records, index, { from: moved(before.event.id, -1) })
        return true
      }),
  },
  {
    name: 'the count of a gap is wrong',
    kind: 'falseGaps',
    count: 1,
    apply: (run, at) =>
      atGap(run, at, 1, (records, index, _, ids) => setGap(records, index, { count: ids.length + 1 })),
  },
  {
    name: 'a client resumes from an older id, and what follows does not come again',
    kind: 'misresumed',
    count: 1,
    apply: (run, at) =>
      atEvent(run, at, (records, index, { id }) => void records.splice(index + 1, 0, { resumed: moved(id, -1) }), {
        accept: isBeforeEvent,
      }),
  },
  {
    name: 'a client resumes from an older id, and what follows comes again',
    kind: 'misresumed',
    count: 1,
    apply: (run, at) =>
      atEvent(
        run,
        at,
        (records, index, event) => void records.splice(index + 1, 0, { resumed: moved(event.id, -1) }, { event }),
      ),
  },
  {
    name: 'a client resumes from an id that it has not come to',
    kind: 'misresumed',
    count: 1,
    apply: (run, at) => atEvent(run, at, (records, index, { id }) => void records.splice(index, 0, { resumed: id })),
  },
  {
    name: 'a client resumes without an id',
    kind: 'misresumed',
    count: 1,
    apply: (run, at) => atEvent(run, at, (records, index) => void records.splice(index, 0, { resumed: null })),
  },
  {
    name: 'a client resumes with an id of another log',
    kind: 'misresumed',
    count: 1,
    apply: (run, at) =>
      atEvent(run, at, (records, index) => void records.splice(index, 0, { resumed: 'ffffffffffff-1' })),
  },
  {
    name: 'an event of a foreign selection comes',
    kind: 'foreign',
    count: 1,
    apply: (run) => {
      const foreign = run.published.findLast(({ topic, type }) => topic === 'a/2' || type === 'two')
      if (foreign === undefined) return false
      const { topic, type, key, data } = foreign
      const event = { id: outcomeId(foreign), topic, type, key, data: String(data) }
      const records = recordsOf(run, NARROW)
      const at = records.findIndex((record) => offsetOf(placeOf(record)) >= offsetOf(event.id))
      if ('gap' in (records[at] ?? {})) return false
      records.splice(at, 0, { event })
      return true
    },
  },
  {
    name: 'an event comes that nobody published',
    kind: 'unknown',
    count: 1,
    apply: (run, at) =>
      atEvent(
        run,
        at,
        (records, index, event) =>
          void records.splice(index + 1, 0, { event: { ...event, id: moved(event.id, 1), data: 'invented' } }),
        { accept: hasHole },
      ),
  },
  {
    name: 'an event comes again under another id',
    kind: 'unknown',
    count: 1,
    apply: (run, at) =>
      atEvent(
        run,
        at,
        (records, index, event) => void records.splice(index + 1, 0, { event: { ...event, id: moved(event.id, 1) } }),
        {
          accept: hasHole,
        },
      ),
  },
  {
    name: 'an event comes with something that is not an id',
    kind: 'unknown',
    count: 1,
    apply: (run) => recordsOf(run).push({ event: { id: 'x', topic: 'a/1', type: 'one', data: '' } }) > 0,
  },
  {
    name: 'an event comes that failed',
    kind: 'resurrected',
    count: 1,
    run: { failures: true },
    apply: (run) => {
      const failed = run.published.find(({ outcome }) => outcome === 'failed')
      if (failed === undefined) return false
      const { topic, type, key, data } = failed
      const id = moved(idOfLast(run), 1)
      return recordsOf(run).push({ event: { id, topic, type, key, data: String(data) } }) > 0
    },
  },
  {
    name: 'under lag=latest an event without a key is dropped',
    kind: 'lost',
    count: 1,
    apply: (run, at) =>
      atEvent(
        run,
        at,
        dropIf((key) => key === undefined),
        { client: LATEST },
      ),
  },
  {
    name: 'under lag=latest the newest event of a key is dropped',
    kind: 'lost',
    apply: (run) => {
      const records = recordsOf(run, LATEST)
      const at = records.findLastIndex((record) => 'event' in record && record.event.key !== undefined)
      return at >= 0 && records.splice(at, 1).length > 0
    },
  },
]

function dropIf(accept: (key: string | undefined) => boolean) {
  return (records: ClientRecord[], index: number, { key }: ReceivedEvent): boolean =>
    accept(key) && records.splice(index, 1).length > 0
}

function isNamed(run: Run, record: ClientRecord | undefined): boolean {
  return record !== undefined && 'event' in record && run.published.some((one) => outcomeId(one) === record.event.id)
}

function idOfLast(run: Run): string {
  return outcomeId(run.published.at(-1) ?? { topic: '', outcome: 'failed' })
}

function placeOf(record: ClientRecord): string {
  if ('event' in record) return record.event.id
  if ('gap' in record) return record.gap.to
  return 'position' in record ? record.position : ''
}
