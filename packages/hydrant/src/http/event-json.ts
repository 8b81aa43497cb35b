// Events as JSON: what publishers send in `POST /events`, in NDJSON lines and over WebSocket.

import { HydrantError } from '../hub/errors.ts'
import type { EventInput } from '../hub/event.ts'
import { quote } from '../hub/topic.ts'
import { parseBase64 } from '../transport/envelope.ts'
import { didYouMean } from '../hub/nearest.ts'

const FIELDS = ['topic', 'type', 'key', 'data', 'dataBase64']

/**
 * Reads an event: `{"topic", "type"?, "key"?, "data"? | "dataBase64"?}`. `topic` may be missing where the path names
 * one. Data that is a string is text; any other value is published as JSON. Throws `malformed-event`.
 */
export function parseEventJson(value: unknown, topicOfPath?: string): EventInput {
  if (!isRecord(value)) throw malformed('it must be a JSON object')
  for (const field of Object.keys(value)) {
    if (!FIELDS.includes(field))
      throw malformed(`it has the field ${quote(field)}.${didYouMean(field, FIELDS)} Known are ${FIELDS.join(', ')}`)
  }
  const topic = textOf(value, 'topic') ?? topicOfPath
  if (topic === undefined) throw malformed('it names no topic')
  return { topic, type: textOf(value, 'type'), key: textOf(value, 'key'), data: dataOf(value) }
}

/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function dataOf(event: Readonly<Record<string, unknown>>): unknown {
  const base64 = textOf(event, 'dataBase64')
  if (base64 === undefined) return event['data']
  if (event['data'] !== undefined) throw malformed('it has both data and dataBase64')
  return parseBase64(base64)
}

function textOf(event: Readonly<Record<string, unknown>>, field: string): string | undefined {
  const value = event[field]
  if (value === undefined || value === null || typeof value === 'string') return value ?? undefined
  throw malformed(`its ${field} is not a string`)
}

function malformed(fault: string): HydrantError {
  return new HydrantError('malformed-event', `The event cannot be published: ${fault}.`)
}
