// Topics and patterns: names of `/`-separated segments (PROTOCOL.md, 1).
//
//   stocks/AAPL    a topic
//   stocks/*       a pattern: one whole segment, whatever it is
//   stocks/**      a pattern: one segment or more; only at the end, so that two patterns meet in one pattern or none

import { HydrantError } from './errors.ts'

const SEGMENT = /^[A-Za-z0-9_.~:@-]+$/
const SEGMENTS_MAX = 16
const BYTES_MAX = 255

/** Returns the topic when it is a valid name; a HydrantError `malformed-topic` says what is wrong otherwise. */
export function parseTopic(text: string): string {
  const fault = faultOf(text, false)
  if (fault !== undefined) throw new HydrantError('malformed-topic', `The topic ${quote(text)} ${fault}.`)
  return text
}

/** Returns the topic or pattern when it is valid; a HydrantError `malformed-pattern` says what is wrong otherwise. */
export function parsePattern(text: string): string {
  const fault = faultOf(text, true)
  if (fault !== undefined) throw new HydrantError('malformed-pattern', `The topic or pattern ${quote(text)} ${fault}.`)
  return text
}

/** Whether it has wildcards, and so may match more than one topic. */
export function isPattern(text: string): boolean {
  return text.includes('*')
}

/** Whether a topic belongs to a pattern, or to a topic of the same name. Both must be valid. */
export function matchesTopic(pattern: string, topic: string): boolean {
  return pattern === topic || (isPattern(pattern) && subsumes(pattern, topic))
}

/** Whether every topic that `narrow` matches is matched by `wide` too. */
export function subsumes(wide: string, narrow: string): boolean {
  const wideSegments = wide.split('/')
  const narrowSegments = narrow.split('/')
  for (const [at, segment] of wideSegments.entries()) {
    const other = narrowSegments[at]
    if (other === undefined) return false
    if (segment === '**') return true
    if (other === '**' || (segment !== '*' && segment !== other)) return false
  }
  return wideSegments.length === narrowSegments.length
}

function faultOf(text: string, wildcards: boolean): string | undefined {
  if (text === '') return 'is empty'
  if (text.length > BYTES_MAX) return `is longer than ${BYTES_MAX} bytes`
  const segments = text.split('/')
  if (segments.length > SEGMENTS_MAX) return `has more than ${SEGMENTS_MAX} segments`
  for (const [at, segment] of segments.entries()) {
    if (wildcards && segment === '*') continue
    if (wildcards && segment === '**') {
      if (at === segments.length - 1) continue
      return 'has ** before its end'
    }
    if (segment === '') return 'has an empty segment'
    if (segment === '.' || segment === '..') return `has the segment ${segment}, which URLs take away`
    if (!SEGMENT.test(segment)) return `has a segment with characters other than A-Z a-z 0-9 _ . ~ : @ -`
  }
  return undefined
}

/** Quotes a text of a stranger for a message: escaped, and cut when long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
