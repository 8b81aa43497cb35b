// What a check found: faults by their kind, counted, and the first of each kind with their ids.

/** Every kind of fault. */
export const FAULT_KINDS = [
  'lost',
  'doubled',
  'reordered',
  'changed',
  'unknown',
  'resurrected',
  'foreign',
  'falseGaps',
  'misresumed',
  'unjudged',
] as const

/**
 * - `lost`: acknowledged, selected, after the client's start; neither received nor covered by a declared gap.
 * - `doubled`: received again, although the client had not asked for it again.
 * - `reordered`: received, or a position told, behind something that comes later in the log.
 * - `changed`: topic, type, key or data are not those that were published under this id.
 * - `unknown`: received, but never attempted.
 * - `resurrected`: received, although its publisher was told that it failed.
 * - `foreign`: received, but not selected.
 * - `falseGaps`: a certain gap in which nothing selected is missing, or which covers what came all the same, or whose
 *   count is wrong.
 * - `misresumed`: the client came back with another id than the one at which it stood.
 * - `unjudged`: a client that never said where it starts, or that starts before what the checker still holds.
 */
export type FaultKind = (typeof FAULT_KINDS)[number]

/** One thing that is wrong. */
export interface Fault {
  readonly kind: FaultKind
  /** The client's name; `publisher` for what is wrong in the publish log itself. */
  readonly client: string
  /** The id of the event, or of the place. */
  readonly id: string
  /** What is wrong, as part of a sentence. */
  readonly detail: string
}

/** How many things were looked at. */
export interface Tally {
  readonly acknowledged: number
  readonly clients: number
  readonly received: number
  readonly gaps: number
}

/** Faults that `toString` names. */
const NAMED_MAX = 10

/** Collects faults; keeps the first `keptMax` of each kind and counts the others. */
export class Faults {
  readonly #keptMax: number
  readonly #counts = new Map<FaultKind, number>()
  readonly #kept = new Map<FaultKind, Fault[]>()

  constructor(keptMax: number) {
    this.#keptMax = keptMax
  }

  /** Notes one. */
  add(kind: FaultKind, client: string, id: string, detail: string): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1)
    const kept = this.#kept.get(kind) ?? []
    this.#kept.set(kind, kept)
    if (kept.length < this.#keptMax) kept.push({ kind, client, id, detail })
  }

  /** What was found so far. */
  report(tally: Tally): Report {
    const found = FAULT_KINDS.flatMap((kind) => this.#kept.get(kind) ?? [])
    return new Report(new Map(this.#counts), found, tally)
  }
}

/** What a check found. */
export class Report {
  /** The first of each kind, by kind. */
  readonly faults: readonly Fault[]
  /** What was looked at. A report over nothing is `ok`, too: look here whether anything came. */
  readonly tally: Tally
  readonly #counts: ReadonlyMap<FaultKind, number>

  constructor(counts: ReadonlyMap<FaultKind, number>, faults: readonly Fault[], tally: Tally) {
    this.#counts = counts
    this.faults = faults
    this.tally = tally
  }

  /** Whether nothing is wrong. */
  get ok(): boolean {
    return this.#counts.size === 0
  }

  /** How many faults of a kind there are; of all kinds without one. */
  count(kind?: FaultKind): number {
    if (kind !== undefined) return this.#counts.get(kind) ?? 0
    return [...this.#counts.values()].reduce((sum, one) => sum + one, 0)
  }

  /** One line when all is well; else the counts, and the first faults with their ids. */
  toString(): string {
    const { acknowledged, clients, received, gaps } = this.tally
    const looked = `${acknowledged} acknowledged, ${received} received by ${clients} clients, ${gaps} gaps declared`
    if (this.ok) return `ok: ${looked}`
    const counts = FAULT_KINDS.filter((kind) => this.#counts.has(kind)).map((kind) => `${this.count(kind)} ${kind}`)
    const named = this.faults
      .slice(0, NAMED_MAX)
      .map(({ kind, client, id, detail }) => `  ${kind}: ${client}, ${id}: ${detail}`)
    const others = this.count() - named.length
    return [`${counts.join(', ')} (${looked})`, ...named, ...(others > 0 ? [`  and ${others} more`] : [])].join('\n')
  }
}
