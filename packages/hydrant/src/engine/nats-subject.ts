// Topics and keys as NATS subjects, and back.
//
//   stocks/AAPL, key bid     <prefix>.stocks.AAPL.$.bid      one for each topic and key: NATS finds the last of each
//   stocks/AAPL, no key      <prefix>.stocks.AAPL.$.$
//   the end of stocks/AAPL   <prefix>.$.end.stocks.AAPL      so that <prefix>.$.> brings every end and term
//   a term of the log        <prefix>.$.term
//
// A dollar sign is no character of topics, and is escaped in keys. Locked by test/property/nats-subject.test.ts.

/** What a subject stands for. */
export type Subject =
  | { readonly kind: 'event'; readonly topic: string; readonly key: string | undefined }
  | { readonly kind: 'end'; readonly topic: string }
  | { readonly kind: 'term' }

/** Between a topic and its key, instead of a key, and before what is the log's own. */
const MARK = '$'
const PLAIN_KEY = /^[A-Za-z0-9_~:@-]+$/

/** The subjects of one log, all below its prefix. */
export class Subjects {
  /** Everything. */
  readonly all: string
  /** Ends of topics, and terms of the log. */
  readonly control: string
  /** Ends of topics. */
  readonly ends: string
  /** Terms of the log. */
  readonly term: string
  readonly #prefix: string

  /** `prefix` is a subject without wildcards: `hydrant.main`. */
  constructor(prefix: string) {
    this.#prefix = `${prefix}.`
    this.all = `${prefix}.>`
    this.control = `${prefix}.${MARK}.>`
    this.ends = `${prefix}.${MARK}.end.>`
    this.term = `${prefix}.${MARK}.term`
  }

  /** Of events. */
  event(topic: string, key: string | undefined): string {
    return `${this.#prefix}${tokensOf(topic)}.${MARK}.${key === undefined ? MARK : escapeKey(key)}`
  }

  /** Of the end of a topic. */
  end(topic: string): string {
    return `${this.#prefix}${MARK}.end.${tokensOf(topic)}`
  }

  /** Of everything that a topic or pattern selects but its end; of `a/**` also what is published to `a` itself. */
  filter(pattern: string): string {
    if (pattern === '**') return this.all
    if (pattern.endsWith('/**')) return `${this.#prefix}${tokensOf(pattern.slice(0, -3))}.>`
    return `${this.#prefix}${tokensOf(pattern)}.${MARK}.*`
  }

  /** Undefined for subjects that are none of ours. */
  parse(subject: string): Subject | undefined {
    if (!subject.startsWith(this.#prefix)) return undefined
    const tokens = subject.slice(this.#prefix.length).split('.')
    if (tokens[0] === MARK) {
      if (tokens[1] === 'term' && tokens.length === 2) return { kind: 'term' }
      return tokens[1] === 'end' && tokens.length > 2 ? { kind: 'end', topic: topicOf(tokens.slice(2)) } : undefined
    }
    const key = tokens.pop()
    if (key === undefined || tokens.pop() !== MARK || tokens.length === 0) return undefined
    return { kind: 'event', topic: topicOf(tokens), key: key === MARK ? undefined : unescape(key) }
  }
}

/** Whether every subject that `narrow` matches is matched by `wide` too; both may have wildcards. */
export function coversSubject(wide: string, narrow: string): boolean {
  const narrowTokens = narrow.split('.')
  const wideTokens = wide.split('.')
  for (const [at, token] of wideTokens.entries()) {
    const other = narrowTokens[at]
    if (other === undefined) return false
    if (token === '>') return true
    if (other === '>' || (token !== '*' && token !== other)) return false
  }
  return wideTokens.length === narrowTokens.length
}

/** Whether a subject exists that both match: NATS takes no two filters of which that is so. */
export function subjectsMeet(one: string, other: string): boolean {
  const left = one.split('.')
  const right = other.split('.')
  for (let at = 0; ; at += 1) {
    const [mine, theirs] = [left[at], right[at]]
    if (mine === undefined || theirs === undefined) return mine === theirs
    if (mine === '>' || theirs === '>') return true
    if (mine !== '*' && theirs !== '*' && mine !== theirs) return false
  }
}

/** The same filters without those that another one covers. */
export function withoutCovered(filters: Iterable<string>): readonly string[] {
  const all = [...new Set(filters)]
  return all.filter((one) => !all.some((other) => other !== one && coversSubject(other, one)))
}

/** A text as one token: what is no plain character of a token stands as its UTF-8 bytes, `%` and two digits each. */
export function escapeKey(text: string): string {
  if (PLAIN_KEY.test(text)) return text
  let token = ''
  for (const byte of new TextEncoder().encode(text)) {
    const char = String.fromCharCode(byte)
    token += PLAIN_KEY.test(char) ? char : `%${byte.toString(16).padStart(2, '0')}`
  }
  return token
}

function tokensOf(topic: string): string {
  return topic.replaceAll('.', '%2e').replaceAll('/', '.')
}

function topicOf(tokens: readonly string[]): string {
  return tokens.join('/').replaceAll('%2e', '.')
}

function unescape(token: string): string {
  if (!token.includes('%')) return token
  try {
    return decodeURIComponent(token)
  } catch {
    return token // published by somebody else: whatever it is, it stands for itself
  }
}
