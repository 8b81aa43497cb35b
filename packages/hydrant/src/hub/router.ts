// The router: from the topic of an event to the feeds that selected it, in time that does not grow with their number.

import type { LogEvent } from './event.ts'
import type { Feed } from './feed.ts'
import { isPattern, matchesTopic } from './topic.ts'

/** Topics whose feeds are remembered between events. */
const REMEMBERED_TOPICS_MAX = 10_000

/** Feeds by what they selected. 10,000 topics with a subscriber each cost one look-up per event, as does one topic. */
export class Router {
  readonly #exact = new Map<string, Set<Feed>>()
  readonly #patterns = new Map<string, Set<Feed>>()
  /** topic → the patterns that match it; forgotten when the patterns change. */
  readonly #matching = new Map<string, readonly Set<Feed>[]>()

  /** Starts offering events to a feed. */
  add(feed: Feed): void {
    for (const topic of feed.selection.topics) {
      const table = this.#table(topic)
      const feeds = table.get(topic)
      if (feeds !== undefined) feeds.add(feed)
      else table.set(topic, new Set([feed]))
      if (table === this.#patterns && feeds === undefined) this.#matching.clear()
    }
  }

  /** Stops. */
  remove(feed: Feed): void {
    for (const topic of feed.selection.topics) {
      const table = this.#table(topic)
      const feeds = table.get(topic)
      feeds?.delete(feed)
      if (feeds?.size !== 0) continue
      table.delete(topic)
      if (table === this.#patterns) this.#matching.clear()
    }
  }

  /** Offers an event to every feed that selected it, once, however many of the feed's patterns match. */
  offer(event: LogEvent): void {
    const exact = this.#exact.get(event.topic)
    if (this.#patterns.size === 0) {
      if (exact !== undefined) for (const feed of exact) offerTo(feed, event)
      return
    }
    const matching = this.#matchingPatterns(event.topic)
    if (exact === undefined && matching.length === 1) {
      for (const feed of matching[0] ?? []) offerTo(feed, event)
      return
    }
    const feeds = new Set(exact)
    for (const set of matching) for (const feed of set) feeds.add(feed)
    for (const feed of feeds) offerTo(feed, event)
  }

  /** Every feed, once. */
  feeds(): ReadonlySet<Feed> {
    const feeds = new Set<Feed>()
    for (const table of [this.#exact, this.#patterns]) {
      for (const set of table.values()) for (const feed of set) feeds.add(feed)
    }
    return feeds
  }

  #table(topic: string): Map<string, Set<Feed>> {
    return isPattern(topic) ? this.#patterns : this.#exact
  }

  #matchingPatterns(topic: string): readonly Set<Feed>[] {
    const known = this.#matching.get(topic)
    if (known !== undefined) return known
    if (this.#matching.size >= REMEMBERED_TOPICS_MAX) this.#matching.clear()
    const matching: Set<Feed>[] = []
    for (const [pattern, feeds] of this.#patterns) if (matchesTopic(pattern, topic)) matching.push(feeds)
    this.#matching.set(topic, matching)
    return matching
  }
}

function offerTo(feed: Feed, event: LogEvent): void {
  if (feed.selection.matchesType(event.type)) feed.offer(event)
}
