// `hydrant tail`: events to stdout as they come, over any number of breaks.

import { connect, StreamError, type Gap, type Stream, type StreamEvent, type StreamState } from 'hydrant-client'
import { CONTROL_TYPES } from 'hydrant-client/wire'
import { base64 } from '../transport/envelope.ts'
import { UsageError, type Command } from './command.ts'
import type { Flag, Flags } from './flags.ts'
import { eventsUrl, URL_FLAG } from './server-url.ts'
import { complain } from './stderr.ts'

/** A person waits for it, and one command is no crowd: shorter than the client's own. */
const BACKOFF_MS = 250
const BACKOFF_MS_MAX = 5_000

const FLAGS: readonly Flag[] = [
  URL_FLAG,
  { name: 'type', placeholder: '<type>', description: 'Only events of this type. Repeat it for several.' },
  {
    name: 'since',
    placeholder: '<duration|time>',
    description: 'Start with what is kept from then on: 90s, 2h, 2026-01-31T12:00:00Z.',
  },
  { name: 'last', placeholder: '<events>', description: 'Start with the last so many that are kept.' },
  { name: 'earliest', description: 'Start with everything that is kept.' },
  { name: 'id', placeholder: '<id>', description: 'Start right after this id; a gap says what is missing since.' },
  { name: 'json', description: 'Print whole events, each as a line of JSON.' },
  { name: 'ids', description: "Print each event's id and a tab before its data." },
]

/** See the head of the file. */
export const tail: Command = {
  name: 'tail',
  usage: '<topic|pattern>...',
  summary: 'print events as they come, and resume after every break',
  details: [
    "hydrant tail builds/1 'stocks/*'",
    '',
    'Starts now, unless a flag says otherwise. Each event once and in order; where events are missing, a line on',
    'stderr says so.',
  ].join('\n'),
  flags: FLAGS,
  words: { min: 1, max: Number.POSITIVE_INFINITY },
  run: async (topics, flags) => {
    const stream = open(topics, flags)
    process.once('SIGINT', () => stream.close())
    process.once('SIGTERM', () => stream.close())
    process.stdout.on('error', () => stream.close()) // who reads us has gone
    try {
      await print(stream, lineOf(flags))
      return 0
    } catch (error) {
      throw error instanceof StreamError ? new UsageError(error.message, { cause: error }) : error
    }
  },
}

function open(topics: readonly string[], flags: Flags): Stream {
  const url = eventsUrl(flags.last('url'))
  try {
    return connect(url, {
      topics,
      types: flags.all('type'),
      since: flags.last('since'),
      last: numberOf('last', flags.last('last')),
      earliest: flags.has('earliest'),
      lastEventId: flags.last('id'),
      backoffMs: BACKOFF_MS,
      backoffMsMax: BACKOFF_MS_MAX,
      onState: tellTrouble(),
    })
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(error.message, { cause: error }) : error
  }
}

/** One line for each time that the server is away, and none for a break that ends at once. */
function tellTrouble(): (state: StreamState) => void {
  let isTold = false
  return (state) => {
    if (state.status === 'open') isTold = false
    if (state.status !== 'waiting' || state.attempt === 0 || isTold) return
    isTold = true
    complain(`not connected, trying on: ${state.why.detail}`)
  }
}

/** Event by event: while stdout takes no more, the stream is not read. */
async function print(stream: Stream, line: (event: StreamEvent) => string): Promise<void> {
  for await (const delivery of stream) {
    if (delivery.gap !== undefined) complain(gapLine(delivery.gap))
    else if (delivery.type === CONTROL_TYPES.end) complain(`${delivery.topic} has ended`)
    else if (!process.stdout.write(`${line(delivery)}\n`)) await drained()
  }
}

function drained(): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      process.stdout.off('drain', done).off('error', done)
      resolve()
    }
    process.stdout.on('drain', done).on('error', done)
  })
}

function gapLine({ from, to, reason, certain, count }: Gap): string {
  const what = count === undefined ? 'events' : count === 1 ? '1 event' : `${count} events`
  const are = count === 1 ? 'is' : 'are'
  return `gap: ${what} ${certain ? are : 'may be'} missing after ${from} up to ${to} (${reason})`
}

function lineOf(flags: Flags): (event: StreamEvent) => string {
  if (flags.has('json')) return (event) => JSON.stringify(envelopeOf(event))
  return flags.has('ids') ? (event) => `${event.id}\t${textOf(event)}` : textOf
}

function textOf({ data }: StreamEvent): string {
  return typeof data === 'string' ? data : base64(data)
}

function envelopeOf({ id, topic, type, key, time, data }: StreamEvent): object {
  const payload = typeof data === 'string' ? { data } : { dataBase64: base64(data) }
  return { id, topic, type, ...(key === undefined ? {} : { key }), time, ...payload }
}

function numberOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${flag} must be a whole number, not "${text}".`)
  return Number(text)
}
