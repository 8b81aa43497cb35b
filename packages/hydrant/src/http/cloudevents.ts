// CloudEvents 1.0 as events of ours: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
//
//   type → type    data, data_base64 → data    partitionkey → key
//   topic ← the path, else the extension `topic`, else `subject`

import { HydrantError } from '../hub/errors.ts'
import type { EventInput } from '../hub/event.ts'
import { quote } from '../hub/topic.ts'
import { parseBase64 } from '../transport/envelope.ts'
import { isRecord } from './event-json.ts'

const REQUIRED = ['id', 'source', 'type'] as const

/** Reads an event in structured mode (`application/cloudevents+json`). Throws `malformed-cloudevent`. */
export function parseCloudEvent(value: unknown, topicOfPath?: string): EventInput {
  if (!isRecord(value)) throw malformed('it is not a JSON object')
  checkContext(value)
  const { data, data_base64: base64 } = value
  if (base64 === undefined) return { ...contextOf(value, topicOfPath), data }
  if (data !== undefined || typeof base64 !== 'string') throw malformed('data_base64 must be a string, and stand alone')
  return { ...contextOf(value, topicOfPath), data: parseBase64(base64) }
}

/** Reads an event in binary mode: attributes in `ce-` headers, the body is the data. Throws `malformed-cloudevent`. */
export function cloudEventOfHeaders(
  header: (name: string) => string | undefined,
  topicOfPath?: string,
): Omit<EventInput, 'data'> {
  const attributes: Record<string, string> = {}
  for (const name of ['specversion', 'subject', 'topic', 'partitionkey', ...REQUIRED]) {
    const value = header(`ce-${name}`)
    if (value !== undefined) attributes[name] = decodeHeader(value)
  }
  checkContext(attributes)
  return contextOf(attributes, topicOfPath)
}

/** Header values are percent-encoded (CloudEvents HTTP binding, 3.1.3.2). */
function decodeHeader(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw malformed(`its header value ${quote(value)} has a broken percent-encoding`)
  }
}

function checkContext(attributes: Readonly<Record<string, unknown>>): void {
  if (attributes['specversion'] !== '1.0')
    throw malformed(`its specversion is ${quote(String(attributes['specversion']))}, not "1.0"`)
  for (const name of REQUIRED) {
    const value = attributes[name]
    if (typeof value !== 'string' || value === '') throw malformed(`its attribute ${name} is missing or not a text`)
  }
}

function contextOf(
  attributes: Readonly<Record<string, unknown>>,
  topicOfPath: string | undefined,
): Omit<EventInput, 'data'> {
  const topic = topicOfPath ?? attributes['topic'] ?? attributes['subject']
  if (typeof topic !== 'string')
    throw malformed('it names no topic: publish to /events/<topic>, or set the extension topic or the subject')
  const key = attributes['partitionkey']
  return { topic, type: String(attributes['type']), key: typeof key === 'string' ? key : undefined }
}

function malformed(fault: string): HydrantError {
  return new HydrantError('malformed-cloudevent', `The CloudEvent cannot be published: ${fault}.`)
}
