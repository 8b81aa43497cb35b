// Large events of a feed that is compressed: a segment of its stream is no more than a dozen of them long.

import type { Hub } from '../../src/index.ts'
import type { TestServer } from './test-server.ts'

/** Their topic. */
export const PRICES = 'prices'
/** A segment ends after 128 KB. */
export const EVENTS_PER_SEGMENT = 11
const EVENT_BYTES = 12_000

/** The data of an event: its number first, then prices that are unlike those of any other event. */
export function pricesOf(number: number): string {
  let text = `${number} `
  for (let at = 0; text.length < EVENT_BYTES; at += 1) text += `{"symbol":"S${at % 50}","price":${(number + at) * 37}},`
  return text
}

/** The number of an event. */
export function numberOf(data: string): number {
  return Number(data.slice(0, data.indexOf(' ')))
}

/** The numbers [from, to). */
export function numbers(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, at) => from + at)
}

/** Publishes the events [from, to), each a flush of its own. */
export async function publishPrices(hub: Hub, from: number, to: number): Promise<void> {
  for (let number = from; number < to; number += 1) {
    await hub.publish({ topic: PRICES, data: pricesOf(number) })
    await new Promise(setImmediate)
  }
}

/** Counts what a server writes to its sockets, from here on; answers a function that tells. */
export function countWritten({ server }: TestServer): () => number {
  const sockets = new Set<{ readonly bytesWritten: number }>()
  server.on('connection', (socket) => void sockets.add(socket))
  return () => [...sockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, 0)
}
