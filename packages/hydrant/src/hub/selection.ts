// A selection: what a subscriber asked for and may see.

import { CONTROL_TYPES } from 'hydrant-client/wire'
import { HydrantError } from './errors.ts'
import { checkType } from './event.ts'
import { isPattern, matchesTopic, parsePattern, subsumes } from './topic.ts'

/**
 * Decisions about topics that are remembered; a subscriber of `**` on a hub with more topics pays for matching
 * again.
 */
const REMEMBERED_TOPICS_MAX = 1_000

/**
 * Topics and patterns, and the types wanted of them, in normal form: sorted, none doubled, none that another one
 * subsumes. Two selections of the same events written in different ways have the same `key`, and so share a feed.
 */
export class Selection {
  /** Topics and patterns, sorted. */
  readonly topics: readonly string[]
  /** Types wanted, sorted; undefined for all. */
  readonly types: ReadonlySet<string> | undefined
  /** Equal for equal selections. */
  readonly key: string
  /** The topics, when no pattern is among them: then history can be read topic by topic. */
  readonly exactTopics: readonly string[] | undefined

  #remembered = new Map<string, boolean>()

  private constructor(topics: readonly string[], types: readonly string[] | undefined) {
    this.topics = topics
    this.types = types === undefined ? undefined : new Set(types)
    this.key = types === undefined ? topics.join(' ') : `${topics.join(' ')}?${JSON.stringify(types)}`
    this.exactTopics = topics.some(isPattern) ? undefined : topics
  }

  /**
   * Checks and normalizes. Throws a HydrantError: `no-topic`, `too-many-topics`, `malformed-pattern`,
   * `malformed-type`.
   */
  static of(asked: Iterable<string>, types: Iterable<string> | undefined, topicsMax: number): Selection {
    const patterns = [...new Set(asked)]
    if (patterns.length === 0)
      throw new HydrantError('no-topic', 'Name at least one topic: /events/<topic> or ?topic=<topic>.')
    if (patterns.length > topicsMax) {
      throw new HydrantError(
        'too-many-topics',
        `${patterns.length} topics are selected; at most ${topicsMax} may be. A pattern may say the same.`,
      )
    }
    for (const pattern of patterns) parsePattern(pattern)
    const topics = patterns.filter((one) => !patterns.some((other) => other !== one && subsumes(other, one)))
    const wanted = types === undefined ? [] : [...new Set(types)]
    for (const type of wanted) checkType(type)
    return new Selection(topics.toSorted(), wanted.length === 0 ? undefined : wanted.toSorted())
  }

  /** Whether an event of this topic and type is selected. */
  matches(topic: string, type: string): boolean {
    return this.matchesType(type) && this.matchesTopic(topic)
  }

  /** Whether events of this type are wanted; the end of a topic always is. */
  matchesType(type: string): boolean {
    return this.types === undefined || this.types.has(type) || type === CONTROL_TYPES.end
  }

  /** Whether events of this topic can be selected at all. */
  matchesTopic(topic: string): boolean {
    const remembered = this.#remembered.get(topic)
    if (remembered !== undefined) return remembered
    if (this.#remembered.size >= REMEMBERED_TOPICS_MAX) this.#remembered.clear()
    const matches = this.topics.some((pattern) => matchesTopic(pattern, topic))
    this.#remembered.set(topic, matches)
    return matches
  }
}
