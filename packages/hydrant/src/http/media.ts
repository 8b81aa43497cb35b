// Media types: what a client accepts, and what a body is.

import { HydrantError } from '../hub/errors.ts'
import { quote } from '../hub/topic.ts'

/** The media types a subscription can be answered in, best first. */
const OFFERS = ['text/event-stream', 'application/x-ndjson', 'application/json'] as const

/** A media type that `GET /events` can answer. */
export type SubscribeMedia = (typeof OFFERS)[number]

/** Chooses by `Accept` (RFC 9110, 12.5.1): the highest quality, ties to the order above. Throws `not-acceptable`. */
export function chooseMedia(accept: string | undefined): SubscribeMedia {
  if (accept === undefined || accept === '') return OFFERS[0]
  const ranges = accept.split(',').map(parseRange)
  let best: SubscribeMedia | undefined
  let bestQuality = 0
  for (const offer of OFFERS) {
    const quality = qualityOf(offer, ranges)
    if (quality > bestQuality) {
      best = offer
      bestQuality = quality
    }
  }
  if (best === undefined)
    throw new HydrantError('not-acceptable', `Accept is ${quote(accept)}; events come as ${OFFERS.join(', ')}.`)
  return best
}

interface Range {
  readonly media: string
  readonly quality: number
}

function parseRange(text: string): Range {
  const [media = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const q = parameters.find((parameter) => parameter.startsWith('q='))
  const quality = q === undefined ? 1 : Number(q.slice(2))
  return { media, quality: quality >= 0 && quality <= 1 ? quality : 0 }
}

/** The quality of the most specific range that covers it. */
function qualityOf(offer: string, ranges: readonly Range[]): number {
  const aliases: readonly string[] =
    offer === 'application/x-ndjson' ? [offer, 'application/ndjson', 'application/jsonl'] : [offer]
  const major = `${offer.split('/')[0]}/*`
  const range =
    ranges.find((one) => aliases.includes(one.media)) ??
    ranges.find((one) => one.media === major) ??
    ranges.find((one) => one.media === '*/*')
  return range?.quality ?? 0
}

/** Whether `Accept-Encoding` names gzip (RFC 9110, 12.5.3). `*` is not enough: who means it, says it. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const ranges = (acceptEncoding ?? '').split(',').map(parseRange)
  return ranges.some(({ media, quality }) => media === 'gzip' && quality > 0)
}

/** A body's media type without its parameters, in lower case; empty when none is given. */
export function mediaOf(contentType: string | undefined): string {
  return (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

/** Whether a body of this media type is text: then it must be UTF-8, and is published as text. */
export function isTextMedia(media: string): boolean {
  return (
    media === '' ||
    media.startsWith('text/') ||
    media === 'application/json' ||
    media === 'application/xml' ||
    media === 'application/x-www-form-urlencoded' || // what `curl -d` says, whatever it sends
    media.endsWith('+json') ||
    media.endsWith('+xml')
  )
}
