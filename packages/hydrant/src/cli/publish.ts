// `hydrant publish`: lines from stdin become events, as they come.
//
//   stdin ─► lines ─► queue ─► publisher ─► POST /events
//             (waits when the queue is full)   (what has arrived, one request at a time)

import { HydrantError } from '../hub/errors.ts'
import { parseTopic } from '../hub/topic.ts'
import { readLines } from '../http/body.ts'
import { UsageError, type Command } from './command.ts'
import { parseDuration } from './duration.ts'
import { onInterrupt } from './interrupt.ts'
import { LinePublisher, LineRefusal } from './line-publisher.ts'
import { LineQueue } from './line-queue.ts'
import { eventsUrl, URL_FLAG } from './server-url.ts'
import { complain } from './stderr.ts'

const GIVE_UP_AFTER = '60s'
/** A line without an end would fill the memory; the server takes far less. */
const LINE_BYTES_MAX = 16_777_216
/** After SIGINT: what was read may still go out, if the server takes it soon. */
const LAST_WORDS_MS = 2_000
const CR = 0x0d

/** See the head of the file. */
export const publish: Command = {
  name: 'publish',
  usage: '<topic>',
  summary: 'publish each line of stdin as an event, as it comes',
  details: [
    'npm test 2>&1 | hydrant publish builds/1',
    '',
    'Lines keep their order. When the server is away they are sent again until it has stored them, each once.',
    'With --end, those who follow are done then: hydrant tail ends, an EventSource stays away.',
    'Exits with 0 when every line was acknowledged.',
  ].join('\n'),
  flags: [
    URL_FLAG,
    { name: 'type', placeholder: '<type>', description: "The events' type, SSE's event name.", default: 'message' },
    { name: 'key', placeholder: '<key>', description: 'What the events are about.' },
    { name: 'end', description: 'End the topic after the last line: nothing can follow.' },
    {
      name: 'give-up-after',
      placeholder: '<duration>',
      description:
        'How long to go on trying while the server takes nothing. ' +
        'After ten minutes it may no longer know a line that it has stored.',
      default: GIVE_UP_AFTER,
    },
  ],
  words: { min: 1, max: 1 },
  run: async ([topic = ''], flags) => {
    const type = flags.last('type')
    const key = flags.last('key')
    const giveUpAfter = flags.last('give-up-after') ?? GIVE_UP_AFTER
    const publisher = new LinePublisher({
      url: eventsUrl(flags.last('url')),
      event: {
        topic: checkTopic(topic),
        ...(type === undefined ? {} : { type }),
        ...(key === undefined ? {} : { key }),
      },
      giveUpAfterMs: parseDuration('give-up-after', giveUpAfter),
      onTrouble: (reason) => complain(`the server takes nothing, trying on for ${giveUpAfter}: ${reason}`),
    })
    const exitCode = await publishLines(publisher, flags.has('end'))
    const { published } = publisher
    complain(`published ${published} ${published === 1 ? 'line' : 'lines'} to ${topic}`)
    return exitCode
  },
}

async function publishLines(publisher: LinePublisher, ends: boolean): Promise<number> {
  const queue = new LineQueue()
  const abort = new AbortController()
  let exitCode = 0
  let isInterrupted = false
  onInterrupt((code) => {
    exitCode = code
    isInterrupted = true
    queue.end()
    setTimeout(
      () => abort.abort(new LineRefusal('interrupted before the server took all that was read')),
      LAST_WORDS_MS,
    )
  })
  const reading = readInto(queue, process.stdin).catch((error: unknown) => {
    if (isInterrupted) return
    exitCode = 1
    complain(error instanceof Error ? error.message : String(error))
  })
  try {
    for (let batch = await queue.take(); batch !== undefined; batch = await queue.take()) {
      await publisher.publish(batch, abort.signal)
    }
    if (!isInterrupted) await reading
    if (ends && exitCode === 0) await publisher.end(abort.signal)
  } catch (error) {
    if (!(error instanceof LineRefusal)) throw error
    complain(error.message)
    return exitCode === 0 ? 1 : exitCode
  }
  return exitCode
}

/** Reads lines until the end; rejects with words for the user. What was read before goes out in any case. */
async function readInto(queue: LineQueue, input: AsyncIterable<Uint8Array>): Promise<void> {
  let line = 0
  try {
    for await (const group of readLines(input, LINE_BYTES_MAX)) {
      const texts: string[] = []
      const fault = decodeInto(texts, group, line)
      line += group.length
      await queue.push(texts)
      if (fault !== undefined) throw fault
    }
  } catch (error) {
    throw error instanceof HydrantError
      ? new UsageError(`line ${line + 1} is longer than ${LINE_BYTES_MAX} bytes`)
      : error
  } finally {
    queue.end()
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Decodes until something is no text; answers what is wrong then. */
function decodeInto(texts: string[], group: readonly Uint8Array[], linesBefore: number): UsageError | undefined {
  for (const bytes of group) {
    try {
      texts.push(utf8.decode(bytes.at(-1) === CR ? bytes.subarray(0, -1) : bytes))
    } catch {
      return new UsageError(
        `line ${linesBefore + texts.length + 1} is not valid UTF-8; the lines before it are published`,
      )
    }
  }
  return undefined
}

function checkTopic(text: string): string {
  try {
    return parseTopic(text)
  } catch (error) {
    throw error instanceof HydrantError ? new UsageError(error.message) : error
  }
}
