// Pages of history that were read a moment ago: a crowd that comes back after a restart reads the same part of the log,
// each client from a place of its own, and so the log is read, and its events are encoded, once for all of them.
//
// A page is forgotten when retention takes anything out, for what is gone has to be declared, and when nobody used it
// for a second.

import type { LogEvent } from '../hub/event.ts'
import type { History, LogRange, ReadRequest } from './engine.ts'

/** A page holds what one reading may answer: 256 KB, and as much again once it is encoded. */
const PAGES_MAX = 16

interface Page {
  readonly request: ReadRequest
  readonly range: LogRange
  isUsed: boolean
}

/** See the head of the file. */
export class FilePages {
  #pages: Page[] = []
  #forgotten = 0

  /** Grows whenever the pages are forgotten: a reading that began before must not be kept. */
  get forgotten(): number {
    return this.#forgotten
  }

  /** What a page has of the answer to a request: at least one event, or a range that reaches further. */
  find(request: ReadRequest): History | undefined {
    const page = this.#pages.find((one) => answers(one, request))
    if (page === undefined) return undefined
    page.isUsed = true
    const { events, to } = page.range
    return { gap: undefined, events: events.slice(placeAfter(events, request.after)), to }
  }

  /** Keeps what was read: a whole history, without a gap. */
  add(request: ReadRequest, { gap, events, to }: History): void {
    if (gap !== undefined || request.latest === true || to <= request.after) return
    this.#pages.unshift({ request, range: { events, to }, isUsed: true })
    if (this.#pages.length > PAGES_MAX) this.#pages.pop()
  }

  /** Something was taken out of the log. */
  forget(): void {
    this.#pages = []
    this.#forgotten += 1
  }

  /** A second has passed. */
  tick(): void {
    this.#pages = this.#pages.filter((page) => page.isUsed)
    for (const page of this.#pages) page.isUsed = false
  }
}

function answers(
  { request: had, range }: Page,
  { selection, after, eventsMax, bytesMax, latest }: ReadRequest,
): boolean {
  return (
    had.selection.key === selection.key &&
    had.after <= after &&
    range.to > after &&
    had.eventsMax <= eventsMax &&
    had.bytesMax <= bytesMax &&
    latest !== true
  )
}

/** By halves. */
function placeAfter(events: readonly LogEvent[], offset: number): number {
  let [low, high] = [0, events.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((events[middle]?.offset ?? Number.POSITIVE_INFINITY) > offset) high = middle
    else low = middle + 1
  }
  return low
}
