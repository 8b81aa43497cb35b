// Which part of the stream the tail has to bring: everything when many things are followed, only what is followed when
// it is little, and ends and terms always.
//
//   filters     what the consumer of the tail filters by; undefined: nothing, it brings everything
//   coverage    of each filter, the offset after which everything that it matches came or will come
//
// NATS before 2.10 knows one filter only: there a tail brings everything as soon as anything is followed.

import type { Selection } from '../hub/selection.ts'
import { coversSubject, subjectsMeet, withoutCovered, type Subjects } from './nats-subject.ts'

/** More filters than this cost the server more than sending everything does. */
const FILTERS_MAX = 16

interface Coverage {
  readonly filter: string
  readonly from: number
}

/** See the head of the file. */
export class FollowedSubjects {
  readonly #subjects: Subjects
  /** How many follow each. */
  readonly #followers = new Map<string, number>()
  /** The tail is too near to where the stream is trimmed: it has to bring everything. */
  isPressed = false
  #coverage: readonly Coverage[] = []
  #filters: readonly string[] = []

  constructor(subjects: Subjects) {
    this.#subjects = subjects
  }

  /** One follower more. */
  add(selection: Selection): void {
    for (const filter of this.#filtersOf(selection)) this.#followers.set(filter, (this.#followers.get(filter) ?? 0) + 1)
  }

  /** One less. */
  remove(selection: Selection): void {
    for (const filter of this.#filtersOf(selection)) {
      const left = (this.#followers.get(filter) ?? 0) - 1
      if (left > 0) this.#followers.set(filter, left)
      else this.#followers.delete(filter)
    }
  }

  /** What the tail should filter by. Two filters must not meet, or NATS refuses them. */
  wanted(hasManyFilters: boolean): readonly string[] {
    if (this.isPressed) return [this.#subjects.all]
    const followed = withoutCovered(this.#followers.keys())
    if (followed.length === 0) return [this.#subjects.control]
    const isTooMuch =
      !hasManyFilters ||
      followed.length >= FILTERS_MAX ||
      followed.some((one) => subjectsMeet(one, this.#subjects.control)) ||
      followed.some((one, at) => followed.slice(at + 1).some((other) => subjectsMeet(one, other)))
    return isTooMuch ? [this.#subjects.all] : [this.#subjects.control, ...followed].toSorted()
  }

  /** Whether the tail brings everything selected now. */
  covers(selection: Selection): boolean {
    return this.from(selection) < Number.POSITIVE_INFINITY
  }

  /** Whether the tail brings everything. */
  get isWhole(): boolean {
    return this.#filters.includes(this.#subjects.all)
  }

  /** The filters of the tail of now. */
  get filters(): readonly string[] {
    return this.#filters
  }

  /** Everything selected after this offset came or will come; Infinity when it does not. */
  from(selection: Selection): number {
    return Math.max(...this.#filtersOf(selection).map((filter) => this.#fromOf(filter)))
  }

  /** Whether the tail brings events of a topic. */
  coversSubject(subject: string): boolean {
    return this.#fromOf(subject) < Number.POSITIVE_INFINITY
  }

  /** The tail goes on after a place with these filters: what it brought before, it brings without a hole. */
  switched(filters: readonly string[], after: number): void {
    const isKept = ({ filter }: Coverage): boolean =>
      this.#followers.has(filter) && filters.some((one) => coversSubject(one, filter))
    const kept = this.#coverage.filter(isKept)
    this.#coverage = [...filters.map((filter) => ({ filter, from: Math.min(this.#fromOf(filter), after) })), ...kept]
    this.#filters = filters
  }

  /** What lies before a place did not come. */
  skipped(to: number): void {
    this.#coverage = this.#coverage.map(({ filter, from }) => ({ filter, from: Math.max(from, to) }))
  }

  /** What came after a place comes again. */
  undone(to: number): void {
    this.#coverage = this.#coverage.map(({ filter, from }) => ({ filter, from: Math.min(from, to) }))
  }

  #fromOf(filter: string): number {
    let from = Number.POSITIVE_INFINITY
    for (const one of this.#coverage) if (one.from < from && coversSubject(one.filter, filter)) from = one.from
    return from
  }

  #filtersOf({ topics }: Selection): readonly string[] {
    return topics.map((topic) => this.#subjects.filter(topic))
  }
}
