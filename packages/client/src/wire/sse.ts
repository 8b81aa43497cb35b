// Server-Sent Events, written and read:
// https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

/** What one block of an event stream says. */
export interface SseBlock {
  /** Left out when it is `message`, which every client assumes. */
  readonly type?: string
  readonly data: string
  readonly id?: string
  readonly retryMs?: number
}

/**
 * Writes one block: `event`, `data` (a line of its own for every line of the text), `retry`, `id`, an empty line.
 *
 * CR and CRLF in the data become LF, for the format has no way to keep them. `type` and `id` must be free of CR, LF
 * and NUL: checked where events are published (`hub/event.ts`), so that no text of a publisher can start a field.
 */
export function formatSse(block: SseBlock): string {
  const event = block.type === undefined || block.type === 'message' ? '' : `event: ${block.type}\n`
  const retry = block.retryMs === undefined ? '' : `retry: ${block.retryMs}\n`
  const id = block.id === undefined ? '' : `id: ${block.id}\n`
  const data = isOneLine(block.data) ? block.data : block.data.replace(LINE_END, '\ndata: ')
  return `${event}data: ${data}\n${retry}${id}\n`
}

const LINE_END = /\r\n|\r|\n/g

function isOneLine(text: string): boolean {
  return !text.includes('\n') && !text.includes('\r')
}

/** Writes a comment, which every client ignores: a sign of life. */
export function formatSseComment(text: string): string {
  return `: ${text.replace(LINE_END, ' ')}\n\n`
}

/** A block as a client takes it in: with the id that holds after it, which may be an earlier block's. */
export interface SseMessage {
  readonly type: string
  readonly data: string
  /** The last id the stream has named so far; empty when none. */
  readonly lastEventId: string
}

/** What {@link SseParser} tells its owner. */
export interface SseHandlers {
  message(message: SseMessage): void
  /** The server asks for this many milliseconds between reconnects. */
  retry?(retryMs: number): void
  /** A comment: a sign of life. */
  comment?(text: string): void
}

/**
 * Reads an event stream from pieces of text, cut anywhere, even between CR and LF.
 *
 * A block that the stream's end cuts off is not delivered (the specification's "incomplete event").
 * The text between two line ends is held, so the caller bounds it: `lineLengthMax` characters (default 16 Mi)
 * or a RangeError.
 */
export class SseParser {
  #handlers: SseHandlers
  #lineLengthMax: number
  #rest = ''
  #started = false
  #skipLineFeed = false
  #type = ''
  #data: string | undefined
  #id = ''
  #lastEventId = ''

  constructor(handlers: SseHandlers, options: { readonly lineLengthMax?: number } = {}) {
    this.#handlers = handlers
    this.#lineLengthMax = options.lineLengthMax ?? 16 * 1024 * 1024
  }

  /** Takes the next piece of the stream. */
  feed(piece: string): void {
    let text = this.#rest + piece
    let at = 0
    if (!this.#started && text !== '') {
      this.#started = true
      if (text.startsWith('\uFEFF')) at = 1
    }
    if (this.#skipLineFeed && text.length > at) {
      this.#skipLineFeed = false
      if (text[at] === '\n') at += 1
    }
    // Most streams have no CR at all: it is looked for once in a piece, not once in a line.
    let cr = text.indexOf('\r', at)
    for (;;) {
      const lf = text.indexOf('\n', at)
      const end = lf === -1 || (cr !== -1 && cr < lf) ? cr : lf
      if (end === -1) break
      this.#line(text.slice(at, end))
      at = end + 1
      if (end !== cr) continue
      if (at === text.length) this.#skipLineFeed = true
      else if (text[at] === '\n') at += 1
      cr = text.indexOf('\r', at)
    }
    text = text.slice(at)
    if (text.length + (this.#data?.length ?? 0) > this.#lineLengthMax) {
      throw new RangeError(`an event of the stream is longer than ${this.#lineLengthMax} characters`)
    }
    this.#rest = text
  }

  #line(line: string): void {
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    if (colon === 0) return this.#handlers.comment?.(line.slice(line[1] === ' ' ? 2 : 1))
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`
    else if (field === 'event') this.#type = value
    else if (field === 'id' && !value.includes('\0')) this.#id = value
    else if (field === 'retry' && /^[0-9]+$/.test(value)) this.#handlers.retry?.(Number(value))
  }

  #dispatch(): void {
    this.#lastEventId = this.#id
    const data = this.#data
    const type = this.#type
    this.#data = undefined
    this.#type = ''
    if (data !== undefined) {
      this.#handlers.message({ type: type === '' ? 'message' : type, data, lastEventId: this.#lastEventId })
    }
  }
}
