// Every limit of a hub, in one table: what is bounded, in which unit, at which default, and why there.

import { InvariantError } from './errors.ts'

/** One row of the table. */
export interface Limit {
  readonly unit: 'bytes' | 'ms' | 'events' | 'sockets' | 'items' | 'per second'
  readonly default: number
  /** The least value that makes sense; anything below is refused at start. */
  readonly min: number
  readonly reason: string
}

/** The table. The unit stands last in each name; `…Max` bounds, the others set. */
export const LIMITS = {
  windowBytes: {
    unit: 'bytes',
    default: 67_108_864,
    min: 65_536,
    reason: 'What the process may grow by for the newest part of the log: 30,000 events of 256 bytes, encoded once.',
  },
  eventBytesMax: {
    unit: 'bytes',
    default: 1_048_576,
    min: 1,
    reason: 'Data of one event. Over 64 KB some Go clients fail by default; larger things are better sent as links.',
  },
  batchEventsMax: {
    unit: 'events',
    default: 10_000,
    min: 1,
    reason: 'Events of one atomic batch: they are held until all are checked. An NDJSON stream has no such bound.',
  },
  publishWaitMs: {
    unit: 'ms',
    default: 30_000,
    min: 0,
    reason: 'How long a publish may ask to wait for a log that cannot be reached, before it is refused.',
  },
  publishWaitBytesMax: {
    unit: 'bytes',
    default: 16_777_216,
    min: 0,
    reason: 'What all of these hold together while they wait; beyond it they are refused at once.',
  },
  batchBytesMax: {
    unit: 'bytes',
    default: 16_777_216,
    min: 1_024,
    reason: 'Body of one request that is held whole (all but NDJSON streams).',
  },
  topicsMax: {
    unit: 'items',
    default: 100,
    min: 1,
    reason: 'Topics and patterns of one selection: as many as fit a URL, and each costs a match per event.',
  },
  nameBytesMax: {
    unit: 'bytes',
    default: 255,
    min: 1,
    reason: 'A topic, type, key or idempotency key: kept with every event, and in tables of what was trimmed.',
  },
  flushBytesMax: {
    unit: 'bytes',
    default: 262_144,
    min: 4_096,
    reason:
      'One write to one socket: joins a thousand small events, and pins no more than this while a socket is stalled.',
  },
  pinnedBytesMax: {
    unit: 'bytes',
    default: 67_108_864,
    min: 262_144,
    reason: 'Written but not taken by stalled sockets, each Buffer once; beyond it the longest stalled are cut.',
  },
  stallMs: {
    unit: 'ms',
    default: 60_000,
    min: 100,
    reason: 'How long a client may read nothing while events wait for it, before it is cut, to resume.',
  },
  sliceSockets: {
    unit: 'sockets',
    default: 64,
    min: 1,
    reason: 'Sockets written in a turn. At 1,000 clients 16/64/256/all gave p99 68/33/30/19 ms, throughput falling.',
  },
  shareConnectionsMin: {
    unit: 'items',
    default: 8,
    min: 1,
    reason:
      'Connections that read compressed bytes, for a feed to be compressed: it takes 300 KB and 10 to 60 µs a flush.',
  },
  lingerMs: {
    unit: 'ms',
    default: 0,
    min: 0,
    reason: 'Waits this long for more events before a flush. 5 ms halves the CPU at 200 events/s, for 5 ms of latency.',
  },
  heartbeatMs: {
    unit: 'ms',
    default: 15_000,
    min: 10,
    reason: 'A sign of life on idle connections; nginx, HAProxy and load balancers cut idle ones after 30 to 60 s.',
  },
  retryMs: {
    unit: 'ms',
    default: 2_000,
    min: 0,
    reason: 'What EventSource is told to wait before it comes back; a farewell adds as much again at random.',
  },
  connectionsMax: {
    unit: 'items',
    default: 100_000,
    min: 1,
    reason: 'Open streams: 0.3 GB at 3 KB each, 1.4 GB in a node:http server of your own; as many file descriptors.',
  },
  subscriptionsMax: {
    unit: 'items',
    default: 100,
    min: 1,
    reason: 'Subscriptions of one WebSocket: as many as a page with a widget for each could want.',
  },
  messagesPerSecondMax: {
    unit: 'per second',
    default: 200,
    min: 1,
    reason: 'Messages of a WebSocket client, and as many saved up: three times a game loop of 60 a second.',
  },
  scanEventsMax: {
    unit: 'events',
    default: 10_000,
    min: 1,
    reason: 'Events looked at in one reading of history, about a millisecond, before others get a turn.',
  },
  pageEventsMax: {
    unit: 'events',
    default: 1_000,
    min: 1,
    reason: 'Events on one JSON page of history.',
  },
  capacityEvents: {
    unit: 'events',
    default: 1_024,
    min: 1,
    reason: 'How far an in-process subscriber may fall behind before it skips, as in tokio broadcast channels.',
  },
  trimmedTopicsMax: {
    unit: 'items',
    default: 100_000,
    min: 1,
    reason: 'Pairs of topic and type whose last trimmed offset is remembered, about 200 bytes each.',
  },
  idempotencyKeysMax: {
    unit: 'items',
    default: 1_000_000,
    min: 1,
    reason: 'Idempotency keys remembered: ten minutes at 1,700 requests a second.',
  },
  idempotencyMs: {
    unit: 'ms',
    default: 600_000,
    min: 1_000,
    reason: 'How long a retry is recognized: longer than any client keeps retrying one request.',
  },
  epochsMax: {
    unit: 'items',
    default: 1_000,
    min: 1,
    reason: 'Terms of the log that ids can be resumed over; ids of older ones are a gap.',
  },
  closeMs: {
    unit: 'ms',
    default: 10_000,
    min: 0,
    reason: 'From the wish to stop to the end of the process, whatever clients do. Kubernetes kills after 30 s.',
  },
} as const

/** The name of a limit. */
export type LimitName = keyof typeof LIMITS

/** A value for each limit, in the unit that its name ends with. */
export type Limits = { readonly [Name in LimitName]: number }

/** Whether there is a limit of this name. */
export function isLimitName(name: string): name is LimitName {
  return Object.hasOwn(LIMITS, name)
}

/** Fills in the defaults. Throws a RangeError that names the limit when a value is no number or below its least. */
export function resolveLimits(given: Partial<Limits> = {}): Limits {
  const limits: { -readonly [Name in LimitName]?: number } = {}
  for (const name of Object.keys(LIMITS).filter(isLimitName)) limits[name] = LIMITS[name].default
  for (const [name, value] of Object.entries(given)) {
    if (!isLimitName(name)) throw new RangeError(`there is no limit named ${name}`)
    if (value === undefined) continue
    const { min, unit } = LIMITS[name]
    if (!Number.isFinite(value) || value < min) {
      throw new RangeError(`${name} must be at least ${min} (${unit}), not ${value}`)
    }
    limits[name] = value
  }
  if (!isComplete(limits)) throw new InvariantError('a limit has no default')
  return limits
}

function isComplete(limits: Partial<Limits>): limits is Limits {
  return Object.keys(LIMITS).every((name) => isLimitName(name) && limits[name] !== undefined)
}
