// A feed: one selection of the live log, and whoever wants to hear of it.

import type { LogEvent } from './event.ts'
import type { Selection } from './selection.ts'

/**
 * What a hub tells of new events. Made by its first subscriber, gone with its last; holds no copies of events.
 *
 * `transport/broadcast.ts` shares one among all connections with an equal selection and format;
 * `subscription.ts` is one for each in-process subscriber.
 */
export interface Feed {
  readonly selection: Selection
  /** A new event of the selection, called once for each, in log order. Must not throw, and must not take long. */
  offer(event: LogEvent): void
  /** The window begins anew, after what was offered last: what came in between has to be read. */
  skip(): void
  /** Everything after this offset is no part of the log any more. What was offered of it must not be given out. */
  undo(to: number): void
}
