// Events of a log, made by hand.

import { LogEvent } from '../../src/hub/event.ts'

/** An event at an offset; whatever is not given is the same for all. */
export function logEvent(
  offset: number,
  fields: { readonly topic?: string; readonly type?: string; readonly data?: string; readonly timeMs?: number } = {},
): LogEvent {
  const { topic = 'a', type = 'message', data = '', timeMs = 1_000 + offset } = fields
  return new LogEvent('0123456789ab', offset, timeMs, { topic, type, key: undefined, data })
}
