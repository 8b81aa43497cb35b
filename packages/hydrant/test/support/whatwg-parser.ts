// An event stream read as the specification's text says it, with no thought of speed: the whole stream at once.
// https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

/** An event as a listener gets it. */
export interface StreamMessage {
  readonly type: string
  readonly data: string
  readonly lastEventId: string
}

/** Everything that a stream said. */
export interface ParsedStream {
  readonly messages: readonly StreamMessage[]
  readonly comments: readonly string[]
  readonly retries: readonly number[]
  /** The id that a client would come back with. */
  readonly lastEventId: string
}

/** Reads a whole stream. What the end cuts off is not delivered. */
export function parseStream(text: string): ParsedStream {
  const messages: StreamMessage[] = []
  const comments: string[] = []
  const retries: number[] = []
  let data = ''
  let type = ''
  let id = ''
  let lastEventId = ''
  for (const line of linesOf(text.startsWith('\uFEFF') ? text.slice(1) : text)) {
    if (line === '') {
      lastEventId = id
      if (data !== '') messages.push({ type: type === '' ? 'message' : type, data: data.slice(0, -1), lastEventId })
      data = ''
      type = ''
      continue
    }
    if (line.startsWith(':')) {
      comments.push(line.slice(1))
      continue
    }
    const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/su.exec(line) ?? []
    if (field === 'event') type = value
    if (field === 'data') data += `${value}\n`
    if (field === 'id' && !value.includes('\0')) id = value
    if (field === 'retry' && /^[0-9]+$/.test(value)) retries.push(Number(value))
  }
  return { messages, comments, retries, lastEventId }
}

/** The lines that are ended by CRLF, LF or CR; the rest after the last one is no line yet. */
function linesOf(text: string): readonly string[] {
  return text.split(/\r\n|\n|\r/).slice(0, -1)
}
