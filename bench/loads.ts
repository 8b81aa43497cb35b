// The loads that every server is put under, in one table. Each asks another question.

/** How the events of a load are published. */
export type Publishing =
  /** By POST at a rate: nothing waits for answers, so latency counts from the time at which each event was due. */
  | { readonly kind: 'paced'; readonly perS: number; readonly connections: number }
  /** By POST, the next when the last was answered, on each connection. */
  | { readonly kind: 'answered'; readonly connections: number }
  /** A line each in one POST, so far ahead of the mean subscriber at most. The floor: a tenth of them, answered. */
  | { readonly kind: 'lines'; readonly aheadEvents: number }
  | { readonly kind: 'none' }

/** One load of the table. */
export interface Load {
  readonly name: string
  readonly about: string
  readonly clients: number
  /** Further subscribers, which never read. */
  readonly stalled: number
  readonly publishing: Publishing
  /** Published and counted, but not timed: they are for compilers and allocators. */
  readonly warmupEvents: number
  readonly events: number
  readonly eventBytes: number
  /** How long the connections are held before anything is published, to see what idling costs. */
  readonly idleS: number
  /** Letters, or quotes in JSON, which have a length of their own. Default: letters. */
  readonly payload?: 'prices'
  /** Each client has a topic of its own, and the events go to one topic after another. Default: one for all. */
  readonly isWide?: boolean
  /** After so many measured events all clients are cut, to come back at once. Default: never. */
  readonly cutAfterEvents?: number
}

const BASE = { stalled: 0, eventBytes: 128, idleS: 0 }

/** All loads. At full speed one run takes 5 to 20 seconds. */
export const LOADS: readonly Load[] = [
  {
    ...BASE,
    name: 'paced',
    about: '1,000 clients, 200 events/s of 128 bytes: a busy stream; latency, and CPU where little can be joined',
    clients: 1_000,
    publishing: { kind: 'paced', perS: 200, connections: 1 },
    warmupEvents: 200,
    events: 1_600,
  },
  {
    ...BASE,
    name: 'paced-50',
    about: '1,000 clients, 50 events/s: the usual stream, where nothing can be joined',
    clients: 1_000,
    publishing: { kind: 'paced', perS: 50, connections: 1 },
    warmupEvents: 50,
    events: 400,
  },
  {
    ...BASE,
    name: 'prices',
    about: '1,000 clients, 100 quotes/s as JSON of 160 bytes: what compression costs, and saves on the wire',
    clients: 1_000,
    publishing: { kind: 'paced', perS: 100, connections: 1 },
    payload: 'prices',
    warmupEvents: 200,
    events: 800,
  },
  {
    ...BASE,
    name: 'saturated',
    about: '1,000 clients, one publisher, its next POST when the last was answered: what one core can do',
    clients: 1_000,
    publishing: { kind: 'answered', connections: 1 },
    warmupEvents: 200,
    events: 2_000,
  },
  {
    ...BASE,
    name: 'lines',
    about: '1,000 clients, one POST whose lines are the events, up to 256 ahead (the floor: as saturated)',
    clients: 1_000,
    publishing: { kind: 'lines', aheadEvents: 256 },
    warmupEvents: 4_000,
    events: 40_000,
  },
  {
    ...BASE,
    name: 'many',
    about: '10,000 clients, 5 events/s: the fan-out itself, with sockets that are cold in every cache',
    clients: 10_000,
    publishing: { kind: 'paced', perS: 5, connections: 1 },
    warmupEvents: 10,
    events: 40,
  },
  {
    ...BASE,
    name: 'few-and-fast',
    about: '100 clients, 5,000 events/s over 4 publishers: the price of publishing, and joining',
    clients: 100,
    publishing: { kind: 'paced', perS: 5_000, connections: 4 },
    warmupEvents: 2_500,
    events: 20_000,
  },
  {
    ...BASE,
    name: 'idle',
    about: '10,000 clients and no events: memory for each, and what waiting costs',
    clients: 10_000,
    publishing: { kind: 'none' },
    warmupEvents: 0,
    events: 0,
    idleS: 5,
  },
  {
    ...BASE,
    name: 'wide',
    about: '10,000 clients, each with a topic of its own, 3,000 events/s over 4 publishers, each for one of them',
    clients: 10_000,
    publishing: { kind: 'paced', perS: 3_000, connections: 4 },
    isWide: true,
    warmupEvents: 6_000,
    events: 24_000,
  },
  {
    ...BASE,
    name: 'storm',
    about: '5,000 clients, 10 events/s; after 3 s all are cut, and back at once with the last id that they saw',
    clients: 5_000,
    publishing: { kind: 'paced', perS: 10, connections: 1 },
    cutAfterEvents: 30,
    warmupEvents: 20,
    events: 100,
  },
  {
    ...BASE,
    name: 'stalled',
    about: '90 readers and 10 clients that never read, 200 MB in events of 16 KiB at 750/s: memory, and the readers',
    clients: 90,
    stalled: 10,
    publishing: { kind: 'paced', perS: 750, connections: 1 },
    warmupEvents: 500, // until the stalled clients' socket buffers, which are the kernel's, are full
    events: 11_707,
    eventBytes: 16_384,
  },
]

/** The same load with a quarter of the events: to see that all works, not to quote. */
export function quick(load: Load): Load {
  return {
    ...load,
    warmupEvents: Math.ceil(load.warmupEvents / 4),
    events: Math.ceil(load.events / 4),
    idleS: load.idleS / 4,
    ...(load.cutAfterEvents !== undefined && { cutAfterEvents: Math.ceil(load.cutAfterEvents / 4) }),
  }
}
