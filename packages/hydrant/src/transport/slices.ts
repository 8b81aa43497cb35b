// Slices: what those that are behind read of the window, joined once for all who stand at the same place.
//
// A crowd that comes back at once has ids that differ a little. So a slice that holds enough ends where others of the
// same feed end theirs, at every 256th offset: after the first, of its own, everybody reads the same ones.
//
//   cursor of one    ├──────────┼────────────────┼────────────────┤ head
//   of another           ├──────┼────────────────┼────────────────┤

import type { LogEvent } from '../hub/event.ts'
import type { Hub } from '../hub/hub.ts'
import { isConflated } from '../hub/lag.ts'
import { encodePast } from './format.ts'
import { join, Payload } from './payload.ts'
import type { Subscriber } from './subscriber.ts'

/** A slice may end at every so many offsets. */
const PLACES = 256
/** When it holds at least this much: smaller writes would cost more than joining does. */
const SHARED_BYTES_MIN = 32 * 1024
/** Kept for whoever comes next, while anybody is behind. */
const KEPT_BYTES_MAX = 8 * 1024 * 1024

interface Slice {
  readonly payload: Payload
  /** Whether it ended before the head of its time: then it stays what it is. */
  readonly isWhole: boolean
}

/** See the head of the file. */
export class Slices {
  readonly #hub: Hub
  readonly #kept = new Map<string, Slice>()
  #keptBytes = 0

  constructor(hub: Hub) {
    this.#hub = hub
  }

  /** The next slice of a subscriber whose cursor is in the window. */
  read({ broadcast, cursor, lag }: Subscriber): Payload {
    const { window } = this.#hub
    const key = `${cursor}\n${lag === 'latest' ? 'latest' : 'all'}\n${broadcast.key}`
    const known = this.#kept.get(key)
    if (known !== undefined && (known.isWhole || known.payload.to === window.head)) return known.payload
    const payload = this.#join(broadcast, cursor, lag === 'latest')
    if (payload.events > 0) this.#keep(key, { payload, isWhole: payload.to < window.head })
    return payload
  }

  /** Lets go of all: nobody is behind, or what was read is no part of the log any more. */
  clear(): void {
    this.#kept.clear()
    this.#keptBytes = 0
  }

  #join({ format, selection }: Subscriber['broadcast'], after: number, isLatest: boolean): Payload {
    const { window, limits } = this.#hub
    const sharedBytesMin = Math.min(SHARED_BYTES_MIN, limits.flushBytesMax / 2)
    const parts: Uint8Array[] = []
    let bytes = 0
    let last = after
    const take = (event: LogEvent): boolean => {
      if (bytes >= sharedBytesMin && Math.floor(event.offset / PLACES) > Math.floor(last / PLACES)) return false
      last = event.offset
      if (isLatest && isConflated(event, selection, window)) return true
      const part = encodePast(event, format, window)
      if (bytes > 0 && bytes + part.length > limits.flushBytesMax) return false
      parts.push(part)
      bytes += part.length
      return true
    }
    const to = window.read(after, selection, take, limits.scanEventsMax)
    return new Payload(join(parts, bytes), to, parts.length)
  }

  #keep(key: string, slice: Slice): void {
    this.#drop(key)
    this.#kept.set(key, slice)
    this.#keptBytes += slice.payload.bytes.length
    for (const oldest of this.#kept.keys()) {
      if (this.#keptBytes <= KEPT_BYTES_MAX) return
      this.#drop(oldest)
    }
  }

  #drop(key: string): void {
    this.#keptBytes -= this.#kept.get(key)?.payload.bytes.length ?? 0
    this.#kept.delete(key)
  }
}
