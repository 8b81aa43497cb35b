// The envelope: a whole event as one JSON object, the same on NDJSON, JSON pages, enveloped SSE and WebSocket
// (PROTOCOL.md, 3).

/** A whole event. Text stands in `data`, bytes stand in `dataBase64`. */
export interface Envelope {
  readonly id: string
  readonly topic: string
  /** SSE's event name; `message` when the publisher gave none. */
  readonly type: string
  readonly key?: string
  /** When the log took it, RFC 3339 in UTC. Never earlier than the event before it. */
  readonly time: string
  readonly data?: string
  readonly dataBase64?: string
}

/**
 * Why events are missing.
 *
 * - `trimmed`: retention had removed them before the subscriber came for them.
 * - `epoch`: the id is of another term of the log; what it stood for is not known here, or was undone.
 * - `lagged`: the subscriber was too slow, and chose to skip.
 */
export type GapReason = 'trimmed' | 'epoch' | 'lagged'

/** Events that a subscriber wanted and will never get. */
export interface Gap {
  /** The subscriber's cursor: events after this id are missing. As the client gave it, when it is not one of ours. */
  readonly from: string
  /** Up to and with this id. */
  readonly to: string
  /**
   * Where the stream goes on, and what to resume from; left out where that is `to`. It stands before `to` where some
   * events up to there are retained, and follow, or where the state does.
   */
  readonly id?: string
  readonly reason: GapReason
  /** False where the log can no longer tell whether an event of this selection was among the lost. */
  readonly certain: boolean
  /** How many events are missing, where that is known. */
  readonly count?: number
}

/** Names of our own events. Publishers cannot use them: every type that begins with `hydrant:` is refused. */
export const CONTROL_TYPES: {
  /** The first block of a stream that was not resumed: carries the id at which it starts. */
  readonly open: 'hydrant:open'
  /** Events are missing; the data is a {@link Gap}. */
  readonly gap: 'hydrant:gap'
  /** Nothing new, but a fresher id to resume from. */
  readonly position: 'hydrant:position'
  /** The server ends this stream; come back after `retry:`. */
  readonly bye: 'hydrant:bye'
  /** The state was sent; what follows is everything after this id. */
  readonly live: 'hydrant:live'
  /** The topic has ended: an event of the log, the last one of its topic. */
  readonly end: 'hydrant:end'
} = {
  open: 'hydrant:open',
  gap: 'hydrant:gap',
  position: 'hydrant:position',
  bye: 'hydrant:bye',
  live: 'hydrant:live',
  end: 'hydrant:end',
}

/** Names that `EventSource` dispatches itself: an event of that name could not be told from its own. */
export const EVENTSOURCE_TYPES: readonly string[] = ['error', 'open']
