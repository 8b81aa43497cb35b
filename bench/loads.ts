// The loads that every server is put under, in one table. Each asks another question.

/** How the events of a load are published. */
export type Publishing =
  /** By POST at a rate: nothing waits for answers, so latency counts from the time at which each event was due. */
  | { readonly kind: 'paced'; readonly perS: number; readonly connections: number }
  /** By POST, the next when the last was answered, on each connection. */
  | { readonly kind: 'answered'; readonly connections: number }
  /** A line each in one POST, so far ahead of the mean subscriber at most. Servers without that: a tenth, answered. */
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
}

const BASE = { stalled: 0, eventBytes: 128, idleS: 0 }

/** All loads. At full speed one run takes 5 to 20 seconds. */
export const LOADS: readonly Load[] = [
  {
    ...BASE,
    name: 'paced',
    about: '1,000 clients, 200 events/s of 128 bytes: the usual stream; latency, and CPU where nothing can be joined',
    clients: 1_000,
    publishing: { kind: 'paced', perS: 200, connections: 1 },
    warmupEvents: 200,
    events: 1_600,
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
    about: '1,000 clients, one POST whose lines are the events, up to 256 ahead (servers without that: as saturated)',
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
    name: 'stalled',
    about: '45 readers and 100 clients that never read, 200 MB in events of 16 KiB at 1,000/s: memory, and the readers',
    clients: 45,
    stalled: 100,
    publishing: { kind: 'paced', perS: 1_000, connections: 1 },
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
  }
}
