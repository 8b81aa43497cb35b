// What one client was told, over all of its connections. Order is judged at once, for ids alone decide it; what depends
// on how a publish ended waits in `received` and `spans` until the checker settles it.

import { parseId, type EventId, type Gap, type LagPolicy } from 'hydrant-client/wire'
import { Selection } from '../hub/selection.ts'
import { endOf } from './epoch-order.ts'
import type { Entry, PublishLog } from './publish-log.ts'
import type { Faults, FaultKind } from './report.ts'

/** What a client asked for, in the words of its request. */
export interface Selects {
  /** Topics and patterns. */
  readonly topics: readonly string[]
  /** Default: all. */
  readonly types?: readonly string[] | undefined
  /** With `latest` an event may be missing once a newer one of its topic and key has come. Default `disconnect`. */
  readonly lag?: LagPolicy | undefined
  /** Whether the stream begins with the state: then events are owed only after {@link ClientLog.opened} was called. */
  readonly state?: 'latest' | undefined
}

/** An event as it was received: one of hydrant-client's, one of a hub's, or what a client of your own decoded. */
export interface ReceivedEvent {
  readonly id: string
  /** Undefined where the format does not say it, as plain SSE does not; then it is not compared. */
  readonly topic?: string | undefined
  /** Undefined where the format does not say it. */
  readonly type?: string | undefined
  /** Undefined where the event has none, or the format does not say it. */
  readonly key?: string | undefined
  readonly data: string | Uint8Array
  readonly gap?: undefined
}

/** One line of a client's log, for logs that are kept as data: each is a call of the method of that name. */
export type ClientRecord =
  | { readonly opened: string }
  | { readonly position: string }
  | { readonly resumed: string | null }
  | { readonly event: ReceivedEvent }
  | { readonly gap: Gap }
  | { readonly left: true }

/** A stretch of the log that was declared missing, both ends as places: (from, to]. */
interface Span {
  readonly gap: Gap
  readonly from: EventId
  readonly to: EventId
  /** Whether what came before was taken back: then it counts as missing, too. */
  readonly isUndo: boolean
  /** Selected events found in it, those included that were never acknowledged, but came to another client. */
  missing: number
  /** Of these, the acknowledged. */
  acknowledged: number
  /** Whether a fault was noted already, or part of it cannot be judged any more. */
  isDone: boolean
}

/** The log of one client. Call its methods in the order in which the client was told. */
export class ClientLog {
  readonly name: string
  /** @internal */
  readonly selection: Selection
  /** @internal */
  readonly selects: Selects
  /** @internal By id: what came and is not settled. */
  readonly received: Map<string, { readonly place: EventId; readonly event: ReceivedEvent }> = new Map()
  /** @internal */
  spans: Span[] = []
  /** @internal Under `latest`: missing, until a newer event of the same topic and key has come. */
  readonly superseded: Map<string, Entry[]> = new Map()
  /** @internal Everything up to here is settled; undefined before the start. */
  base: EventId | undefined
  /** @internal The furthest place that the client has come to. */
  high: EventId | undefined
  /** @internal */
  isLeft = false
  /** @internal */
  readonly tally: { received: number; gaps: number } = { received: 0, gaps: 0 }
  readonly #published: PublishLog
  readonly #faults: Faults
  /** Where the stream stands. */
  #cursor: EventId | undefined
  /** Nothing came between here and the cursor: the client may come back with any id from here to there. */
  #firm: EventId | undefined

  /** @internal */
  constructor(name: string, selects: Selects, published: PublishLog, faults: Faults) {
    this.name = name
    this.selects = selects
    this.selection = Selection.of(selects.topics, selects.types, Number.MAX_SAFE_INTEGER)
    this.#published = published
    this.#faults = faults
  }

  /** What iterators of hydrant-client and of a hub yield. */
  delivered(delivery: ReceivedEvent | { readonly gap: Gap }): void {
    if (delivery.gap === undefined) this.event(delivery)
    else this.gap(delivery.gap)
  }

  /** A stream that was not resumed has begun at this id: `hydrant:open`; after the state, `hydrant:live`. */
  opened(id: string): void {
    const place = this.#told(id, 'misresumed')
    if (place === undefined) return
    if (this.base === undefined) return this.#start(place)
    if (this.#isBehind(place)) this.#putBack(place)
    else this.#moveTo(place)
  }

  /** A fresher id, with nothing of the selection before it: `hydrant:position`. */
  position(id: string): void {
    const place = this.#told(id, 'reordered')
    if (place === undefined) return
    if (this.base === undefined) return this.#start(place)
    if (this.#isBehind(place)) this.fault('reordered', id, 'this position is behind where the stream stands')
    else this.#reach(place)
  }

  /** The client has connected again, with this id; null or undefined for none. */
  resumed(id: string | null | undefined): void {
    const parsed = parseId(id ?? '')
    const place = parsed !== undefined && this.#published.epochs.knows(parsed.epoch) ? parsed : undefined
    if (this.base === undefined) {
      if (place !== undefined) this.#start(place)
      return
    }
    const { epochs } = this.#published
    const isWhereItStood =
      place !== undefined && this.#firm !== undefined && epochs.compare(place, this.#firm) >= 0 && !this.#isAhead(place)
    if (!isWhereItStood) this.fault('misresumed', id ?? 'no id', `the client stood at ${textOf(this.#cursor)}`)
    if (place === undefined || this.#isAhead(place)) return
    if (isWhereItStood) this.#cursor = place
    else this.#putBack(place)
  }

  /** An event has come. */
  event(event: ReceivedEvent): void {
    this.tally.received += 1
    const place = this.#told(event.id, 'unknown')
    if (place === undefined) return
    const isState = this.selects.state !== undefined
    if (this.base === undefined && !isState) this.#start({ epoch: place.epoch, offset: place.offset - 1 })
    if (this.#cursor !== undefined && this.#published.epochs.compare(place, this.#cursor) <= 0) this.#late(place, event)
    else this.#moveTo(place)
    this.received.set(event.id, { place, event })
  }

  /** A gap was declared. */
  gap(gap: Gap): void {
    this.tally.gaps += 1
    const to = this.#told(gap.to, 'falseGaps')
    if (to === undefined) return
    const named = parseId(gap.from)
    const known = named !== undefined && this.#published.epochs.knows(named.epoch) ? named : undefined
    if (this.base === undefined) this.#start(gap.reason === 'epoch' || known === undefined ? to : known)
    const from = known ?? this.#cursor ?? to
    const at = gap.id === undefined ? undefined : this.#told(gap.id, 'falseGaps')
    const isOfEpochs = gap.reason === 'epoch' && at !== undefined && at.epoch !== to.epoch
    if ((gap.reason === 'epoch' && this.#isBehind(to)) || (isOfEpochs && !this.#isAhead(to))) this.#undo(gap, to, at)
    else this.#declare(gap, from, to)
    if (at !== undefined) this.#putBack(at) // the state follows, or what is retained before the end of the gap
  }

  /** The client has gone for good: what it never came to is not owed to it. */
  left(): void {
    this.isLeft = true
  }

  /** Takes one line of a log that was kept as data. */
  take(record: ClientRecord): void {
    if ('opened' in record) this.opened(record.opened)
    else if ('position' in record) this.position(record.position)
    else if ('resumed' in record) this.resumed(record.resumed)
    else if ('event' in record) this.event(record.event)
    else if ('gap' in record) this.gap(record.gap)
    else this.left()
  }

  /** @internal Notes a fault of this client's log. */
  fault(kind: FaultKind, id: string, detail: string): void {
    this.#faults.add(kind, this.name, id, detail)
  }

  #start(place: EventId): void {
    const { epochs, forgotten } = this.#published
    const isTooLate = forgotten !== undefined && epochs.compare(place, forgotten) < 0
    if (isTooLate) this.fault('unjudged', textOf(place), `it starts before ${textOf(forgotten)}, the last forgotten`)
    this.base = isTooLate ? forgotten : place
    this.#moveTo(epochs.later(place, this.#cursor))
  }

  /** At or behind the cursor: has it come before? Was it declared missing? If neither, something else came first. */
  #late(place: EventId, event: ReceivedEvent): void {
    const { epochs } = this.#published
    const isSettled = this.base !== undefined && epochs.compare(place, this.base) <= 0
    const span = this.spans.find(
      ({ gap, from, to }) => gap.certain && epochs.compare(place, from) > 0 && epochs.compare(place, to) <= 0,
    )
    if (isSettled || this.received.has(event.id)) this.fault('doubled', event.id, 'it was received before')
    else if (span === undefined) {
      this.fault('reordered', event.id, `it came when the stream stood at ${textOf(this.#cursor)}`)
    } else this.#falseGap(span, `${event.id} came all the same`)
  }

  /** What came after `to` is undone, or may come again: the server cannot know what the client's id stood for. */
  #undo(gap: Gap, to: EventId, at: EventId | undefined): void {
    const stood = this.#cursor ?? to
    const end = endOf(stood.epoch)
    // Epochs that came and went before the one in which the stream goes on were undone with it.
    this.#note(gap, to, at === undefined ? end : this.#published.epochs.later(at, end), true)
    if (to.epoch === stood.epoch) this.#reach(end)
    else this.#putBack(to)
    this.#firm = to
  }

  #declare(gap: Gap, from: EventId, to: EventId): void {
    const { epochs } = this.#published
    const span = this.#note(gap, from, to)
    if (epochs.compare(from, to) >= 0 && gap.reason !== 'epoch') this.#falseGap(span, 'it ends before it begins')
    const isState = this.selects.state !== undefined
    if (gap.certain && !isState && this.#firm !== undefined && epochs.compare(from, this.#firm) < 0)
      this.#falseGap(span, `the client stood at ${textOf(this.#firm)}`)
    if (!this.#isBehind(to)) this.#moveTo(to)
    this.#firm = to
    if (isState) this.#putBack({ epoch: to.epoch, offset: -1 }) // the state follows, in ids of any age
  }

  #note(gap: Gap, from: EventId, to: EventId, isUndo = false): Span {
    const { epochs } = this.#published
    const isCut = this.base !== undefined && epochs.compare(from, this.base) < 0
    const isForeign = !epochs.knows(parseId(gap.from)?.epoch ?? '')
    const span = { gap, from, to, isUndo, missing: 0, acknowledged: 0, isDone: isCut || isForeign }
    this.spans.push(span)
    return span
  }

  #falseGap(span: Span, detail: string): void {
    if (!span.isDone) this.fault('falseGaps', span.gap.to, `the gap from ${span.gap.from}: ${detail}`)
    span.isDone = true
  }

  /** Reads an id; a fault of this kind where it is none. */
  #told(text: string, kind: FaultKind): EventId | undefined {
    const id = parseId(text)
    if (id === undefined) this.fault(kind, text, 'this is not an id')
    else this.#published.epochs.note(id.epoch)
    return id
  }

  #moveTo(place: EventId): void {
    this.#reach(place)
    this.#firm = place
  }

  #reach(place: EventId): void {
    this.#cursor = place
    this.high = this.#published.epochs.later(place, this.high)
  }

  /** What comes after this place may come again. */
  #putBack(place: EventId): void {
    this.#cursor = place
    this.#firm = place
  }

  #isBehind(place: EventId): boolean {
    return this.#cursor !== undefined && this.#published.epochs.compare(place, this.#cursor) < 0
  }

  #isAhead(place: EventId): boolean {
    return this.#cursor !== undefined && this.#published.epochs.compare(place, this.#cursor) > 0
  }
}

/** An id for people. */
export function textOf(place: EventId | undefined): string {
  if (place === undefined) return 'no place'
  const { epoch, offset } = place
  return Number.isFinite(offset) ? `${epoch}-${offset}` : `the end of ${epoch}`
}
