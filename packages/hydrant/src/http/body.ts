// Bodies of requests: read whole within a bound, or line by line.

import { HydrantError } from '../hub/errors.ts'

/** Reads a body whole. Throws a HydrantError `code` when it has more bytes than allowed, before reading on. */
export async function readBody(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
  code: 'event-too-large' | 'batch-too-large',
): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of body) {
    bytes += part.length
    if (bytes > bytesMax) throw new HydrantError(code, `The body has more than ${bytesMax} bytes.`)
    parts.push(part)
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts, bytes)
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
  let rest: Uint8Array[] = []
  let restBytes = 0
  for await (const part of body) {
    const lines: Uint8Array[] = []
    let at = 0
    for (let end = part.indexOf(LF); end !== -1; end = part.indexOf(LF, at)) {
      const tail = part.subarray(at, end)
      lines.push(restBytes === 0 ? tail : Buffer.concat([...rest, tail]))
      rest = []
      restBytes = 0
      at = end + 1
    }
    if (at < part.length) {
      rest.push(part.subarray(at))
      restBytes += part.length - at
    }
    const long = lines.findIndex((line) => line.length > lineBytesMax)
    const whole = long === -1 ? lines : lines.slice(0, long)
    if (whole.length > 0) yield whole
    if (long !== -1 || restBytes > lineBytesMax) {
      throw new HydrantError('event-too-large', `A line has more than ${lineBytesMax} bytes.`)
    }
  }
  if (restBytes > 0) yield [Buffer.concat(rest)]
}
