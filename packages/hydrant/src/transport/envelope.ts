// The envelope of an event, as JSON text.

import type { Envelope } from 'hydrant-client/wire'
import { HydrantError } from '../hub/errors.ts'
import type { LogEvent } from '../hub/event.ts'

/** The whole event as one line of JSON. Bytes stand as base64 in `dataBase64` (PROTOCOL.md, 3). */
export function envelopeText(event: LogEvent): string {
  return JSON.stringify(envelopeOf(event))
}

/** The whole event as an object. */
export function envelopeOf(event: LogEvent): Envelope {
  const { data } = event
  return { ...headerOf(event), ...(typeof data === 'string' ? { data } : { dataBase64: base64(data) }) }
}

/** The envelope without its data: the header of a binary frame. */
export function headerOf(event: LogEvent): Envelope {
  return {
    id: event.id,
    topic: event.topic,
    type: event.type,
    ...(event.key === undefined ? {} : { key: event.key }),
    time: timeText(event.timeMs),
  }
}

/** Bytes as base64. */
export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
}

/** Reads base64. Throws a HydrantError `malformed-event` when it is not. */
export function parseBase64(text: string): Uint8Array {
  const unpadded = text.replace(/={1,2}$/, '')
  if (!/^[A-Za-z0-9+/]*$/.test(unpadded) || unpadded.length % 4 === 1) {
    throw new HydrantError('malformed-event', 'The event cannot be published: its base64 is not valid.')
  }
  return Buffer.from(unpadded, 'base64')
}

let lastMs = Number.NaN
let lastText = ''

/** RFC 3339; the last answer is kept, for events of a burst share their millisecond. */
function timeText(timeMs: number): string {
  if (timeMs !== lastMs) {
    lastMs = timeMs
    lastText = new Date(timeMs).toISOString()
  }
  return lastText
}
