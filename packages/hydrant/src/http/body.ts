// Bodies of requests: read whole within a bound, or line by line.

import { HydrantError } from '../hub/errors.ts'

/** Reads a body whole. Throws a HydrantError `code` when it has more bytes than allowed, before reading on. */
export async function readBody(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
  code: 'event-too-large' | 'batch-too-large',
): Promise<Uint8Array> {
  let only: Uint8Array | undefined // a body that came in one part is that part: most do, and need no copy
  const whole = new Growing()
  for await (const part of body) {
    if ((only ?? whole).length + part.length > bytesMax) {
      throw new HydrantError(code, `The body has more than ${bytesMax} bytes.`)
    }
    if (only === undefined && whole.length === 0) {
      only = part
      continue
    }
    if (only !== undefined) whole.append(only)
    only = undefined
    whole.append(part)
  }
  return only ?? whole.bytes
}

/** Bytes that grow: copied together as they come, for parts of one byte each would cost 400 times what they hold. */
class Growing {
  #buffer: Uint8Array = Buffer.alloc(0)
  length = 0

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.length)
  }

  append(part: Uint8Array): void {
    const length = this.length + part.length
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, this.#buffer.length * 2))
      larger.set(this.bytes)
      this.#buffer = larger
    }
    this.#buffer.set(part, this.length)
    this.length = length
  }

  /** Gives away what there is, and starts anew. */
  take(): Uint8Array {
    const { bytes } = this
    this.#buffer = Buffer.alloc(0)
    this.length = 0
    return bytes
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Decodes UTF-8. Throws `malformed-utf8`. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new HydrantError(
      'malformed-utf8',
      'The body is text that is not valid UTF-8. Publish bytes with Content-Type: application/octet-stream.',
    )
  }
}

/** Parses JSON. Throws `malformed-json`, with the parser's own words. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new HydrantError('malformed-json', error instanceof Error ? error.message : 'not JSON')
  }
}

const LF = 0x0a

/**
 * The lines of a body, in groups: all that had arrived when the consumer came back. The next piece of the body is
 * asked for only then, so a slow consumer slows the sender down. Throws `event-too-large` for a line over
 * `lineBytesMax`.
 */
export async function* readLines(
  body: AsyncIterable<Uint8Array>,
  lineBytesMax: number,
): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  const rest = new Growing()
  let line = 0
  for await (const part of body) {
    const lines: Uint8Array[] = []
    let at = 0
    for (let end = part.indexOf(LF); end !== -1; end = part.indexOf(LF, at)) {
      if (rest.length > 0) {
        rest.append(part.subarray(at, end))
        lines.push(rest.take())
      } else lines.push(part.subarray(at, end))
      at = end + 1
    }
    if (at < part.length) rest.append(part.subarray(at))
    const long = lines.findIndex((one) => one.length > lineBytesMax)
    const whole = long === -1 ? lines : lines.slice(0, long)
    if (whole.length > 0) yield whole
    line += whole.length
    if (long !== -1 || rest.length > lineBytesMax) {
      throw new HydrantError('event-too-large', `Line ${line + 1}: it has more than ${lineBytesMax} bytes.`)
    }
  }
  if (rest.length > 0) yield [rest.take()]
}
